// Flags entries of a peer, at core and at a remote alike.
#pragma once

#include "service/node.hpp"
#include "sync/entries.hpp"

namespace fwmail::service {

struct FlagsApplied {
    store::Merged merged = store::Merged::unknown;
    bool ahead = false;  // some of it is stamped too far ahead: it is to come again
};

// Merges it into the message, which may be one that is not shown yet. The mailbox must be there.
Result<FlagsApplied> apply_flags(store::AccountStore& account, NodeId peer, MailboxId mailbox, Uid uid,
                                 sync::FlagState theirs, UnixMillis now);

// Says in the log and in the status that the clocks of the two nodes disagree.
net::Task<> report_clock(Node& node, NodeId peer);

}  // namespace fwmail::service
