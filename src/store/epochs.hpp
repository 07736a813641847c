// What an account knows of the epochs of its links; the rules are sync/link.hpp's judge_section().
//
// Invariants: numbers are given in one epoch and one life each; an epoch changes in one transaction with the
// numbers that are counted in it.
#pragma once

#include "store/account_store.hpp"
#include "sync/link.hpp"

namespace fwmail::store {

// `own`, `peer`: the link's, which hold until others have been begun.
Result<sync::EpochState> load_epochs(AccountStore& account, NodeId peer, const sync::Epoch& own,
                                     const sync::Epoch& other);
Result<void> save_epochs(AccountStore& account, NodeId peer, const sync::EpochState& state);
Result<sync::NumbersKnown> load_numbers_known(AccountStore& account, NodeId peer, bool of_other_life);
// Whether a section of this epoch of the peer's may be applied still.
Result<bool> is_in_epoch(AccountStore& account, NodeId peer, const sync::Epoch& epoch);
// From which number on all were given in this life.
Result<EntryNumber> first_of_life(AccountStore& account, NodeId peer);

// One of the two has begun anew: all that the peer tells is to be applied, once more where it has not begun
// itself.
Result<void> forget_applied(AccountStore& account, NodeId peer);
// Our own count begins anew, with nothing in the outbox and all to be told. Those rows of these kinds that
// are not void are returned, as good as new, for the caller to put back.
Result<std::vector<OutboxRow>> begin_numbers(AccountStore& account, NodeId peer, const std::vector<int>& kept,
                                             UnixMillis now);
// Whoever has lost what it knew may have shown numbers that it does not know of: the next ones are far above.
// In all mailboxes, and of the mod-sequences. At a remote nothing below them is shown any more. The longer
// ago it was that the last numbers were given, the further: so whoever loses the same twice leaps over what
// it gave in between.
Result<void> leap(AccountStore& account, bool core, UnixMillis now);

// ---- at core: nothing is planned for the peer until it has told what it has
inline constexpr std::uint64_t state_not_told = 1ull << 62;
// What is waited for: the peer's entries up to this number; 0: nothing.
Result<std::uint64_t> awaited_state(AccountStore& account, NodeId peer);
Result<void> await_state(AccountStore& account, NodeId peer, std::uint64_t up_to);
// What is to be planned is looked for once more, though nothing has changed.
Result<void> look_again(AccountStore& account);
// What was planned for the peer before is in doubt.
Result<void> forget_planned(AccountStore& account, NodeId peer);

}  // namespace fwmail::store
