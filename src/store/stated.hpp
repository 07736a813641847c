// What an account has, told as a whole: made at a remote, and compared at core with what is there.
//
// Invariants of the comparison: doing it again does nothing more. No message goes that either side has, but
// one that was expunged on the other. A number that names different messages on the two sides names none of
// them in the end.
#pragma once

#include "store/account_store.hpp"
#include "store/outside_numbers.hpp"
#include "sync/entries.hpp"

namespace fwmail::store {

// ---- at a remote

// What has come waits for nothing before it any more; what has not come is dropped, core tells of it again.
Result<void> let_pass(AccountStore& account);
// Stretches of UIDs, from 1 to the end, each for one state entry.
inline constexpr std::size_t stated_at_once = 500;
Result<std::vector<std::pair<Uid, Uid>>> stretches(AccountStore& account, MailboxId mailbox);
// The entry for one, but for `visible` and `floor`.
Result<sync::StateEntry> load_state(AccountStore& account, MailboxId mailbox, Uid first, Uid last);
// These were expunged because they are elsewhere, as core says: while it is not here they are not told as
// gone.
Result<void> note_elsewhere(AccountStore& account, MailboxId mailbox, const UidSet& uids);

// ---- at core

struct Differences {
    UidSet leave;              // these numbers go at the peer
    OwnPlaces hide;            // these were expunged there
    UidSet bodies, copies;     // these are to come home
    std::vector<Uid> flags;    // of these the peer is to hear
    std::vector<Uid> nowhere;  // numbers that the peer gave itself: their messages have gone for good
    bool ahead = false;        // stamps were too far ahead: say it again
    bool changed = false;      // something was, here
};
// Flags are merged, and messages get new numbers, at once, in the caller's transaction. `since`: what is
// older has perhaps never been replicated.
Result<Differences> compare_state(AccountStore& account, NodeId peer, const sync::StateEntry& entry,
                                  UnixMillis since, UnixMillis now);

}  // namespace fwmail::store
