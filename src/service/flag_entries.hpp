// Entries that core and a remote apply alike.
#pragma once

#include "service/node.hpp"
#include "store/outside_mailboxes.hpp"
#include "sync/entries.hpp"

namespace fwmail::service {

struct FlagsApplied {
    store::Merged merged = store::Merged::unknown;
    bool ahead = false;  // some of it is stamped too far ahead: it is to come again
};

// The account's counter of messages whose flags were changed on both sides at about the same time: neither
// had acknowledged the other's word. All of it is merged.
inline std::string conflicts_counter(NodeId peer) { return "conflicts:" + peer.hex(); }

// Merges it into the message, which may be one that is not shown yet. The mailbox must be there.
Result<FlagsApplied> apply_flags(store::AccountStore& account, NodeId peer, MailboxId mailbox, Uid uid,
                                 sync::FlagState theirs, UnixMillis now);

// Likewise, whether a name is subscribed.
Result<FlagsApplied> apply_subscription_entry(store::AccountStore& account, NodeId peer,
                                              const sync::SubscriptionEntry& entry, UnixMillis now);
// What a mailbox entry says, for the store.
store::MailboxWord mailbox_word(const sync::MailboxEntry& entry);

// Says in the log and in the status that the clocks of the two nodes disagree.
net::Task<> report_clock(Node& node, NodeId peer);

}  // namespace fwmail::service
