// Replication, receiving side: messages that are announced and not shown yet, and the pieces of their bodies.
#include <algorithm>

#include "store/account_rows.hpp"

namespace fwmail::store {
namespace {

#define PENDING_COLUMNS                                                                           \
    "b.mailbox,p.uid,p.prev_uid,p.email,p.size,p.sha256,p.date,p.zone,p.flags,p.arrived,p.state," \
    "p.object,p.hold,p.stamps,p.reseals"

Result<PendingMessage> read_pending(const Query& q) {
    PendingMessage p;
    p.mailbox = q.id<MailboxId>(0);
    p.uid = q.uid(1);
    if (!q.null(2)) p.prev_uid = q.uid(2);
    p.email_id = q.id<EmailId>(3);
    p.size = q.natural(4);
    p.sha256 = q.text(5);
    p.date = q.time(6);
    p.zone_minutes = static_cast<int>(q.integer(7));
    p.flags = FlagSet::from_text(q.view(8));
    p.arrived = q.time(9);
    p.state = q.enumerator<BodyState>(10);
    p.object = q.id<ObjectId>(11);
    p.hold = q.id<HoldId>(12);
    p.registers = TRY(sync::decode_registers(q.view(13)));
    p.reseals = q.boolean(14);
    return p;
}

Result<PendingMessage> read_with_texts(const Query& q) {
    PendingMessage p = TRY(read_pending(q));
    p.texts = {q.text(15), q.text(16), q.text(17), q.text(18), q.text(19), q.text(20)};
    return p;
}

Result<std::optional<PendingMessage>> one_pending(Query q) {
    if (!TRY(q.next())) return std::nullopt;
    return TRY(read_with_texts(q));
}

Result<std::optional<PendingMessage>> find_row(Database& db, std::int64_t mailbox, Uid uid) {
    return one_pending(TRY(db.query("SELECT " PENDING_COLUMNS
                                    ",p.envelope,p.body,p.bodystructure,p.parts,p.keys,p.header FROM pending "
                                    "p JOIN mailboxes b ON b.id=p.mailbox WHERE p.mailbox=? AND p.uid=?",
                                    mailbox, uid)));
}

Result<void> delete_row(Database& db, std::int64_t mailbox, Uid uid) {
    return db.run("DELETE FROM pending WHERE mailbox=? AND uid=?", mailbox, uid);
}

NewMessage shown_message(PendingMessage& p, UnixMillis now) {
    NewMessage m;
    m.mailbox = p.mailbox;
    m.hold = p.hold;
    m.email_id = p.email_id;
    m.object = p.object;
    m.size = p.size;
    m.date = p.date;
    m.zone_minutes = p.zone_minutes;
    m.flags = std::move(p.flags);
    m.registers = std::move(p.registers);
    m.texts = std::move(p.texts);
    m.saved_at = now;
    m.uid = p.uid;
    return m;
}

Result<void> remember_gone(Database& db, std::int64_t mailbox, Uid uid, UnixMillis now) {
    return db.run(
        "INSERT OR IGNORE INTO pending VALUES(?,?,NULL,zeroblob(16),0,x'',0,0,'',x'',?,?,zeroblob(16),"
        "zeroblob(16),'','','',x'',x'',x'',0)",
        mailbox, uid, now, BodyState::gone);
}

// Unless another message waits for the same body.
Result<void> drop_unwanted_pieces(Database& db, EmailId email) {
    return db.run(
        "DELETE FROM pieces WHERE email=?1 AND NOT EXISTS "
        "(SELECT 1 FROM pending WHERE email=?1 AND state IN (0,2))",
        email);
}

// Likewise, when the rows up to this UID go.
Result<void> drop_pieces_up_to(Database& db, std::int64_t mailbox, Uid uid) {
    return db.run(
        "DELETE FROM pieces WHERE email IN (SELECT email FROM pending WHERE mailbox=?1 AND uid<=?2) AND NOT "
        "EXISTS (SELECT 1 FROM pending p WHERE p.email=pieces.email AND p.state IN (0,2) AND (p.mailbox<>?1 "
        "OR "
        "p.uid>?2))",
        mailbox, uid);
}

// Every UID up to this one is gone.
Result<void> all_gone_up_to(Database& db, std::int64_t mailbox, Uid uid, UnixMillis now) {
    TRY(db.run(
        "INSERT OR IGNORE INTO released(object,hold) SELECT object,hold FROM pending WHERE mailbox=? AND "
        "uid<=? AND object<>zeroblob(16)",
        mailbox, uid));
    TRY(drop_pieces_up_to(db, mailbox, uid));
    TRY(db.run("DELETE FROM pending WHERE mailbox=? AND uid<=?", mailbox, uid));
    return db.run(
        "INSERT INTO pending "
        "VALUES(?,?,0,zeroblob(16),0,x'',0,0,'',x'',?,?,zeroblob(16),zeroblob(16),'','','',"
        "x'',x'',x'',0)",
        mailbox, uid, now, BodyState::gone);
}

}  // namespace

Result<bool> AccountStore::insert_pending(const PendingMessage& m) {
    return atomically(*db_, [&]() -> Result<bool> {
        auto row = TRY(get_mailbox_row(*db_, m.mailbox));
        if (m.uid <= row.mailbox.visible) return false;
        auto old = TRY(find_row(*db_, row.row, m.uid));
        if (old) {
            if (!old->prev_uid)
                TRY(db_->run(
                    "UPDATE pending SET prev_uid=?,email=?,size=?,sha256=? WHERE mailbox=? AND uid=?",
                    m.prev_uid, m.email_id, m.size, Blob{m.sha256}, row.row, m.uid));
            return false;
        }
        TRY(db_->run("INSERT INTO pending VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row.row, m.uid,
                     m.prev_uid, m.email_id, m.size, Blob{m.sha256}, m.date, m.zone_minutes, m.flags.text(),
                     Blob{sync::encode_registers(m.registers)}, m.arrived, m.state, m.object, m.hold,
                     m.texts.envelope, m.texts.body, m.texts.bodystructure, Blob{m.texts.parts},
                     Blob{m.texts.keys}, Blob{m.texts.header}, m.reseals));
        return true;
    });
}

Result<std::optional<PendingMessage>> AccountStore::find_pending(MailboxId mailbox, Uid uid) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    return find_row(*db_, row.row, uid);
}

