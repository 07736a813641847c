// Is an account's file in order?
#include "store/account_rows.hpp"
#include "store/check.hpp"

namespace fwmail::store {
namespace {

Result<void> check_mailboxes(Database& db, Problems& problems) {
    TRY(problems.each(db,
                      "SELECT b.name FROM mailboxes b WHERE uidnext<=(SELECT max(uid) FROM messages m "
                      "WHERE m.mailbox=b.id)",
                      "uidnext is not above the last UID in "));
    TRY(problems.each(db,
                      "SELECT b.name FROM mailboxes b WHERE uidnext<=(SELECT max(uid) FROM expunged e "
                      "WHERE e.mailbox=b.id)",
                      "uidnext is not above the last expunged UID in "));
    TRY(problems.each(db,
                      "SELECT b.name FROM mailboxes b LEFT JOIN (SELECT mailbox,count(*) n,"
                      "sum(flags&1=0) u,sum(flags&8<>0) d,sum(size) s,sum(iif(flags&8,size,0)) g "
                      "FROM messages GROUP BY mailbox) c "
                      "ON c.mailbox=b.id WHERE messages<>ifnull(n,0) OR unseen<>ifnull(u,0) OR "
                      "deleted_messages<>ifnull(d,0) OR octets<>ifnull(s,0) OR deleted_octets<>ifnull(g,0)",
                      "the counts are wrong in "));
    TRY(problems.each(db,
                      "SELECT b.name FROM mailboxes b WHERE highest_modseq<max(modseq,"
                      "ifnull((SELECT max(modseq) FROM messages m WHERE m.mailbox=b.id),0),"
                      "ifnull((SELECT max(modseq) FROM expunged e WHERE e.mailbox=b.id),0))",
                      "a modseq is above the mailbox's highest in "));
    TRY(problems.each(db,
                      "SELECT name FROM mailboxes,meta WHERE mailboxes.highest_modseq>meta.highest_modseq",
                      "a modseq is above the account's highest in "));
    // A remote may keep some there; and only a core plans.
    return problems.each(db,
                         "SELECT name FROM mailboxes b WHERE deleted<>0 AND messages>0 AND (EXISTS (SELECT 1 "
                         "FROM planned) OR NOT EXISTS (SELECT 1 FROM peers))",
                         "a deleted mailbox holds messages: ");
}

Result<void> check_messages(Database& db, Problems& problems) {
    TRY(problems.each(db,
                      "SELECT m.uid FROM messages m JOIN expunged e ON e.mailbox=m.mailbox AND e.uid=m.uid",
                      "a message is there and expunged, UID "));
    TRY(problems.each(db, "SELECT uid FROM messages WHERE created_modseq>modseq OR uid<1 OR uid>4294967295",
                      "a modseq or UID is out of order, UID "));
    TRY(problems.each(db,
                      "SELECT modseq FROM (SELECT modseq FROM messages UNION ALL SELECT modseq FROM expunged "
                      "UNION ALL SELECT modseq FROM mailboxes UNION ALL SELECT modseq FROM subscriptions) "
                      "GROUP BY modseq HAVING count(*)>1",
                      "a modseq was given twice: "));
    TRY(problems.each(db,
                      "SELECT uid FROM messages m LEFT JOIN message_texts t ON t.id=m.id WHERE t.id IS NULL",
                      "a message lacks its texts, UID "));
    TRY(problems.each(db,
                      "SELECT t.id FROM message_texts t LEFT JOIN messages m ON m.id=t.id WHERE m.id IS NULL",
                      "texts belong to no message, storage id "));
    TRY(problems.each(db,
                      "SELECT uid FROM messages m LEFT JOIN message_keys k ON k.id=m.id WHERE k.id IS NULL",
                      "a message lacks its keys, UID "));
    TRY(problems.each(db,
                      "SELECT k.id FROM message_keys k LEFT JOIN messages m ON m.id=k.id WHERE m.id IS NULL",
                      "keys belong to no message, storage id "));
    TRY(problems.each(
        db, "SELECT h.id FROM message_headers h LEFT JOIN messages m ON m.id=h.id WHERE m.id IS NULL",
        "a header belongs to no message, storage id "));
    TRY(problems.each(db, "SELECT m.id FROM messages m,meta WHERE m.id>meta.last_row",
                      "a storage id is above the last one given: "));
    return problems.each(db, "SELECT uid FROM messages GROUP BY hold HAVING count(*)>1",
                         "two messages share a hold, one has UID ");
}

Result<void> check_replication(Database& db, Problems& problems) {
    TRY(problems.each(db, "SELECT number FROM outbox o JOIN peers p ON p.id=o.peer WHERE number>=next_number",
                      "an outbox number has not been given out: "));
    TRY(problems.each(db, "SELECT p.cursor FROM peers p,meta WHERE p.cursor>meta.highest_modseq",
                      "a peer's cursor is above the highest modseq: "));
    TRY(problems.each(db,
                      "SELECT a.first FROM applied a JOIN applied b ON b.peer=a.peer AND b.first>a.first AND "
                      "b.first<=a.last+1",
                      "intervals of applied numbers touch at "));
    TRY(problems.each(
        db, "SELECT uid FROM pending WHERE (state IN (1,2))<>(object<>zeroblob(16)) OR prev_uid>=uid",
        "a pending message contradicts itself, UID "));
    TRY(problems.each(db,
                      "SELECT uid FROM provisional WHERE (object<>zeroblob(16))<>(hold<>zeroblob(16)) OR "
                      "(now_uid<>0)<>(now_mailbox<>zeroblob(16))",
                      "a provisional number contradicts itself, UID "));
    return problems.each(db, "SELECT start FROM pieces WHERE length<>length(data) OR start+length>total",
                         "a piece of a body has a wrong size, at ");
}

}  // namespace

Result<std::vector<std::string>> AccountStore::check(const std::function<bool(ObjectId)>& object_exists) {
    Problems problems;
    TRY(problems.integrity(*db_));
    TRY(check_mailboxes(*db_, problems));
    TRY(check_messages(*db_, problems));
    TRY(check_replication(*db_, problems));
    auto references = TRY(load_references());
    for (const auto& r : references.references)
        if (!object_exists(r.object)) problems.add("the body " + r.object.hex() + " is missing");
    return problems.take();
}

}  // namespace fwmail::store
