// Reading mailboxes: snapshot, status, changes, messages.
#include <algorithm>
#include <set>

#include "store/account_rows.hpp"

namespace fwmail::store {
namespace {

constexpr std::uint32_t text_columns = column_envelope | column_body | column_bodystructure | column_parts;

// A column costs whether it is looked at or not, and a text that is not wanted
// is not read from the disk.
std::string select_messages(std::uint32_t columns) {
    std::string sql = "SELECT uid,modseq,created_modseq";
    auto add = [&](std::uint32_t column, std::string_view names, std::string_view instead) {
        (sql += ',') += columns & column ? names : instead;
    };
    add(column_flags, "flags,keywords", "NULL,NULL");
    add(column_identity, "email,object,hold,m.id", "NULL,NULL,NULL,NULL");
    add(column_size, "size", "NULL");
    add(column_date, "date,zone,saved_at", "NULL,NULL,NULL");
    add(column_seal, "seal_seed,seal_size,seal_sha256,seal_state,seal_reason", "NULL,NULL,NULL,NULL,NULL");
    add(column_registers, "stamps", "NULL");
    add(column_envelope, "envelope", "NULL");
    add(column_body, "body", "NULL");
    add(column_bodystructure, "bodystructure", "NULL");
    add(column_parts, "parts", "NULL");
    add(column_header, "header", "NULL");
    sql += " FROM messages m";
    if (columns & text_columns) sql += " CROSS JOIN message_texts t ON t.id=m.id";
    if (columns & column_header) sql += " LEFT JOIN message_headers h ON h.id=m.id";
    return sql + " WHERE mailbox=? AND uid BETWEEN ? AND ? ORDER BY uid";
}

constexpr std::string_view select_keys =
    "SELECT uid,modseq,date,size,keys FROM messages m CROSS JOIN message_keys k ON k.id=m.id WHERE mailbox=? "
    "AND uid BETWEEN ? AND ? ORDER BY uid";
constexpr std::string_view select_keyless =
    "SELECT uid,modseq,date,size FROM messages WHERE mailbox=? AND uid BETWEEN ? AND ? ORDER BY uid";

// The same columns must be read into `m` each time.
Result<void> read_message(const Query& q, std::uint32_t columns, Message& m) {
    m.uid = q.uid(0);
    m.modseq = q.modseq(1);
    m.created_modseq = q.modseq(2);
    if (columns & column_flags) m.flags = flags_from(q.natural32(3), q.view(4));
    if (columns & column_identity) {
        m.email_id = q.id<EmailId>(5);
        m.object = q.id<ObjectId>(6);
        m.hold = q.id<HoldId>(7);
        m.storage_id = q.integer(8);
    }
    if (columns & column_size) m.size = q.natural(9);
    if (columns & column_date) {
        m.date = q.time(10);
        m.zone_minutes = static_cast<int>(q.integer(11));
        m.saved_at = q.time(12);
    }
    if (columns & column_seal)
        m.seal = {q.text(13), q.natural(14), q.text(15), q.enumerator<SealState>(16), q.text(17)};
    if (columns & column_registers) m.registers = TRY(sync::decode_registers(q.view(18)));
    if (columns & column_envelope) m.texts.envelope = q.view(19);
    if (columns & column_body) m.texts.body = q.view(20);
    if (columns & column_bodystructure) m.texts.bodystructure = q.view(21);
    if (columns & column_parts) m.texts.parts = q.view(22);
    if (columns & column_header) m.texts.header = q.view(23);
    return {};
}

// Which messages there are, and what is used in them.
Result<> read_snapshot(Database& db, const MailboxRow& row, Snapshot& s) {
    s.uids.reserve(row.messages);
    std::set<std::string, std::less<>> texts;  // few distinct ones, however many messages
    auto q = TRY(db.query("SELECT uid,flags,keywords FROM messages WHERE mailbox=? ORDER BY uid", row.row));
    while (TRY(q.next())) {
        s.uids.push_back(q.uid(0));
        if (s.first_unseen == Uid{} && !(q.natural32(1) & FlagSet::seen)) s.first_unseen = q.uid(0);
        auto keywords = q.view(2);
        if (!keywords.empty() && !texts.contains(keywords)) texts.emplace(keywords);
    }
    FlagSet all;
    for (const auto& t : texts) all.add(FlagSet::from_text(t));
    s.keywords = std::move(all.keywords);
    return {};
}

}  // namespace

Result<Snapshot> AccountStore::select_snapshot(MailboxId mailbox, const Snapshot* known) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    Snapshot s;
    s.mailbox = row.mailbox;
    s.unseen = row.unseen;
    s.deleted = row.deleted;
    // Every change of a message, and its coming and going, raises the mailbox's
    // modseq.
    bool stands = known && known->mailbox.id == mailbox &&
                  known->mailbox.uidvalidity == row.mailbox.uidvalidity &&
                  known->mailbox.highest_modseq == row.mailbox.highest_modseq;
    if (stands) {
        s.uids = known->uids;
        s.first_unseen = known->first_unseen;
        s.keywords = known->keywords;
    } else {
        TRY(read_snapshot(*db_, row, s));
    }
    s.recent =
        static_cast<std::uint64_t>(s.uids.end() - std::ranges::lower_bound(s.uids, s.mailbox.recent_from));
    return s;
}