Result<std::vector<PendingMessage>> AccountStore::find_pending(EmailId id) {
    auto q = TRY(db_->query("SELECT " PENDING_COLUMNS
                            ",p.envelope,p.body,p.bodystructure,p.parts,p.keys,p.header FROM pending p "
                            "JOIN mailboxes b ON b.id=p.mailbox WHERE p.email=?",
                            id));
    std::vector<PendingMessage> out;
    while (TRY(q.next())) out.push_back(TRY(read_with_texts(q)));
    return out;
}

Result<std::vector<PendingMessage>> AccountStore::load_pending(BodyState state, std::size_t limit) {
    auto q = TRY(db_->query("SELECT " PENDING_COLUMNS " FROM pending p JOIN mailboxes b ON b.id=p.mailbox "
                            "WHERE p.state=? ORDER BY p.arrived LIMIT ?",
                            state, limit));
    std::vector<PendingMessage> out;
    while (TRY(q.next())) out.push_back(TRY(read_pending(q)));
    return out;
}

Result<bool> AccountStore::set_pending_body(MailboxId mailbox, Uid uid, const PendingBody& body) {
    if (body.state != BodyState::ready && body.state != BodyState::stub)
        return fail(ErrorKind::internal, "a pending body is ready or a stub");
    return atomically(*db_, [&]() -> Result<bool> {
        auto row = TRY(get_mailbox_row(*db_, mailbox));
        auto old = TRY(find_row(*db_, row.row, uid));
        // Too late, or expunged meanwhile, or the body came before its stub: the caller's reference is given
        // back.
        if (!old || old->state == BodyState::gone ||
            (body.state == BodyState::stub && old->state != BodyState::missing)) {
            TRY(journal_release(*db_, body.object, body.hold));
            return false;
        }
        if (old->hold != body.hold) TRY(journal_release(*db_, old->object, old->hold));
        TRY(db_->run(
            "UPDATE pending SET state=?,object=?,hold=?,size=?,envelope=?,body=?,bodystructure=?,parts=?,"
            "keys=?,header=? "
            "WHERE mailbox=? AND uid=?",
            body.state, body.object, body.hold, body.size, body.texts.envelope, body.texts.body,
            body.texts.bodystructure, Blob{body.texts.parts}, Blob{body.texts.keys}, Blob{body.texts.header},
            row.row, uid));
        return true;
    });
}

