#include "service/home.hpp"

#include <utility>

#include "service/outbox_kinds.hpp"
#include "sync/entries.hpp"

namespace fwmail::service {

std::vector<NodeId> home_of(const Node& node) {
    std::vector<NodeId> home;
    auto links = node.links.all();
    for (const auto& record : *links)
        if (record.link.role == "core") home.push_back(record.link.peer);
    return home;
}

namespace {

Result<> plan_home(store::AccountStore& account, const std::vector<NodeId>& home,
                   std::vector<store::OutboxRow> rows) {
    if (rows.empty()) return {};
    for (auto core : home) {
        if (!TRY(account.knows_peer(core))) continue;  // another core's account
        store::OutboxPlan plan;
        plan.cursor = TRY(account.cursor(core));
        plan.rows = rows;
        TRY(account.append_outbox(core, plan));
    }
    return {};
}

}  // namespace

bool takes_changes(const Node& node) { return node.is_core() || !home_of(node).empty(); }

Result<> plan_flags_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                         const std::vector<store::FlagRow>& rows, UnixMillis now) {
    std::vector<store::OutboxRow> out;
    store::OutboxRow row;
    row.kind = outbox_flags;
    row.mailbox = mailbox;
    row.due = now;
    row.replaces = true;
    for (const auto& changed : rows) {
        if (!changed.changed) continue;
        row.uid = changed.uid;
        out.push_back(row);
    }
    return plan_home(account, home, std::move(out));
}

Result<> plan_expunge_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                           const std::vector<Uid>& uids, UnixMillis now) {
    std::vector<store::OutboxRow> out;
    UidSet set;
    auto flush = [&] {
        store::OutboxRow row;
        row.kind = outbox_expunge;
        row.mailbox = mailbox;
        row.due = now;
        row.payload = sync::encode_entry(sync::ExpungeEntry{mailbox, std::exchange(set, {}), Uid{}});
        out.push_back(std::move(row));
    };
    for (auto uid : uids) {
        set.add(uid.value);
        if (set.list().size() == sync::max_uid_intervals) flush();
    }
    if (!set.empty()) flush();
    return plan_home(account, home, std::move(out));
}

Result<> plan_mailboxes_home(store::AccountStore& account, const std::vector<NodeId>& home,
                             const std::vector<MailboxId>& ids, UnixMillis now) {
    std::vector<store::OutboxRow> out;
    for (auto id : ids) {
        store::OutboxRow row;
        row.kind = outbox_mailbox;
        row.mailbox = id;
        row.due = now;
        row.replaces = true;
        out.push_back(row);
    }
    return plan_home(account, home, std::move(out));
}

Result<> plan_subscription_home(store::AccountStore& account, const std::vector<NodeId>& home,
                                std::string_view name, UnixMillis now) {
    store::OutboxRow row;
    row.kind = outbox_subscription;
    row.payload = name;
    row.due = now;
    return plan_home(account, home, {row});
}

void wake_sender(Node& node, AccountId account) {
    node.hub.outbox_changed(account);
    node.link_wake.notify();
}

}  // namespace fwmail::service
