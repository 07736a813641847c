// Mailboxes: names, attributes, UID state.
#include <algorithm>

#include "base/random.hpp"
#include "base/utf8.hpp"
#include "store/account_rows.hpp"

namespace fwmail::store {
namespace {

#define MAILBOX_COLUMNS                                                                             \
    "id,mailbox,name,special_use,ifnull((SELECT subscribed FROM subscriptions s WHERE "             \
    "s.name=mailboxes.name),0),uidvalidity,sealed_uidvalidity,uidnext,created,modseq,"              \
    "highest_modseq,deleted,read_only,recent_from,visible,messages,unseen,deleted_messages,octets," \
    "deleted_octets,wanted,name_time,name_origin,use_time,use_origin,became"

MailboxRow read_mailbox(const Query& q) {
    MailboxRow row;
    row.row = q.integer(0);
    auto& m = row.mailbox;
    m.id = q.id<MailboxId>(1);
    m.name = q.text(2);
    m.special_use = q.text(3);
    m.subscribed = q.boolean(4);
    m.uidvalidity = UidValidity{q.natural32(5)};
    m.sealed_uidvalidity = UidValidity{q.natural32(6)};
    m.uidnext = q.uid(7);
    m.created = q.time(8);
    m.modseq = q.modseq(9);
    m.highest_modseq = q.modseq(10);
    m.deleted = q.boolean(11);
    m.deleted_by_core = q.integer(11) == deleted_by_core;
    m.read_only = q.boolean(12);
    m.recent_from = q.uid(13);
    m.visible = q.uid(14);
    m.wanted = q.text(20);
    m.named = {q.natural(21), q.natural32(22)};
    m.used = {q.natural(23), q.natural32(24)};
    m.became = q.id<MailboxId>(25);
    row.messages = q.natural(15);
    row.unseen = q.natural(16);
    row.deleted = q.natural(17);
    row.octets = q.natural(18);
    row.deleted_octets = q.natural(19);
    return row;
}

Result<std::optional<MailboxRow>> one_row(Query q) {
    if (!TRY(q.next())) return std::nullopt;
    return read_mailbox(q);
}

Result<std::vector<Mailbox>> read_mailboxes(Query q) {
    std::vector<Mailbox> out;
    while (TRY(q.next())) out.push_back(read_mailbox(q).mailbox);
    return out;
}

Result<void> check_name(std::string_view name) {
    if (name.empty() || name.size() > 1000)
        return fail(ErrorKind::refused, "a mailbox name has 1 to 1000 octets");
    if (!is_plain_utf8(name))
        return fail(ErrorKind::refused, "a mailbox name is UTF-8 without control characters");
    return {};
}

Result<void> name_taken(Result<void> result, std::string_view name) {
    if (!result && result.error().kind == ErrorKind::refused)
        return fail(ErrorKind::refused, "there is a mailbox " + std::string(name) + " already");
    return result;
}

// Takes a modseq for a change of the mailbox's attributes.
Result<void> touch(Database& db, std::int64_t row) {
    auto change = TRY(AccountChange::begin(db));
    TRY(db.run("UPDATE mailboxes SET modseq=?,told_by=0 WHERE id=?", change.next_modseq(row), row));
    return change.save();
}

Blob became_octets(const Mailbox& m) {
    return Blob{m.became.is_zero() ? std::string_view() : m.became.octets()};
}

Result<void> insert_mailbox(Database& db, const Mailbox& m) {
    TRY(name_taken(
        db.run("INSERT INTO mailboxes(mailbox,name,special_use,uidvalidity,sealed_uidvalidity,"
               "uidnext,created,modseq,highest_modseq,deleted,read_only,recent_from,visible,messages,"
               "unseen,deleted_messages,octets,deleted_octets,wanted,name_time,name_origin,use_time,"
               "use_origin,became) VALUES(?,?,?,?,?,?,?,0,0,?,?,1,0,0,0,0,0,0,?,?,?,?,?,?)",
               m.id, m.name, m.special_use, m.uidvalidity, m.sealed_uidvalidity, m.uidnext, m.created,
               m.deleted, m.read_only, m.wanted, m.named.time, m.named.origin, m.used.time, m.used.origin,
               became_octets(m)),
        m.name));
    return touch(db, db.last_rowid());
}

Result<Mailbox> reload(Database& db, MailboxId id) {
    auto row = TRY(find_mailbox_row(db, id));
    if (!row) return fail(ErrorKind::internal, "a mailbox row has vanished");
    return row->mailbox;
}

}  // namespace

std::string normal_mailbox_name(std::string_view name) {
    return equal_ignoring_case(name, "INBOX") ? "INBOX" : std::string(name);
}

Result<std::optional<MailboxRow>> find_mailbox_row(Database& db, MailboxId id) {
    return one_row(TRY(db.query("SELECT " MAILBOX_COLUMNS " FROM mailboxes WHERE mailbox=?", id)));
}

Result<MailboxRow> any_mailbox_row(Database& db, MailboxId id) {
    auto row = TRY(find_mailbox_row(db, id));
    if (!row) return fail(ErrorKind::refused, "there is no such mailbox");
    return *row;
}

Result<MailboxRow> get_mailbox_row(Database& db, MailboxId id) {
    auto row = TRY(any_mailbox_row(db, id));
    if (row.mailbox.deleted) return fail(ErrorKind::refused, "there is no such mailbox");
    return row;
}

Result<Mailbox> AccountStore::create_mailbox(std::string_view name, std::string_view special_use,
                                             UnixMillis now, std::optional<MailboxId> id,
                                             std::optional<UidValidity> uidvalidity) {
    TRY(check_name(name));
    return atomically(*db_, [&]() -> Result<Mailbox> {
        Mailbox m;
        m.id = id ? *id : make_mailbox_id(now);
        m.name = m.wanted = normal_mailbox_name(name);
        m.special_use = special_use;
        m.uidvalidity = uidvalidity ? *uidvalidity : TRY(next_uidvalidity());
        m.sealed_uidvalidity = TRY(next_uidvalidity());
        m.created = now;
        TRY(insert_mailbox(*db_, m));
        return reload(*db_, m.id);
    });
}

Result<Mailbox> AccountStore::upsert_mailbox(const Mailbox& mailbox) {
    TRY(check_name(mailbox.name));
    return atomically(*db_, [&]() -> Result<Mailbox> {
        Mailbox m = mailbox;
        m.name = normal_mailbox_name(m.name);
        if (m.wanted.empty()) m.wanted = m.name;
        auto old = TRY(find_mailbox_row(*db_, m.id));
        if (!old) {
            TRY(insert_mailbox(*db_, m));
            return reload(*db_, m.id);
        }
        if (m.deleted && !old->mailbox.deleted) TRY(delete_mailbox(m.id));
        const auto& o = old->mailbox;
        bool same = o.name == m.name && o.state() == m.state() && o.became == m.became &&
                    o.uidvalidity == m.uidvalidity && o.sealed_uidvalidity == m.sealed_uidvalidity &&
                    o.uidnext >= m.uidnext && o.read_only == m.read_only && o.created == m.created;
        if (same) return o;
        TRY(name_taken(
            db_->run("UPDATE mailboxes SET name=?,special_use=?,uidvalidity=?,sealed_uidvalidity=?,"
                     "uidnext=max(uidnext,?),created=?,deleted=?,read_only=?,wanted=?,name_time=?,"
                     "name_origin=?,use_time=?,use_origin=?,became=? WHERE id=?",
                     m.name, m.special_use, m.uidvalidity, m.sealed_uidvalidity, m.uidnext, m.created,
                     m.deleted, m.read_only, m.wanted, m.named.time, m.named.origin, m.used.time,
                     m.used.origin, became_octets(m), old->row),
            m.name));
        TRY(touch(*db_, old->row));
        return reload(*db_, m.id);
    });
}

Result<std::vector<MailboxId>> AccountStore::rename_mailbox(std::string_view from_name,
                                                            std::string_view to_name, const Author& author) {
    std::string from = normal_mailbox_name(from_name), to = normal_mailbox_name(to_name);
    TRY(check_name(to));
    if (from == "INBOX") return fail(ErrorKind::refused, "INBOX is not renamed: move its messages");
    if (to == from) return fail(ErrorKind::refused, "there is a mailbox " + to + " already");
    if (to.starts_with(from + mailbox_delimiter))
        return fail(ErrorKind::refused, "a mailbox cannot be moved below itself");
    return atomically(*db_, [&]() -> Result<std::vector<MailboxId>> {
        // Inferiors sort between `from/` and `from0`, 0 being the character after the delimiter.
        std::vector<std::pair<std::int64_t, std::string>> rows;
        std::vector<MailboxId> ids;
        bool found = false;
        {
            auto q =
                TRY(db_->query("SELECT id,name,mailbox FROM mailboxes WHERE deleted=0 AND (name=?1 OR "
                               "(name>?1||'/' AND name<?1||'0'))",
                               from));
            while (TRY(q.next())) {
                rows.emplace_back(q.integer(0), to + q.text(1).substr(from.size()));
                ids.push_back(q.id<MailboxId>(2));
                found = found || q.view(1) == from;
            }
        }
        if (!found) return fail(ErrorKind::refused, "there is no mailbox " + from);
        // By way of names that nobody can have, because a new name may be the old one of the next.
        for (const auto& [row, name] : rows)
            TRY(db_->run("UPDATE mailboxes SET name=char(1)||id WHERE id=?", row));
        auto change = TRY(AccountChange::begin(*db_));
        auto stamp = change.stamp(author);
        TRY(change.save());
        for (const auto& [row, name] : rows) {
            TRY(check_name(name));
            TRY(name_taken(db_->run("UPDATE mailboxes SET name=?1,wanted=?1,name_time=?2,name_origin=?3 "
                                    "WHERE id=?4",
                                    name, stamp.time, stamp.origin, row),
                           name));
            TRY(touch(*db_, row));
        }
        return ids;
    });
}

Result<void> AccountStore::delete_mailbox(MailboxId id, const UidSet& kept) {
    return atomically(*db_, [&]() -> Result<void> {
        UidSet going = every_uid();
        for (const auto& i : kept.list()) going.remove(i.first, i.last);
        auto row = TRY(get_mailbox_row(*db_, id));
        auto change = TRY(AccountChange::begin(*db_));
        TRY(expunge_rows(*db_, change, row.row, going, Which::all));
        TRY(change.save());
        TRY(drop_pending(*db_, row.row));
        TRY(db_->run("UPDATE mailboxes SET deleted=1 WHERE id=?", row.row));
        return touch(*db_, row.row);
    });
}

Result<void> AccountStore::set_special_use(MailboxId id, std::string_view special_use) {
    return atomically(*db_, [&]() -> Result<void> {
        auto row = TRY(get_mailbox_row(*db_, id));
        if (row.mailbox.special_use == special_use) return {};
        TRY(db_->run("UPDATE mailboxes SET special_use=? WHERE id=?", special_use, row.row));
        return touch(*db_, row.row);
    });
}

Result<void> AccountStore::set_read_only(MailboxId id, bool read_only) {
    return atomically(*db_, [&]() -> Result<void> {
        auto row = TRY(get_mailbox_row(*db_, id));
        if (row.mailbox.read_only == read_only) return {};
        TRY(db_->run("UPDATE mailboxes SET read_only=? WHERE id=?", read_only, row.row));
        return touch(*db_, row.row);
    });
}

Result<void> AccountStore::set_uid_state(MailboxId id, UidValidity uidvalidity, UidValidity sealed,
                                         Uid uidnext) {
    return atomically(*db_, [&]() -> Result<void> {
        auto row = TRY(get_mailbox_row(*db_, id));
        TRY(
            db_->run("UPDATE mailboxes SET uidvalidity=iif(?1=0,uidvalidity,?1),"
                     "sealed_uidvalidity=iif(?2=0,sealed_uidvalidity,?2),uidnext=max(uidnext,?3) WHERE id=?4",
                     uidvalidity, sealed, uidnext, row.row));
        return touch(*db_, row.row);
    });
}

Result<Usage> AccountStore::usage() {
    auto q = TRY(db_->query("SELECT ifnull(sum(octets),0),ifnull(sum(messages),0) FROM mailboxes"));
    TRY(q.next());
    return Usage{q.natural(0), q.natural(1)};
}

Result<void> AccountStore::check_quota(const Quota& quota, const Usage& more) {
    if (!quota.any() || quota.has_room(TRY(usage()), more)) return {};
    return fail(ErrorKind::refused, "[OVERQUOTA] there is not enough room left in this account");
}

Result<void> AccountStore::check_mailbox_count(std::uint64_t most) {
    if (most == 0) return {};
    auto q = TRY(db_->query("SELECT count(*),ifnull(sum(deleted=0),0) FROM mailboxes"));
    TRY(q.next());
    // The ids of deleted ones are kept for ever: whoever makes and deletes without end comes to an end as
    // well.
    if (q.natural(1) < most && q.natural(0) / 10 < most) return {};
    return fail(ErrorKind::refused, "[LIMIT] there are too many mailboxes in this account");
}

Result<std::vector<Mailbox>> AccountStore::load_mailboxes() {
    return read_mailboxes(
        TRY(db_->query("SELECT " MAILBOX_COLUMNS " FROM mailboxes WHERE deleted=0 ORDER BY name")));
}

Result<std::optional<Mailbox>> AccountStore::find_mailbox(std::string_view name) {
    auto row = TRY(one_row(TRY(db_->query(
        "SELECT " MAILBOX_COLUMNS " FROM mailboxes WHERE name=? AND deleted=0", normal_mailbox_name(name)))));
    if (!row) return std::nullopt;
    return row->mailbox;
}

Result<std::optional<Mailbox>> AccountStore::find_mailbox(MailboxId id) {
    auto row = TRY(find_mailbox_row(*db_, id));
    if (!row) return std::nullopt;
    return row->mailbox;
}

Result<std::vector<Mailbox>> AccountStore::mailboxes_changed_since(ModSeq since, NodeId but_by) {
    return read_mailboxes(
        TRY(db_->query("SELECT " MAILBOX_COLUMNS " FROM mailboxes WHERE modseq>? AND "
                       "told_by<>ifnull((SELECT id FROM peers WHERE peer=?),-1) ORDER BY modseq",
                       since, but_by)));
}

Result<Uid> AccountStore::claim_recent(MailboxId id) {
    return atomically(*db_, [&]() -> Result<Uid> {
        auto row = TRY(get_mailbox_row(*db_, id));
        if (row.mailbox.recent_from < row.mailbox.uidnext)
            TRY(db_->run("UPDATE mailboxes SET recent_from=uidnext WHERE id=?", row.row));
        return row.mailbox.recent_from;
    });
}

}  // namespace fwmail::store
