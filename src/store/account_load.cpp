// Reading mailboxes: snapshot, status, changes, messages.
#include <algorithm>
#include <map>

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

// Fills in a snapshot's messages, which come in the order of their UIDs.
class SnapshotWriter {
  public:
    explicit SnapshotWriter(Snapshot& snapshot) : s_(snapshot) {
        for (std::uint32_t i = 0; i < s_.keyword_sets.size(); ++i)
            numbers_.emplace(FlagSet{0, s_.keyword_sets[i]}.text(), i);
    }
    // Of the columns uid, flags, keywords, modseq.
    Snapshot::State state(const Query& q) {
        auto text = q.view(2);
        auto number = numbers_.find(text);
        if (number == numbers_.end()) {
            s_.keyword_sets.push_back(FlagSet::from_text(text).keywords);
            number = numbers_.emplace(text, static_cast<std::uint32_t>(s_.keyword_sets.size() - 1)).first;
        }
        return {q.modseq(3), number->second, static_cast<std::uint8_t>(q.natural32(1))};
    }
    void add(Uid uid, const Snapshot::State& state) {
        s_.uids.push_back(uid);
        s_.states.push_back(state);
    }
    void finish() {
        std::vector<bool> used(s_.keyword_sets.size());
        for (const auto& state : s_.states) used[state.keywords] = true;
        FlagSet all;
        for (std::size_t i = 0; i < used.size(); ++i)
            if (used[i]) all.add({0, s_.keyword_sets[i]});
        s_.keywords = std::move(all.keywords);
        auto seen = [](const Snapshot::State& state) { return (state.system & FlagSet::seen) != 0; };
        auto unseen = std::ranges::find_if_not(s_.states, seen);
        if (unseen != s_.states.end())
            s_.first_unseen = s_.uids[static_cast<std::size_t>(unseen - s_.states.begin())];
    }

  private:
    Snapshot& s_;
    std::map<std::string, std::uint32_t, std::less<>> numbers_;  // of keyword sets, by their text
};

Result<> read_snapshot(Database& db, const MailboxRow& row, Snapshot& s) {
    s.uids.reserve(row.messages);
    s.states.reserve(row.messages);
    SnapshotWriter writer(s);
    auto q =
        TRY(db.query("SELECT uid,flags,keywords,modseq FROM messages WHERE mailbox=? ORDER BY uid", row.row));
    while (TRY(q.next())) writer.add(q.uid(0), writer.state(q));
    writer.finish();
    return {};
}

// Makes `s` of an earlier one and what has changed since. False: that is so much that all is better read.
Result<bool> update_snapshot(Database& db, const MailboxRow& row, const Snapshot& known, Snapshot& s) {
    constexpr std::size_t most_sets = 1000;  // some of them may be in use no more
    if (known.keyword_sets.size() > most_sets) return false;
    ModSeq since = known.mailbox.highest_modseq;
    std::uint64_t most = row.messages / 8 + 16;
    s.keyword_sets = known.keyword_sets;
    SnapshotWriter writer(s);
    std::map<Uid, Snapshot::State> changed;
    auto q =
        TRY(db.query("SELECT uid,flags,keywords,modseq FROM messages WHERE mailbox=? AND modseq>? LIMIT ?",
                     row.row, since, most));
    while (TRY(q.next())) changed.emplace(q.uid(0), writer.state(q));
    if (changed.size() == most) return false;
    UidSet gone;
    auto e =
        TRY(db.query("SELECT uid FROM expunged WHERE mailbox=? AND modseq>? ORDER BY uid", row.row, since));
    while (TRY(e.next())) gone.add(e.natural32(0));
    s.uids.reserve(row.messages);
    s.states.reserve(row.messages);
    auto next = changed.begin();
    for (std::size_t i = 0; i < known.uids.size(); ++i) {
        Uid uid = known.uids[i];
        for (; next != changed.end() && next->first < uid; ++next) writer.add(next->first, next->second);
        if (next != changed.end() && next->first == uid) {
            writer.add(uid, next->second);
            ++next;
        } else if (!gone.contains(uid.value)) {
            writer.add(uid, known.states[i]);
        }
    }
    for (; next != changed.end(); ++next) writer.add(next->first, next->second);
    writer.finish();
    return true;
}

}  // namespace

Result<Snapshot> AccountStore::select_snapshot(MailboxId mailbox, const Snapshot* known) {
    auto row = TRY(get_mailbox_row(*db_, mailbox));
    Snapshot s;
    // Every change of a message, and its coming and going, raises the mailbox's
    // modseq.
    bool of_it =
        known && known->mailbox.id == mailbox && known->mailbox.uidvalidity == row.mailbox.uidvalidity;
    if (of_it && known->mailbox.highest_modseq == row.mailbox.highest_modseq) {
        s = *known;
    } else if (!of_it || !TRY(update_snapshot(*db_, row, *known, s))) {
        s = {};
        TRY(read_snapshot(*db_, row, s));
    }
    s.mailbox = row.mailbox;
    s.unseen = row.unseen;
    s.deleted = row.deleted;
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
    auto row = TRY(any_mailbox_row(*db_, mailbox));
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
