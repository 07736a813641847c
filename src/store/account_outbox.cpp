// Replication, sending side: what goes to each peer and is not acknowledged yet.
#include "store/account_rows.hpp"
#include "store/elsewhere.hpp"

namespace fwmail::store {
namespace {

Result<std::optional<std::int64_t>> find_peer(Database& db, NodeId peer) {
    auto q = TRY(db.query("SELECT id FROM peers WHERE peer=?", peer));
    if (!TRY(q.next())) return std::nullopt;
    return q.integer(0);
}

// Of `SELECT number,kind,mailbox,uid,prev_uid,object,email,offset,length,payload,state,attempts,first_sent,
// last_sent,due`.
OutboxRow read_row(const Query& q) {
    OutboxRow row;
    row.number = EntryNumber{q.natural(0)};
    row.kind = static_cast<int>(q.integer(1));
    row.mailbox = q.id<MailboxId>(2);
    row.uid = q.uid(3);
    row.prev_uid = q.uid(4);
    row.object = q.id<ObjectId>(5);
    row.email_id = q.id<EmailId>(6);
    row.offset = q.natural(7);
    row.length = q.natural(8);
    row.payload = q.text(9);
    row.state = q.enumerator<OutboxState>(10);
    row.attempts = q.natural32(11);
    row.first_sent = q.optional_time(12);
    row.last_sent = q.optional_time(13);
    row.due = q.time(14);
    return row;
}

Result<std::vector<OutboxRow>> read_rows(Query q) {
    std::vector<OutboxRow> rows;
    while (TRY(q.next())) rows.push_back(read_row(q));
    return rows;
}

Result<void> insert_row(Database& db, std::int64_t peer, EntryNumber number, const OutboxRow& r) {
    return db.run("INSERT INTO outbox VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", peer, number, r.kind,
                  r.mailbox, r.uid, r.prev_uid, r.object, r.email_id, r.offset, r.length, Blob{r.payload},
                  r.state, r.attempts, r.first_sent, r.last_sent, r.due, r.replaces);
}

}  // namespace

Result<std::int64_t> peer_row(Database& db, NodeId peer) {
    if (auto found = TRY(find_peer(db, peer))) return *found;
    TRY(db.run("INSERT INTO peers(peer,cursor,next_number) VALUES(?,0,1)", peer));
    return db.last_rowid();
}

Result<ModSeq> AccountStore::cursor(NodeId peer) {
    auto q = TRY(db_->query("SELECT cursor FROM peers WHERE peer=?", peer));
    return TRY(q.next()) ? q.modseq(0) : ModSeq{};
}

Result<EntryNumber> AccountStore::next_number(NodeId peer) {
    auto q = TRY(db_->query("SELECT next_number FROM peers WHERE peer=?", peer));
    return EntryNumber{TRY(q.next()) ? q.natural(0) : 1};
}

Result<std::vector<EntryNumber>> AccountStore::append_outbox(NodeId peer, const OutboxPlan& plan) {
    return atomically(*db_, [&]() -> Result<std::vector<EntryNumber>> {
        std::int64_t id = TRY(peer_row(*db_, peer));
        EntryNumber next = TRY(next_number(peer));
        TRY(db_->run(
            "UPDATE peers SET given_start=?1,given_random=?2,given_first=next_number WHERE id=?3 AND "
            "(given_start<>?1 OR given_random<>?2)",
            life_.start, life_.random, id));
        std::vector<EntryNumber> numbers;
        for (const auto& row : plan.rows) {
            if (row.number != EntryNumber{} && row.number < next)
                return fail(ErrorKind::internal, "an outbox number was given out before");
            if (row.number != EntryNumber{}) next = row.number;
            if (row.replaces)
                TRY(db_->run(
                    "UPDATE outbox INDEXED BY outbox_replacing SET state=?,due=? WHERE peer=? AND kind=? AND "
                    "mailbox=? AND uid=? "
                    "AND replaces=1 AND state<>?",
                    OutboxState::voided, row.due, id, row.kind, row.mailbox, row.uid, OutboxState::voided));
            TRY(insert_row(*db_, id, next, row));
            numbers.push_back(next);
            ++next.value;
        }
        TRY(db_->run("UPDATE peers SET cursor=max(cursor,?),next_number=? WHERE id=?", plan.cursor, next,
                     id));
        for (const auto& seal : plan.seals) TRY(record_seal(seal));
        for (const auto& p : plan.planned) TRY(set_planned(peer, p.mailbox, p.planned));
        return numbers;
    });
}

Result<std::vector<OutboxRow>> AccountStore::load_outbox_due(NodeId peer, UnixMillis now, std::size_t limit) {
    return read_rows(TRY(db_->query(
        "SELECT "
        "number,kind,mailbox,uid,prev_uid,object,email,offset,length,payload,state,attempts,first_sent,"
        "last_sent,due FROM outbox WHERE peer=(SELECT id FROM peers WHERE peer=?) AND due<=? ORDER BY "
        "due,number "
        "LIMIT ?",
        peer, now, limit)));
}

Result<std::vector<OutboxRow>> AccountStore::load_outbox(NodeId peer, const NumberSet& numbers,
                                                         std::size_t limit) {
    std::vector<OutboxRow> rows;
    for (const auto& i : numbers.list()) {
        if (rows.size() >= limit) break;
        auto some = TRY(read_rows(TRY(db_->query(
            "SELECT "
            "number,kind,mailbox,uid,prev_uid,object,email,offset,length,payload,state,attempts,first_sent,"
            "last_sent,due FROM outbox WHERE peer=(SELECT id FROM peers WHERE peer=?) AND number BETWEEN ? "
            "AND ? "
            "ORDER BY number LIMIT ?",
            peer, i.first, i.last, limit - rows.size()))));
        for (auto& row : some) rows.push_back(std::move(row));
    }
    return rows;
}

Result<UidSet> AccountStore::uids_in_outbox(NodeId peer, int kind, MailboxId mailbox, const UidSet& among) {
    auto q =
        TRY(db_->query("SELECT uid FROM outbox INDEXED BY outbox_replacing WHERE peer=(SELECT id FROM peers "
                       "WHERE peer=?) AND kind=? AND mailbox=? AND replaces=1 AND state<>?",
                       peer, kind, mailbox, OutboxState::voided));
    UidSet uids;
    while (TRY(q.next()))
        if (among.contains(q.natural(0))) uids.add(q.natural(0));
    return uids;
}

Result<bool> AccountStore::waits_in_outbox(NodeId peer, int kind, MailboxId mailbox, Uid uid) {
    auto q =
        TRY(db_->query("SELECT EXISTS(SELECT 1 FROM outbox INDEXED BY outbox_replacing WHERE peer=(SELECT id "
                       "FROM peers WHERE "
                       "peer=?) AND kind=? AND mailbox=? AND uid=? AND replaces=1 AND state<>?)",
                       peer, kind, mailbox, uid, OutboxState::voided));
    TRY(q.next());
    return q.boolean(0);
}

Result<> AccountStore::hurry_outbox(NodeId peer, UnixMillis now, UnixMillis unless_sent_since) {
    return db_->run(
        "UPDATE outbox SET due=?1 WHERE peer=(SELECT id FROM peers WHERE peer=?2) AND due>?1 AND "
        "coalesce(last_sent,0)<=?3",
        now, peer, unless_sent_since);
}

Result<std::optional<UnixMillis>> AccountStore::next_outbox_due(NodeId peer) {
    auto q =
        TRY(db_->query("SELECT min(due) FROM outbox WHERE peer=(SELECT id FROM peers WHERE peer=?)", peer));
    TRY(q.next());
    return q.optional_time(0);
}

Result<void> AccountStore::mark_sent(NodeId peer, const NumberSet& numbers, UnixMillis when,
                                     UnixMillis next_due) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& i : numbers.list())
            TRY(db_->run(
                "UPDATE outbox SET state=max(state,1),attempts=attempts+1,first_sent=coalesce(first_sent,?1),"
                "last_sent=?1,due=?2 WHERE peer=(SELECT id FROM peers WHERE peer=?3) AND number BETWEEN ?4 "
                "AND ?5",
                when, next_due, peer, i.first, i.last));
        return {};
    });
}

