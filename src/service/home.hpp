// At a remote: what its clients change is planned for core in the transaction that changes it, so that it
// cannot be shown and not sent.
#pragma once

#include <vector>

#include "service/node.hpp"

namespace fwmail::service {

// Cores to which this remote is linked. Empty at a core, and at a remote that is on its own.
std::vector<NodeId> home_of(const Node& node);
// Whether clients may change state here.
bool takes_changes(const Node& node);

// The flags of these messages go home, as they are when they are sent.
Result<> plan_flags_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                         const std::vector<store::FlagRow>& rows, UnixMillis now);
Result<> plan_expunge_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                           const std::vector<Uid>& uids, UnixMillis now);
Result<> plan_mailboxes_home(store::AccountStore& account, const std::vector<NodeId>& home,
                             const std::vector<MailboxId>& ids, UnixMillis now);
Result<> plan_subscription_home(store::AccountStore& account, const std::vector<NodeId>& home,
                                std::string_view name, UnixMillis now);
// After the commit.
void wake_sender(Node& node, AccountId account);

}  // namespace fwmail::service
