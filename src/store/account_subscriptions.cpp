// Subscriptions: names that clients want to see, as registers.
#include "base/utf8.hpp"
#include "store/account_rows.hpp"

namespace fwmail::store {
namespace {

constexpr std::uint64_t most_names = 20'000;  // that were ever given

Result<bool> has_room(Database& db, std::string_view name) {
    auto q =
        TRY(db.query("SELECT (SELECT count(*) FROM subscriptions)<? OR EXISTS (SELECT 1 FROM "
                     "subscriptions WHERE name=?)",
                     most_names, name));
    TRY(q.next());
    return q.boolean(0);
}

Result<void> save(Database& db, AccountChange& change, std::string_view name, const sync::Subscription& s,
                  std::int64_t told_by) {
    TRY(db.run("INSERT OR REPLACE INTO subscriptions VALUES(?,?,?,?,?,?)", name, s.on, s.stamp.time,
               s.stamp.origin, change.next_modseq(0), told_by));
    return change.save();
}

}  // namespace

Result<std::optional<sync::Subscription>> AccountStore::find_subscription(std::string_view name) {
    auto q = TRY(db_->query("SELECT subscribed,time,origin FROM subscriptions WHERE name=?",
                            normal_mailbox_name(name)));
    if (!TRY(q.next())) return std::nullopt;
    return sync::Subscription{q.boolean(0), {q.natural(1), q.natural32(2)}};
}

Result<bool> AccountStore::set_subscribed(std::string_view given, bool subscribed, const Author& author) {
    std::string name = normal_mailbox_name(given);
    return atomically(*db_, [&]() -> Result<bool> {
        auto old = TRY(find_subscription(name));
        if ((old && old->on) == subscribed) return false;
        if (!TRY(has_room(*db_, name)))
            return fail(ErrorKind::refused, "[LIMIT] too many names have been subscribed in this account");
        auto change = TRY(AccountChange::begin(*db_));
        TRY(save(*db_, change, name, {subscribed, change.stamp(author)}, 0));
        return true;
    });
}

Result<Merged> AccountStore::merge_subscription(NodeId peer, std::string_view given,
                                                const sync::Subscription& theirs) {
    std::string name = normal_mailbox_name(given);
    return atomically(*db_, [&]() -> Result<Merged> {
        auto change = TRY(AccountChange::begin(*db_));
        change.see_stamp(theirs.stamp.time);
        TRY(change.save());
        auto old = TRY(find_subscription(name));
        if (old && sync::merge_subscriptions(*old, theirs) == *old) return Merged::same;
        if (!is_plain_utf8(name) || !TRY(has_room(*db_, name))) return Merged::unknown;
        TRY(save(*db_, change, name, theirs, TRY(peer_row(*db_, peer))));
        return Merged::changed;
    });
}

Result<std::vector<std::string>> AccountStore::load_subscriptions() {
    auto q = TRY(db_->query("SELECT name FROM subscriptions WHERE subscribed=1 ORDER BY name"));
    std::vector<std::string> names;
    while (TRY(q.next())) names.push_back(q.text(0));
    return names;
}

Result<std::vector<ChangedSubscription>> AccountStore::subscriptions_changed_since(ModSeq since,
                                                                                   NodeId but_by) {
    auto q =
        TRY(db_->query("SELECT name,subscribed,time,origin,modseq FROM subscriptions WHERE modseq>? AND "
                       "told_by<>ifnull((SELECT id FROM peers WHERE peer=?),-1) ORDER BY modseq",
                       since, but_by));
    std::vector<ChangedSubscription> out;
    while (TRY(q.next()))
        out.push_back({q.text(0), {q.boolean(1), {q.natural(2), q.natural32(3)}}, q.modseq(4)});
    return out;
}

}  // namespace fwmail::store