Result<void> AccountStore::mark_void(NodeId peer, const NumberSet& numbers, UnixMillis due) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& i : numbers.list())
            TRY(db_->run(
                "UPDATE outbox SET state=2,payload=x'',length=0,due=? WHERE peer=(SELECT id FROM peers WHERE "
                "peer=?) AND number BETWEEN ? AND ?",
                due, peer, i.first, i.last));
        return {};
    });
}

Result<std::size_t> AccountStore::acknowledge(NodeId peer, const NumberSet& numbers) {
    return atomically(*db_, [&]() -> Result<std::size_t> {
        std::size_t gone = 0;
        for (const auto& i : numbers.list()) {
            TRY(
                db_->run("DELETE FROM outbox WHERE peer=(SELECT id FROM peers WHERE peer=?) AND number "
                         "BETWEEN ? AND ?",
                         peer, i.first, i.last));
            gone += db_->changes();
        }
        return gone;
    });
}

Result<OutboxSummary> AccountStore::outbox_summary(NodeId peer, int message_kind) {
    auto q = TRY(db_->query(
        "SELECT count(*),total(length+length(payload)),count(*) FILTER (WHERE kind=? AND state<>2),"
        "min(first_sent) FROM outbox WHERE peer=(SELECT id FROM peers WHERE peer=?)",
        message_kind, peer));
    TRY(q.next());
    return OutboxSummary{q.natural(0), q.natural(1), q.natural(2), q.optional_time(3)};
}

