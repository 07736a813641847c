#include "store/outside_expunges.hpp"

#include "store/account_rows.hpp"
#include "sync/wire.hpp"

namespace fwmail::store {
namespace {

constexpr std::size_t most_intervals = 10'000;
constexpr std::uint64_t most_held = 1000;

struct HiddenRow {
    std::int64_t id = 0;
    NewMessage message;  // its mailbox is where it was
};

Result<std::vector<HiddenRow>> load_hidden(Database& db, UnixMillis since) {
    auto q = TRY(db.query(
        "SELECT "
        "id,mailbox,flags,keywords,email,object,hold,size,date,zone,envelope,body,bodystructure,parts,keys,"
        "header FROM hidden WHERE since>=? ORDER BY mailbox,uid",
        since));
    std::vector<HiddenRow> rows;
    while (TRY(q.next())) {
        HiddenRow row;
        row.id = q.integer(0);
        auto& m = row.message;
        m.mailbox = q.id<MailboxId>(1);
        m.flags = flags_from(q.natural32(2), q.view(3));
        m.flags.system &= ~std::uint32_t{FlagSet::deleted};  // or the next EXPUNGE would take it again
        m.email_id = q.id<EmailId>(4);
        m.object = q.id<ObjectId>(5);
        m.hold = q.id<HoldId>(6);
        m.size = q.natural(7);
        m.date = q.time(8);
        m.zone_minutes = static_cast<int>(q.integer(9));
        m.texts = {q.text(10), q.text(11), q.text(12), q.text(13), q.text(14), q.text(15)};
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace

Result<MailboxRow> mailbox_or_its_like(Database& db, AccountStore& account, MailboxId id, UnixMillis now) {
    auto row = TRY(find_mailbox_row(db, id));
    if (row && !row->mailbox.deleted) return *row;
    std::string name = row ? row->mailbox.name : "INBOX";
    auto other = TRY(account.find_mailbox(name));
    if (!other) other = TRY(account.create_mailbox(name, "", now));
    return get_mailbox_row(db, other->id);
}

Result<std::uint64_t> count_messages(AccountStore& account, MailboxId mailbox, const UidSet& uids) {
    Database& db = account.database();
    auto row = TRY(get_mailbox_row(db, mailbox));
    std::uint64_t count = 0;
    for (const auto& i : uids.list()) {
        auto q = TRY(db.query("SELECT count(*) FROM messages WHERE mailbox=? AND uid BETWEEN ? AND ?",
                              row.row, i.first, i.last));
        TRY(q.next());
        count += q.natural(0);
    }
    return count;
}

Result<std::uint64_t> hide_messages(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids,
                                    UnixMillis now, bool tell) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<std::uint64_t> {
        auto row = TRY(get_mailbox_row(db, mailbox));
        for (const auto& i : uids.list())
            TRY(db.run(
                "INSERT INTO hidden(mailbox,uid,peer,since,flags,keywords,email,object,hold,size,date,"
                "zone,envelope,body,bodystructure,parts,keys,header) SELECT "
                "?1,m.uid,?2,?3,m.flags,m.keywords,"
                "m.email,m.object,m.hold,m.size,m.date,m.zone,t.envelope,t.body,t.bodystructure,t.parts,k."
                "keys,ifnull(h.header,x'') "
                "FROM messages m JOIN message_texts t ON t.id=m.id JOIN message_keys k ON k.id=m.id "
                "LEFT JOIN message_headers h ON h.id=m.id WHERE "
                "m.mailbox=?4 AND m.uid BETWEEN "
                "?5 AND ?6",
                mailbox, peer, now, row.row, i.first, i.last));
        auto change = TRY(AccountChange::begin(db));
        auto gone = TRY(expunge_rows(db, change, row.row, uids, Which::all));
        TRY(change.save());
        TRY(db.run("DELETE FROM released WHERE hold IN (SELECT hold FROM hidden WHERE mailbox=? AND since=?)",
                   mailbox, now));
        if (tell) return gone.uids.size();
        std::int64_t told_by = TRY(peer_row(db, peer));
        for (auto uid : gone.uids)
            TRY(db.run("UPDATE expunged SET told_by=? WHERE mailbox=? AND uid=?", told_by, row.row, uid));
        return gone.uids.size();
    });
}

Result<std::uint64_t> count_hidden(AccountStore& account, UnixMillis since) {
    auto q = TRY(account.database().query("SELECT count(*) FROM hidden WHERE since>=?", since));
    TRY(q.next());
    return q.natural(0);
}

Result<std::uint64_t> restore_hidden(AccountStore& account, UnixMillis since, UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<std::uint64_t> {
        auto rows = TRY(load_hidden(db, since));
        // First, since a mailbox may have to be made.
        for (const auto& row : rows) TRY(mailbox_or_its_like(db, account, row.message.mailbox, now));
        auto change = TRY(AccountChange::begin(db));
        std::map<std::int64_t, Uid> next;  // by mailbox row: several may have gone, and share one
        for (auto& [id, message] : rows) {
            auto target = TRY(mailbox_or_its_like(db, account, message.mailbox, now));
            Uid& uidnext = next.try_emplace(target.row, target.mailbox.uidnext).first->second;
            message.uid = TRY(take_uid(uidnext));
            message.saved_at = now;
            TRY(insert_message(db, change, target.row, message));
            TRY(db.run("DELETE FROM hidden WHERE id=?", id));
        }
        TRY(change.save());
        return rows.size();
    });
}

Result<UidSet> told_up_to(AccountStore& account, NodeId peer, MailboxId mailbox, Uid last) {
    Database& db = account.database();
    auto row = TRY(get_mailbox_row(db, mailbox));
    auto told = std::min(last, TRY(account.planned(peer, mailbox)).last);
    auto q = TRY(db.query("SELECT uid FROM messages WHERE mailbox=? AND uid<=? AND seal_state=?", row.row,
                          told, SealState::sealed));
    UidSet uids;
    while (TRY(q.next())) uids.add(q.natural(0));
    auto own =
        TRY(db.query("SELECT now_uid FROM outside_numbers WHERE peer=(SELECT id FROM peers WHERE peer=?1) "
                     "AND mailbox=?2 AND now_mailbox=?2 AND uid<=?3 AND now_uid>0",
                     peer, mailbox, last));
    while (TRY(own.next())) uids.add(own.natural(0));
    return uids;
}

Result<std::uint64_t> delete_outside(AccountStore& account, NodeId peer, MailboxId id, const UidSet& uids,
                                     UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<std::uint64_t> {
        std::uint64_t hidden = TRY(hide_messages(account, peer, id, uids, now));
        auto row = TRY(get_mailbox_row(db, id));
        const auto& old = row.mailbox;
        std::int64_t told_by = TRY(peer_row(db, peer));
        if (row.messages > 0 || !old.special_use.empty()) {
            TRY(db.run("UPDATE mailboxes SET name=char(1)||id WHERE id=?", row.row));
            auto heir = TRY(account.create_mailbox(old.name, old.special_use, now));
            TRY(account.move(id, every_uid(), heir.id, now));
            TRY(account.delete_mailbox(id));
            TRY(db.run("UPDATE mailboxes SET name=?,special_use='' WHERE id=?", old.name, row.row));
        } else {
            TRY(account.delete_mailbox(id));
        }
        TRY(db.run("UPDATE mailboxes SET told_by=? WHERE id=?", told_by, row.row));
        return hidden;
    });
}

