#include "service/flag_entries.hpp"

#include "service/outbox_kinds.hpp"

namespace fwmail::service {

Result<FlagsApplied> apply_flags(store::AccountStore& account, NodeId peer, MailboxId mailbox, Uid uid,
                                 sync::FlagState theirs, UnixMillis now) {
    FlagsApplied applied;
    applied.ahead = sync::drop_ahead(theirs, now);
    bool said = !peer.is_zero() && TRY(account.waits_in_outbox(peer, outbox_flags, mailbox, uid));
    applied.merged = TRY(account.merge_flags(peer, mailbox, uid, theirs));
    if (said && applied.merged == store::Merged::changed) TRY(account.count_up(conflicts_counter(peer)));
    return applied;
}

Result<FlagsApplied> apply_subscription_entry(store::AccountStore& account, NodeId peer,
                                              const sync::SubscriptionEntry& entry, UnixMillis now) {
    if (sync::is_ahead(entry.stamp, now)) return FlagsApplied{store::Merged::unknown, true};
    return FlagsApplied{TRY(account.merge_subscription(peer, entry.name, {entry.on, entry.stamp})), false};
}

store::MailboxWord mailbox_word(const sync::MailboxEntry& entry) {
    return {entry.mailbox,
            {entry.name, entry.named, entry.special_use, entry.used, entry.deleted},
            entry.sealed_uidvalidity,
            entry.last_uid};
}

net::Task<> report_clock(Node& node, NodeId peer) {
    auto link = node.links.find(peer);
    std::string name = link ? link->link.name : peer.hex();
    std::string reason =
        "changes are stamped more than 5 minutes ahead of the clock here: they wait; set the clocks";
    node.log.warning("link", "link " + name + ": " + reason);
    auto job = [name, reason, now = node.clock()](store::SystemStore& system) {
        return system.add_refusal(now, "link " + name, reason);
    };
    auto noted = co_await node.write(store::system_file, std::move(job));
    if (!noted) node.log.error("link", noted.error().text);
}

}  // namespace fwmail::service