Result<void> AccountStore::set_pending_gone(MailboxId mailbox, const UidSet& uids, UnixMillis now) {
    return atomically(*db_, [&]() -> Result<void> {
        auto row = TRY(get_mailbox_row(*db_, mailbox));
        constexpr std::uint64_t most = 100'000;  // remembered by one call
        std::uint64_t count = 0;
        for (const auto& i : uids.list()) {
            if (i.last <= row.mailbox.visible.value) continue;
            if (i.first == 1) {  // all up to there: one row says so, since nothing comes before it
                TRY(all_gone_up_to(*db_, row.row, Uid{static_cast<std::uint32_t>(i.last)}, now));
                continue;
            }
            std::uint64_t first = std::max(i.first, row.mailbox.visible.value + 1);
            count += i.last - first + 1;
            if (count > most)
                return fail(ErrorKind::refused, "too many messages are expunged before they were shown");
            for (std::uint64_t n = first; n <= i.last; ++n) {
                Uid uid{static_cast<std::uint32_t>(n)};
                TRY(remember_gone(*db_, row.row, uid, now));
                if (db_->changes() > 0) continue;
                auto old = TRY(find_row(*db_, row.row, uid));
                if (old) TRY(journal_release(*db_, old->object, old->hold));
                TRY(db_->run(
                    "UPDATE pending SET state=3,object=zeroblob(16),hold=zeroblob(16),envelope='',body='',"
                    "bodystructure='',parts=x'',keys=x'',header=x'' WHERE mailbox=? AND uid=?",
                    row.row, uid));
                if (old) TRY(drop_unwanted_pieces(*db_, old->email_id));
            }
        }
        return {};
    });
}

Result<std::vector<Uid>> AccountStore::advance_visible(MailboxId mailbox, UnixMillis now) {
    return atomically(*db_, [&]() -> Result<std::vector<Uid>> {
        auto row = TRY(get_mailbox_row(*db_, mailbox));
        auto change = TRY(AccountChange::begin(*db_));
        Uid watermark = row.mailbox.visible;
        std::vector<Uid> shown;
        for (;;) {
            // The next one is the one that names a shown UID, or one below, before it: all between are gone.
            // What is gone and has no such word of its own (withheld, or behind the horizon) is passed over
            // by it.
            auto p = TRY(one_pending(TRY(db_->query(
                "SELECT " PENDING_COLUMNS
                ",p.envelope,p.body,p.bodystructure,p.parts,p.keys,p.header FROM pending p JOIN mailboxes b "
                "ON b.id=p.mailbox WHERE p.mailbox=?1 AND p.reseals=0 AND (p.uid<=?2 OR p.prev_uid<=?2) "
                "ORDER BY p.uid LIMIT 1",
                row.row, watermark))));
            if (!p) break;
            Uid uid = p->uid;
            if (uid <= watermark) {
                // An own message took its number meanwhile.
                TRY(journal_release(*db_, p->object, p->hold));
                TRY(delete_row(*db_, row.row, uid));
                continue;
            }
            if (p->state == BodyState::missing) break;
            if (p->state != BodyState::gone) {
                Seal seal{{}, p->size, p->sha256, SealState::sealed, {}};
                if (p->state == BodyState::stub) seal = {};
                TRY(insert_message(*db_, change, row.row, shown_message(*p, now), seal));
                shown.push_back(uid);
            }
            change.use_uid(row.row, uid);
            watermark = uid;
            TRY(delete_row(*db_, row.row, uid));
        }
        TRY(change.save());
        return shown;
    });
}

