// Core and remote see that they agree, without either having lost anything: core tells a digest of each
// mailbox, and what does not agree the remote tells whole, as after a loss (fwmail-sync(7), DIGESTS).
//
// Invariants: digests are compared only where each side has applied all that the other has told, and has
// nothing to tell itself. Reading them changes nothing.
#pragma once

#include <optional>
#include <vector>

#include "service/epochs.hpp"
#include "sync/frame.hpp"

namespace fwmail::service {

// What is there now, on either side. Nothing: something is to be told, or not acknowledged, or is compared
// after a loss already. `since`: what is older is left out.
Result<std::optional<sync::Digests>> make_digests(store::AccountStore& account, const EpochTurn& turn,
                                                  UnixMillis since);

// At a remote.
struct Difference {
    sync::Compared outcome;
    std::vector<MailboxId> mailboxes;  // that differ, and are known here
    bool names = false;                // the subscribed names differ
    bool lost = false;                 // core has mailboxes that are not known here
};
// Nothing: the two do not stand at the same cut, so that there is nothing to compare.
Result<std::optional<Difference>> find_difference(store::AccountStore& account, const EpochTurn& turn,
                                                  const sync::Digests& theirs);
// The outcome is kept, and all of what differs goes to core. False: the account has left the cut since, and
// the outcome counts for nothing.
Result<bool> tell_difference(store::AccountStore& account, const EpochTurn& turn, const sync::Digests& theirs,
                             const Difference& difference);

// At core: what the remote has found. Both sides keep the last outcome. False: nobody has asked, or it has
// come.
Result<bool> take_outcome(store::AccountStore& account, NodeId peer, const sync::Compared& outcome,
                          UnixMillis now);
struct Outcome {
    UnixMillis when;
    sync::Compared found;
    std::uint64_t count = 0;  // comparisons of this account on this link, with this one
};
Result<std::optional<Outcome>> last_outcome(store::AccountStore& account, NodeId peer);

// At core: digests go now. Asked again only after a while.
Result<> note_asked(store::AccountStore& account, NodeId peer, UnixMillis now);
// `interval`: in milliseconds, between two comparisons.
Result<bool> comparison_due(store::AccountStore& account, NodeId peer, std::int64_t interval, UnixMillis now);

}  // namespace fwmail::service
