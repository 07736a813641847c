// What the search index asks of an account.
#include "store/account_rows.hpp"

namespace fwmail::store {

Result<std::vector<Message>> AccountStore::load_unindexed(std::int64_t after, std::size_t limit) {
    auto q =
        TRY(db_->query("SELECT m.uid,m.email,m.object,m.hold,m.id,m.size,t.parts FROM messages m "
                       "CROSS JOIN message_texts t ON t.id=m.id WHERE m.id>? ORDER BY m.id LIMIT ?",
                       after, limit));
    std::vector<Message> out;
    while (TRY(q.next())) {
        Message m;
        m.uid = q.uid(0);
        m.email_id = q.id<EmailId>(1);
        m.object = q.id<ObjectId>(2);
        m.hold = q.id<HoldId>(3);
        m.storage_id = q.integer(4);
        m.size = q.natural(5);
        m.texts.parts = q.text(6);
        out.push_back(std::move(m));
    }
    return out;
}

Result<std::vector<std::pair<std::int64_t, ObjectId>>> AccountStore::load_storage_ids(std::int64_t after,
                                                                                      std::size_t limit) {
    auto q = TRY(db_->query("SELECT id,object FROM messages WHERE id>? ORDER BY id LIMIT ?", after, limit));
    std::vector<std::pair<std::int64_t, ObjectId>> out;
    while (TRY(q.next())) out.emplace_back(q.integer(0), q.id<ObjectId>(1));
    return out;
}

Result<std::uint64_t> AccountStore::count_after(std::int64_t storage_id) {
    auto q = TRY(db_->query("SELECT count(*) FROM messages WHERE id>?", storage_id));
    TRY(q.next());
    return q.natural(0);
}

}  // namespace fwmail::store