Result<void> forget_hidden(AccountStore& account, UnixMillis before) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        TRY(db.run("INSERT OR IGNORE INTO released(object,hold) SELECT object,hold FROM hidden WHERE since<?",
                   before));
        return db.run("DELETE FROM hidden WHERE since<?", before);
    });
}

Result<void> hold_expunge(AccountStore& account, const HeldExpunge& held) {
    {
        auto q = TRY(account.database().query("SELECT count(*) FROM held_expunges"));
        TRY(q.next());
        if (q.natural(0) >= most_held)
            return fail(ErrorKind::refused, "too many deletions wait: fwmail expunged list shows them");
    }
    sync::Writer uids;
    uids.uids(held.uids);
    return account.database().run(
        "INSERT INTO held_expunges(peer,mailbox,uids,count,since,deletes) VALUES(?,?,?,?,?,?)", held.peer,
        held.mailbox, Blob{uids.text()}, held.count, held.since, held.deletes);
}

Result<std::vector<HeldExpunge>> load_held_expunges(AccountStore& account) {
    auto q = TRY(account.database().query(
        "SELECT id,peer,mailbox,uids,count,since,deletes FROM held_expunges ORDER BY id"));
    std::vector<HeldExpunge> out;
    while (TRY(q.next())) {
        sync::Reader uids(q.view(3));
        out.push_back({q.integer(0), q.id<NodeId>(1), q.id<MailboxId>(2), TRY(uids.uids(most_intervals)),
                       q.natural(4), q.time(5), q.boolean(6)});
    }
    return out;
}

Result<void> drop_held_expunge(AccountStore& account, std::int64_t id) {
    return account.database().run("DELETE FROM held_expunges WHERE id=?", id);
}

Result<HiddenSummary> summarize_hidden(AccountStore& account) {
    auto q = TRY(account.database().query(
        "SELECT (SELECT count(*) FROM hidden),(SELECT ifnull(sum(count),0) FROM held_expunges)"));
    TRY(q.next());
    return HiddenSummary{q.natural(0), q.natural(1)};
}

}  // namespace fwmail::store