Result<MailboxStatus> AccountStore::status(MailboxId mailbox) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    MailboxStatus s{row.mailbox,  row.messages, row.unseen,        row.deleted,
                    row.messages, row.octets,   row.deleted_octets};
    if (row.mailbox.recent_from.value <= 1) return s;  // all of them: none need be counted
    auto q = TRY(db_->query("SELECT count(*) FROM messages WHERE mailbox=? AND uid>=?", row.row,
                            row.mailbox.recent_from));
    TRY(q.next());
    s.recent = q.natural(0);
    return s;
}

Result<Changes> AccountStore::changes_since(MailboxId mailbox, ModSeq since) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    Changes c;
    c.highest = row.mailbox.highest_modseq;
    if (c.highest <= since) return c;
    auto q =
        TRY(db_->query("SELECT uid,modseq,created_modseq,flags,keywords FROM messages "
                       "WHERE mailbox=? AND modseq>? ORDER BY uid",
                       row.row, since));
    while (TRY(q.next())) {
        c.rows.push_back({q.uid(0), q.modseq(1), flags_from(q.natural32(3), q.view(4)), true});
        if (q.modseq(2) > since) c.added.push_back(q.uid(0));
    }
    auto e =
        TRY(db_->query("SELECT uid FROM expunged WHERE mailbox=? AND modseq>? ORDER BY uid", row.row, since));
    while (TRY(e.next())) c.expunged.add(e.natural32(0));
    return c;
}

Result<ChangedUids> AccountStore::changed_uids(MailboxId mailbox, ModSeq since, ModSeq until) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    ChangedUids out;
    if (row.mailbox.highest_modseq <= since) return out;
    auto q =
        TRY(db_->query("SELECT uid FROM messages WHERE mailbox=? AND modseq>? ORDER BY uid", row.row, since));
    while (TRY(q.next())) out.changed.add(q.natural32(0));
    auto e =
        TRY(db_->query("SELECT uid FROM expunged WHERE mailbox=? AND modseq>? AND modseq<=? ORDER BY uid",
                       row.row, since, until));
    while (TRY(e.next())) out.expunged.add(e.natural32(0));
    auto first = TRY(db_->query("SELECT first_modseq FROM meta"));
    if (!TRY(first.next()) || first.modseq(0) <= since || row.mailbox.uidnext.value < 2) return out;
    // The client knows a file that was lost. What went there left no row here: all that is not there is gone.
    out.expunged.add(1, row.mailbox.uidnext.value - 1);
    for (const auto& there : out.changed.list()) out.expunged.remove(there.first, there.last);
    auto later = TRY(db_->query("SELECT uid FROM expunged WHERE mailbox=? AND modseq>?", row.row, until));
    while (TRY(later.next())) out.expunged.remove(later.natural32(0), later.natural32(0));
    return out;
}

Result<bool> AccountStore::visit_messages(MailboxId mailbox, const UidSet& uids, std::uint32_t columns,
                                          Uid after, const std::function<Result<bool>(Message&)>& take) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    std::string sql = select_messages(columns);
    const auto& list = uids.list();
    auto it = std::ranges::upper_bound(list, after.value, {}, &UidSet::Interval::last);
    Message message;
    for (; it != list.end() && it->first < row.mailbox.uidnext.value; ++it) {
        std::uint32_t first = after.value >= it->first ? after.value + 1 : it->first;
        auto q = TRY(db_->query(sql, row.row, first, it->last));
        while (TRY(q.next())) {
            TRY(read_message(q, columns, message));
            if (!TRY(take(message))) return false;
        }
    }
    return true;
}

Result<std::vector<Message>> AccountStore::load_messages(MailboxId mailbox, const UidSet& uids,
                                                         std::uint32_t columns, std::size_t limit,
                                                         Uid after) {
    std::vector<Message> out;
    if (limit == 0) return out;
    TRY(visit_messages(mailbox, uids, columns, after, [&](Message& message) -> Result<bool> {
        out.push_back(std::move(message));
        return out.size() < limit;
    }));
    return out;
}

Result<bool> AccountStore::visit_keys(MailboxId mailbox, const UidSet& uids, Uid after, bool with_keys,
                                      const std::function<Result<bool>(const KeyRow&)>& take) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    const auto& list = uids.list();
    auto it = std::ranges::upper_bound(list, after.value, {}, &UidSet::Interval::last);
    for (; it != list.end() && it->first < row.mailbox.uidnext.value; ++it) {
        std::uint32_t first = after.value >= it->first ? after.value + 1 : it->first;
        auto q = TRY(db_->query(with_keys ? select_keys : select_keyless, row.row, first, it->last));
        while (TRY(q.next())) {
            KeyRow found{q.uid(0), q.modseq(1), q.time(2), q.natural(3), {}};
            if (with_keys) found.keys = q.view(4);
            if (!TRY(take(found))) return false;
        }
    }
    return true;
}

Result<void> AccountStore::record_seal(const SealRecord& r) {
    return db_->run(
        "UPDATE messages SET seal_state=?,seal_seed=?,seal_size=?,seal_sha256=?,seal_reason=? WHERE "
        "mailbox=(SELECT id FROM mailboxes WHERE mailbox=?) AND uid=?",
        r.seal.state, Blob{r.seal.seed}, r.seal.size, Blob{r.seal.sha256}, r.seal.reason, r.mailbox, r.uid);
}

}  // namespace fwmail::store