Result<Planned> AccountStore::planned(NodeId peer, MailboxId mailbox) {
    auto q = TRY(db_->query(
        "SELECT last,chained FROM planned WHERE peer=(SELECT id FROM peers WHERE peer=?) AND mailbox=?", peer,
        mailbox));
    return TRY(q.next()) ? Planned{q.uid(0), q.uid(1)} : Planned{};
}

Result<void> AccountStore::set_planned(NodeId peer, MailboxId mailbox, Planned planned) {
    return atomically(*db_, [&]() -> Result<void> {
        return db_->run(
            "INSERT INTO planned VALUES(?,?,?,?) ON CONFLICT(peer,mailbox) DO UPDATE SET "
            "last=excluded.last,chained=excluded.chained",
            TRY(peer_row(*db_, peer)), mailbox, planned.last, planned.chained);
    });
}

Result<bool> AccountStore::knows_peer(NodeId peer) { return TRY(find_peer(*db_, peer)).has_value(); }

Result<void> AccountStore::forget_peer(NodeId peer) {
    return atomically(*db_, [&]() -> Result<void> {
        TRY(db_->run("UPDATE messages SET told_by=0 WHERE told_by=(SELECT id FROM peers WHERE peer=?)",
                     peer));
        TRY(db_->run("UPDATE expunged SET told_by=0 WHERE told_by=(SELECT id FROM peers WHERE peer=?)",
                     peer));
        for (const char* sql :
             {"UPDATE mailboxes SET told_by=0 WHERE told_by=(SELECT id FROM peers WHERE peer=?)",
              "UPDATE subscriptions SET told_by=0 WHERE told_by=(SELECT id FROM peers WHERE peer=?)"})
            TRY(db_->run(sql, peer));
        // Of what was filed here nobody will hear any more.
        TRY(
            db_->run("INSERT OR IGNORE INTO released(object,hold) SELECT object,hold FROM provisional WHERE "
                     "object<>zeroblob(16)"));
        for (auto mailbox : TRY(deleted_and_kept(*this))) TRY(expunge_any(mailbox, every_uid()));
        TRY(forget_kept(*this));
        TRY(db_->run("DELETE FROM provisional"));
        return db_->run("DELETE FROM peers WHERE peer=?", peer);
    });
}

// ---- applied numbers: disjoint intervals that never touch

Result<bool> AccountStore::is_applied(NodeId peer, EntryNumber number) {
    auto q =
        TRY(db_->query("SELECT last FROM applied WHERE peer=(SELECT id FROM peers WHERE peer=?) AND first<=? "
                       "ORDER BY first DESC LIMIT 1",
                       peer, number));
    return TRY(q.next()) && q.natural(0) >= number.value;
}

Result<void> AccountStore::mark_applied(NodeId peer, const NumberSet& numbers) {
    return atomically(*db_, [&]() -> Result<void> {
        std::int64_t id = TRY(peer_row(*db_, peer));
        for (const auto& i : numbers.list()) {
            constexpr std::uint64_t most = (std::uint64_t{1} << 62);
            if (i.last > most) return fail(ErrorKind::protocol, "an entry number is too large");
            std::uint64_t first = i.first, last = i.last;
            {
                // The one interval that may begin before and reach here, and all that begin inside or just
                // behind.
                auto q =
                    TRY(db_->query("SELECT first,last FROM applied WHERE peer=?1 AND first<=?3+1 AND first>="
                                   "coalesce((SELECT max(first) FROM applied WHERE peer=?1 AND first<?2),0)",
                                   id, first, last));
                while (TRY(q.next())) {
                    if (q.natural(1) + 1 < i.first) continue;
                    first = std::min(first, q.natural(0));
                    last = std::max(last, q.natural(1));
                }
            }
            TRY(db_->run("DELETE FROM applied WHERE peer=? AND first BETWEEN ? AND ?", id, first, last));
            TRY(db_->run("INSERT INTO applied VALUES(?,?,?)", id, first, last));
        }
        return {};
    });
}

Result<NumberSet> AccountStore::load_applied(NodeId peer) {
    auto q = TRY(db_->query(
        "SELECT first,last FROM applied WHERE peer=(SELECT id FROM peers WHERE peer=?) ORDER BY first",
        peer));
    NumberSet numbers;
    while (TRY(q.next())) numbers.add(q.natural(0), q.natural(1));
    return numbers;
}

}  // namespace fwmail::store