Result<Merged> merge_pending_flags(Database& db, std::int64_t mailbox, Uid uid,
                                   const sync::FlagState& theirs) {
    auto old = TRY(find_row(db, mailbox, uid));
    if (!old) return Merged::unknown;
    auto state = sync::merge_flags({old->flags, old->registers}, theirs);
    if (state == sync::FlagState{old->flags, old->registers}) return Merged::same;
    if (state.registers.size() > sync::max_registers) return Merged::same;
    TRY(db.run("UPDATE pending SET flags=?,stamps=? WHERE mailbox=? AND uid=?", state.flags.text(),
               Blob{sync::encode_registers(state.registers)}, mailbox, uid));
    return Merged::changed;
}

Result<void> drop_pending(Database& db, std::int64_t mailbox) {
    TRY(db.run(
        "INSERT OR IGNORE INTO released(object,hold) SELECT object,hold FROM pending WHERE mailbox=? AND "
        "object<>zeroblob(16)",
        mailbox));
    TRY(drop_pieces_up_to(db, mailbox, Uid{0xffffffff}));
    return db.run("DELETE FROM pending WHERE mailbox=?", mailbox);
}

// ---- pieces

Result<void> AccountStore::insert_chunk(EmailId id, std::string_view sha256, std::uint64_t offset,
                                        std::uint64_t total, std::string_view data) {
    constexpr std::uint64_t largest = std::uint64_t{1} << 40;
    if (total > largest || data.empty() || offset > total || data.size() > total - offset)
        return fail(ErrorKind::protocol, "a piece of a body lies outside of it");
    return atomically(*db_, [&]() -> Result<void> {
        {
            auto q = TRY(
                db_->query("SELECT total FROM pieces WHERE email=? AND sha256=? LIMIT 1", id, Blob{sha256}));
            if (TRY(q.next()) && q.natural(0) != total)
                return fail(ErrorKind::protocol, "the pieces of a body name different sizes");
        }
        return db_->run(
            "INSERT INTO pieces(email,sha256,start,total,length,data) VALUES(?,?,?,?,?,?) ON "
            "CONFLICT(email,sha256,start) "
            "DO UPDATE SET data=excluded.data,length=excluded.length WHERE excluded.length>length",
            id, Blob{sha256}, offset, total, data.size(), Blob{data});
    });
}

Result<ChunkCoverage> AccountStore::chunk_coverage(EmailId id, std::string_view sha256) {
    auto q = TRY(db_->query("SELECT start,length,total FROM pieces WHERE email=? AND sha256=? ORDER BY start",
                            id, Blob{sha256}));
    ChunkCoverage out;
    while (TRY(q.next())) {
        out.total = q.natural(2);
        out.present.add(q.natural(0), q.natural(0) + q.natural(1) - 1);
    }
    return out;
}

Result<std::string> AccountStore::read_chunk(EmailId id, std::string_view sha256, std::uint64_t offset) {
    auto q = TRY(db_->query(
        "SELECT start,data FROM pieces WHERE email=?1 AND sha256=?2 AND start<=?3 AND start+length>?3 "
        "ORDER BY start DESC LIMIT 1",
        id, Blob{sha256}, offset));
    if (!TRY(q.next())) return std::string();
    return std::string(q.view(1).substr(offset - q.natural(0)));
}

Result<void> AccountStore::delete_chunks(EmailId id, std::string_view sha256) {
    return db_->run("DELETE FROM pieces WHERE email=? AND sha256=?", id, Blob{sha256});
}

Result<std::uint64_t> AccountStore::piece_octets() {
    auto q = TRY(db_->query("SELECT ifnull(sum(length),0) FROM pieces"));
    TRY(q.next());
    return q.natural(0);
}

Result<void> AccountStore::sweep_pieces(UnixMillis now, UnixMillis before) {
    constexpr std::string_view waits =
        "EXISTS (SELECT 1 FROM pending p WHERE p.email=pieces.email AND p.state IN (0,2))";
    return atomically(*db_, [&]() -> Result<void> {
        TRY(db_->run("UPDATE pieces SET stray=NULL WHERE stray IS NOT NULL AND " + std::string(waits)));
        TRY(db_->run("UPDATE pieces SET stray=? WHERE stray IS NULL AND NOT " + std::string(waits), now));
        return db_->run("DELETE FROM pieces WHERE stray<?", before);
    });
}

}  // namespace fwmail::store
