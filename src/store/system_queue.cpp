// The queue of outgoing mail.
#include <algorithm>

#include "store/database.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {
namespace {

Holder queue_holder(QueueId id) { return {AccountId{}, HoldId{id.bytes}}; }

std::string select_items(std::string_view rest) {
    std::string text =
        "SELECT q.id,q.object,q.sender,q.created,q.expires,q.kind,q.link,q.priority,q.next_attempt,q.held,"
        "o.size,q.skip,q.envid,q.ret,q.warned,q.utf8 FROM queue q LEFT JOIN objects o ON o.object=q.object ";
    return text.append(rest);
}

// Of select_items().
QueueItem read_item(const Query& q) {
    QueueItem item;
    item.id = q.id<QueueId>(0);
    item.object = q.id<ObjectId>(1);
    item.sender = q.text(2);
    item.created = q.time(3);
    item.expires = q.time(4);
    item.kind = q.enumerator<QueueKind>(5);
    item.link = q.id<NodeId>(6);
    item.priority = static_cast<int>(q.integer(7));
    item.next_attempt = q.time(8);
    item.held = q.boolean(9);
    item.size = q.natural(10);
    item.skip = q.natural(11);
    item.envid = q.text(12);
    item.ret = q.enumerator<DsnReturn>(13);
    item.warned = q.boolean(14);
    item.utf8 = q.boolean(15);
    return item;
}

Result<void> load_recipients(Database& db, QueueItem& item) {
    auto q =
        TRY(db.query("SELECT address,state,attempts,reply,notify,orcpt FROM queue_recipients WHERE queue=? "
                     "ORDER BY position",
                     item.id));
    while (TRY(q.next()))
        item.recipients.push_back({q.text(0), q.enumerator<RecipientState>(1), q.natural32(2), q.text(3),
                                   q.natural32(4), q.text(5)});
    return {};
}

Result<std::vector<QueueItem>> read_items(Query q) {
    std::vector<QueueItem> items;
    while (TRY(q.next())) items.push_back(read_item(q));
    return items;
}

}  // namespace

Result<bool> SystemStore::enqueue(const QueueItem& item, std::optional<std::string_view> content) {
    return atomically(*db_, [&]() -> Result<bool> {
        TRY(db_->run("INSERT OR IGNORE INTO queue VALUES(?,?,?,?,?,?,?,?,?,?,0,?,?,?,?,?)", item.id,
                     item.object, item.sender, item.created, item.expires, item.kind, item.link,
                     item.priority, item.next_attempt, item.held, item.skip, item.envid, item.ret,
                     item.warned, item.utf8));
        if (db_->changes() == 0) return false;
        if (content)
            TRY(put_object(item.object, *content, item.created,
                           item.kind == QueueKind::node ? Packing::none : Packing::if_it_pays));
        TRY(add_reference(item.object, queue_holder(item.id)));
        int position = 0;
        for (const auto& r : item.recipients)
            TRY(db_->run("INSERT INTO queue_recipients VALUES(?,?,?,?,?,?,?,?)", item.id, position++,
                         r.address, r.state, r.attempts, r.last_reply, r.notify, r.orcpt));
        return true;
    });
}

Result<std::vector<QueueItem>> SystemStore::due(UnixMillis now, UnixMillis lease_until, std::size_t limit) {
    return atomically(*db_, [&]() -> Result<std::vector<QueueItem>> {
        auto items = TRY(read_items(
            TRY(db_->query(select_items("WHERE q.held=0 AND q.next_attempt<=?1 AND q.lease_until<=?1 "
                                        "ORDER BY q.priority DESC,q.next_attempt LIMIT ?2"),
                           now, limit))));
        for (auto& item : items) {
            TRY(db_->run("UPDATE queue SET lease_until=? WHERE id=?", lease_until, item.id));
            TRY(load_recipients(*db_, item));
        }
        return items;
    });
}

Result<std::optional<UnixMillis>> SystemStore::next_due_time() {
    auto q = TRY(db_->query("SELECT min(max(next_attempt,lease_until)) FROM queue WHERE held=0"));
    if (!TRY(q.next())) return std::nullopt;
    return q.optional_time(0);
}

Result<void> SystemStore::update_recipients(QueueId id, const std::vector<QueueRecipient>& recipients) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& r : recipients)
            TRY(db_->run("UPDATE queue_recipients SET state=?,attempts=?,reply=? WHERE queue=? AND address=?",
                         r.state, r.attempts, r.last_reply, id, r.address));
        return {};
    });
}

Result<void> SystemStore::reschedule(QueueId id, UnixMillis next_attempt) {
    return db_->run("UPDATE queue SET next_attempt=?,lease_until=0 WHERE id=?", next_attempt, id);
}

Result<void> SystemStore::hurry_link(NodeId link, UnixMillis now) {
    return db_->run(
        "UPDATE queue SET next_attempt=?1 WHERE link=?2 AND held=0 AND next_attempt>?1 AND lease_until<=?1",
        now, link);
}

Result<void> SystemStore::set_held(QueueId id, bool held) {
    TRY(db_->run("UPDATE queue SET held=? WHERE id=?", held, id));
    if (db_->changes() == 0) return fail(ErrorKind::refused, "there is no such mail in the queue");
    return {};
}

Result<void> SystemStore::set_warned(QueueId id) {
    return db_->run("UPDATE queue SET warned=1 WHERE id=?", id);
}

Result<void> SystemStore::split(QueueId id, QueueId to, const std::vector<std::string>& addresses) {
    return atomically(*db_, [&]() -> Result<void> {
        auto item = TRY(find_queue_item(id));
        if (!item) return fail(ErrorKind::refused, "there is no such mail in the queue");
        TRY(
            db_->run("INSERT INTO queue SELECT ?,object,sender,created,expires,kind,link,priority,"
                     "next_attempt,held,lease_until,skip,envid,ret,warned,utf8 FROM queue WHERE id=?",
                     to, id));
        TRY(add_reference(item->object, queue_holder(to)));
        for (const auto& address : addresses)
            TRY(db_->run("UPDATE queue_recipients SET queue=? WHERE queue=? AND address=?", to, id, address));
        return {};
    });
}

Result<void> SystemStore::remove(QueueId id) {
    return atomically(*db_, [&]() -> Result<void> {
        auto item = TRY(find_queue_item(id));
        if (!item) return {};
        TRY(db_->run("DELETE FROM queue WHERE id=?", id));
        return release_reference(item->object, queue_holder(id));
    });
}

Result<std::optional<QueueItem>> SystemStore::find_queue_item(QueueId id) {
    auto items = TRY(read_items(TRY(db_->query(select_items("WHERE q.id=?"), id))));
    if (items.empty()) return std::nullopt;
    TRY(load_recipients(*db_, items[0]));
    return std::move(items[0]);
}

Result<std::vector<QueueItem>> SystemStore::load_queue(std::size_t limit) {
    auto items = TRY(read_items(TRY(db_->query(select_items("ORDER BY q.created,q.id LIMIT ?"), limit))));
    for (auto& item : items) TRY(load_recipients(*db_, item));
    return items;
}

Result<QueueSummary> SystemStore::queue_summary(NodeId link) {
    auto q =
        TRY(db_->query("SELECT count(*),total(o.size),min(q.created) FROM queue q "
                       "LEFT JOIN objects o ON o.object=q.object WHERE q.link=?",
                       link));
    TRY(q.next());
    return QueueSummary{q.natural(0), q.natural(1), q.optional_time(2)};
}

}  // namespace fwmail::store
