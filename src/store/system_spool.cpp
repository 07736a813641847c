// The spool: mail that was answered with 250 and waits to be taken up by its accounts.
#include "store/database.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {

Result<Spooled> SystemStore::spool_message(const SpoolRequest& request) {
    return atomically(*db_, [&]() -> Result<Spooled> {
        if (!request.digest.empty()) {
            if (TRY(seen_within(request.digest, request.repeat_since))) {
                TRY(drop_object(request.object));  // this attempt's own
                return Spooled::repeated;
            }
            TRY(db_->run(
                "INSERT INTO digests VALUES(?,?) ON CONFLICT(digest) DO UPDATE SET seen=excluded.seen",
                Blob{request.digest}, request.now));
        }
        if (request.content) TRY(put_object(request.object, *request.content, request.now));
        for (const auto& row : request.rows) {
            TRY(db_->run(
                "INSERT OR IGNORE INTO spool(delivery,account,object,email,mailbox,received,envelope_sender,"
                "envelope,body,bodystructure,parts,keys,header,size,flags) "
                "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                row.delivery, row.account, request.object, row.email_id, row.mailbox, row.received,
                row.envelope_sender, row.texts.envelope, row.texts.body, row.texts.bodystructure,
                Blob{row.texts.parts}, Blob{row.texts.keys}, Blob{row.texts.header}, row.size,
                row.flags.text()));
            if (db_->changes() > 0) TRY(add_reference(request.object, {row.account, row.delivery}));
        }
        return Spooled::stored;
    });
}

Result<std::vector<SpoolRow>> SystemStore::load_spool(AccountId account, std::size_t limit) {
    auto q = TRY(db_->query(
        "SELECT delivery,account,object,email,mailbox,received,envelope_sender,envelope,body,"
        "bodystructure,parts,keys,header,size,flags FROM spool WHERE account=? ORDER BY id LIMIT ?",
        account, limit));
    std::vector<SpoolRow> rows;
    while (TRY(q.next())) {
        SpoolRow row;
        row.delivery = q.id<DeliveryId>(0);
        row.account = q.id<AccountId>(1);
        row.object = q.id<ObjectId>(2);
        row.email_id = q.id<EmailId>(3);
        row.mailbox = q.text(4);
        row.received = q.time(5);
        row.envelope_sender = q.text(6);
        row.texts = {q.text(7), q.text(8), q.text(9), q.text(10), q.text(11), q.text(12)};
        row.size = q.natural(13);
        row.flags = FlagSet::from_text(q.view(14));
        rows.push_back(std::move(row));
    }
    return rows;
}

Result<void> SystemStore::delete_spool(const std::vector<DeliveryId>& ids) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& id : ids) TRY(db_->run("DELETE FROM spool WHERE delivery=?", id));
        return {};
    });
}

Result<std::vector<AccountId>> SystemStore::accounts_with_spool() {
    auto q = TRY(db_->query("SELECT DISTINCT account FROM spool"));
    std::vector<AccountId> accounts;
    while (TRY(q.next())) accounts.push_back(q.id<AccountId>(0));
    return accounts;
}

Result<bool> SystemStore::seen_within(std::string_view digest, UnixMillis since) {
    auto q = TRY(db_->query("SELECT 1 FROM digests WHERE digest=? AND seen>=?", Blob{digest}, since));
    return TRY(q.next());
}

Result<void> SystemStore::prune_digests(UnixMillis before) {
    return db_->run("DELETE FROM digests WHERE seen<?", before);
}

}  // namespace fwmail::store
