// At a remote: what its clients change is planned for core in the transaction that changes it, so that it
// cannot be shown and not sent.
#pragma once

#include <map>
#include <vector>

#include "service/node.hpp"
#include "sync/entries.hpp"

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
// These were copied, or moved (`moved`), and have the numbers that this remote has given them.
Result<> plan_copies_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId from,
                          MailboxId to, const std::vector<store::UidPair>& pairs, bool moved, UnixMillis now);
// Messages were appended, and have these numbers.
struct AppendedHere {
    sync::AppendRequestEntry request;  // without its number
    store::Reference body;             // what goes home: the object itself, or the message sealed to core
};
Result<> plan_appends_home(store::AccountStore& account, const std::vector<NodeId>& home,
                           std::vector<AppendedHere> appended, const std::vector<Uid>& uids,
                           std::size_t chunk_octets, UnixMillis now);
// The chunks of what goes home for a request, whose own row comes behind them.
void add_chunks(std::vector<store::OutboxRow>& rows, const store::OutboxRow& request_row,
                const sync::AppendRequestEntry& request, ObjectId body, std::size_t chunk_octets);
// Core does not have these any more: they are appended, or copied from themselves, once more. Of those whose
// body is not among `bodies` nothing is done. What is used of these is taken out.
Result<> plan_returns_home(store::AccountStore& account, NodeId core, const sync::ReturnEntry& wanted,
                           std::map<store::Place, store::Reference>& bodies, std::size_t chunk_octets,
                           UnixMillis now);
// Shows of the mailbox what can be shown now. A message that has come under another number than it was given
// here goes from that one in the same moment.
Result<> show_arrived(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                      UnixMillis now);
// Core says what has become of a number: now everything else may be said of it.
Result<> take_confirmation(store::AccountStore& account, NodeId core, const store::Place& place,
                           const store::Place& now_at, UnixMillis now);
// These are elsewhere, as core says: they go, at once or when they are seen there.
Result<> leave_unless_kept(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                           UidSet uids, UnixMillis now);
// Messages go whose flags core has not heard of, or not all: what was said of them goes home all the same.
// Core knows what has become of them.
Result<> keep_said_flags(store::AccountStore& account, NodeId core, MailboxId mailbox, const UidSet& uids,
                         UnixMillis now);
// After the commit.
void wake_sender(Node& node, AccountId account);

}  // namespace fwmail::service
