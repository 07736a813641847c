// Opening, counters, references and the change list.
#include "store/account_store.hpp"

#include <charconv>

#include "store/account_rows.hpp"
#include "store/database.hpp"

namespace fwmail::store {

AccountStore::AccountStore(std::unique_ptr<Database> db, const sync::Life& life)
    : db_(std::move(db)), life_(life) {}
AccountStore::~AccountStore() = default;

std::filesystem::path AccountStore::path_of(const std::filesystem::path& data_dir, AccountId account) {
    return data_dir / "accounts" / (account.hex() + ".db");
}

Result<std::unique_ptr<AccountStore>> AccountStore::open(const std::filesystem::path& data_dir,
                                                         AccountId account, UnixMillis now, Access access,
                                                         const sync::Life& life) {
    auto path = path_of(data_dir, account);
    auto db = TRY(Database::open(path, access, account_schema()));
    if (access == Access::read_write)
        // As UIDVALIDITY, mod-sequences begin with the time: a client that knows those of a file that was
        // lost must find all that it asks for above them (RFC 7162 3.1).
        TRY(db->run("INSERT OR IGNORE INTO meta VALUES(1,?,?,?,?,0,0)", account, now.value, now.value,
                    static_cast<std::uint32_t>(now.value / 1000)));
    {
        auto q = TRY(db->query("SELECT account FROM meta"));
        if (!TRY(q.next()))
            return fail(ErrorKind::temporary, path.filename().string() + " has not been set up yet");
        if (q.id<AccountId>(0) != account)
            return fail(ErrorKind::internal, path.filename().string() + " is the file of another account");
    }
    return std::unique_ptr<AccountStore>(new AccountStore(std::move(db), life));
}

Result<ModSeq> AccountStore::highest_modseq() {
    auto q = TRY(db_->query("SELECT highest_modseq FROM meta"));
    TRY(q.next());
    return q.modseq(0);
}

Result<UidValidity> AccountStore::next_uidvalidity() {
    auto q = TRY(db_->query(
        // Above those that another node has given as well.
        "UPDATE meta SET uidvalidity=1+max(uidvalidity,ifnull((SELECT max(max(uidvalidity,"
        "sealed_uidvalidity)) FROM mailboxes),0)) RETURNING uidvalidity"));
    TRY(q.next());
    UidValidity value{q.natural32(0)};
    TRY(q.finish());
    return value;
}

Result<std::optional<std::string>> AccountStore::value(std::string_view name) {
    auto q = TRY(db_->query("SELECT value FROM vals WHERE name=?", name));
    if (!TRY(q.next())) return std::nullopt;
    return q.text(0);
}

Result<void> AccountStore::set_value(std::string_view name, std::string_view value) {
    return db_->run("INSERT INTO vals VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value", name,
                    Blob{value});
}

Result<std::uint64_t> AccountStore::counter(std::string_view name) {
    auto text = TRY(value(name));
    std::uint64_t count = 0;
    if (text && std::from_chars(text->data(), text->data() + text->size(), count).ec != std::errc{})
        return fail(ErrorKind::internal, std::string(name) + " is not a number");
    return count;
}

Result<void> AccountStore::count_up(std::string_view name) {
    return set_value(name, std::to_string(TRY(counter(name)) + 1));
}

// ---- references

Result<void> journal_release(Database& db, ObjectId object, HoldId hold) {
    if (object.is_zero()) return {};
    return db.run("INSERT OR IGNORE INTO released(object,hold) VALUES(?,?)", object, hold);
}

Result<void> AccountStore::release(const Reference& reference) {
    return journal_release(*db_, reference.object, reference.hold);
}

Result<std::vector<Reference>> AccountStore::load_pending_releases(std::size_t limit,
                                                                   std::optional<UnixMillis> before) {
    auto q =
        TRY(before ? db_->query("SELECT object,hold FROM released WHERE since<=? LIMIT ?", *before, limit)
                   : db_->query("SELECT object,hold FROM released LIMIT ?", limit));
    std::vector<Reference> references;
    while (TRY(q.next())) references.push_back({q.id<ObjectId>(0), q.id<HoldId>(1)});
    return references;
}

Result<ReleasesWaiting> AccountStore::releases_waiting() {
    auto q = TRY(db_->query("SELECT count(*),count(*)-count(since) FROM released"));
    TRY(q.next());
    return ReleasesWaiting{q.natural(0), q.natural(1)};
}

Result<void> AccountStore::date_releases(UnixMillis now) {
    return db_->run("UPDATE released SET since=? WHERE since IS NULL", now);
}

Result<void> AccountStore::forget_releases(const std::vector<Reference>& references) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& r : references)
            TRY(db_->run("DELETE FROM released WHERE hold=? AND object=?", r.hold, r.object));
        return {};
    });
}

Result<AccountReferences> AccountStore::load_references() {
    AccountReferences out;
    {
        auto q = TRY(db_->query("SELECT account FROM meta"));
        TRY(q.next());
        out.account = q.id<AccountId>(0);
    }
    auto q =
        TRY(db_->query("SELECT object,hold FROM messages UNION ALL SELECT object,hold FROM hidden "
                       "UNION ALL SELECT object,hold FROM pending WHERE object<>zeroblob(16) "
                       "UNION ALL SELECT object,hold FROM provisional WHERE object<>zeroblob(16)"));
    while (TRY(q.next())) out.references.push_back({q.id<ObjectId>(0), q.id<HoldId>(1)});
    auto r = TRY(db_->query("SELECT object,hold FROM released"));
    while (TRY(r.next())) out.releasing.push_back({r.id<ObjectId>(0), r.id<HoldId>(1)});
    return out;
}

// ---- change list

namespace {
Result<std::vector<ChangedMessage>> read_changes(Query q) {
    std::vector<ChangedMessage> out;
    while (TRY(q.next())) out.push_back({q.id<MailboxId>(0), q.uid(1), q.modseq(2), q.modseq(3)});
    return out;
}
}  // namespace

Result<std::vector<ChangedMessage>> AccountStore::messages_changed_since(ModSeq since, std::size_t limit,
                                                                         NodeId but_by) {
    return read_changes(
        TRY(db_->query("SELECT b.mailbox,m.uid,m.modseq,m.created_modseq FROM messages m "
                       "CROSS JOIN mailboxes b ON b.id=m.mailbox WHERE m.modseq>?1 AND "
                       "m.told_by<>ifnull((SELECT id FROM peers WHERE peer=?3),-1) ORDER BY m.modseq "
                       "LIMIT ?2",
                       since, limit, but_by)));
}

Result<std::vector<ExpungedMessage>> AccountStore::expunged_since(ModSeq since, std::size_t limit) {
    return read_changes(
        TRY(db_->query("SELECT b.mailbox,m.uid,m.modseq,m.created_modseq FROM expunged m "
                       "CROSS JOIN mailboxes b ON b.id=m.mailbox WHERE m.modseq>? ORDER BY m.modseq LIMIT ?",
                       since, limit)));
}

Result<std::vector<ChangedMessage>> AccountStore::find_by_email_id(EmailId id) {
    return read_changes(
        TRY(db_->query("SELECT b.mailbox,m.uid,m.modseq,m.created_modseq FROM messages m "
                       "JOIN mailboxes b ON b.id=m.mailbox WHERE m.email=? ORDER BY m.id",
                       id)));
}

Result<std::optional<ChangedMessage>> AccountStore::find_by_storage_id(std::int64_t storage_id) {
    auto rows =
        TRY(read_changes(TRY(db_->query("SELECT b.mailbox,m.uid,m.modseq,m.created_modseq FROM messages m "
                                        "JOIN mailboxes b ON b.id=m.mailbox WHERE m.id=?",
                                        storage_id))));
    if (rows.empty()) return std::nullopt;
    return rows[0];
}

// ---- AccountChange

Result<AccountChange> AccountChange::begin(Database& db) {
    AccountChange change(db);
    auto q = TRY(db.query("SELECT highest_modseq,last_row,clock FROM meta"));
    TRY(q.next());
    change.modseq_ = q.natural(0);
    change.last_row_ = q.integer(1);
    change.clock_ = change.clock_before_ = q.natural(2);
    return change;
}

ModSeq AccountChange::next_modseq(std::int64_t mailbox) {
    deltas_[mailbox].highest = ++modseq_;
    return ModSeq{modseq_};
}

void AccountChange::count(std::int64_t mailbox, std::uint32_t system_flags, std::uint64_t size, int sign) {
    auto& d = deltas_[mailbox];
    d.messages += sign;
    if (!(system_flags & FlagSet::seen)) d.unseen += sign;
    std::int64_t octets = sign * static_cast<std::int64_t>(size);
    d.octets += octets;
    if (!(system_flags & FlagSet::deleted)) return;
    d.deleted += sign;
    d.deleted_octets += octets;
}

sync::Stamp AccountChange::stamp(const Author& author) {
    if (stamp_.is_zero()) {
        clock_ = sync::next_stamp_time(clock_, author.now);
        stamp_ = {clock_, sync::origin_of(author.node)};
    }
    return stamp_;
}

void AccountChange::use_uid(std::int64_t mailbox, Uid uid) {
    auto& last = deltas_[mailbox].last_uid;
    last = std::max(last, uid.value);
}

Result<void> AccountChange::save() {
    if (deltas_.empty() && clock_ == clock_before_) return {};
    TRY(db_->run("UPDATE meta SET highest_modseq=?,last_row=?,clock=?", modseq_, last_row_, clock_));
    clock_before_ = clock_;
    for (const auto& [mailbox, d] : deltas_)
        TRY(db_->run(
            "UPDATE mailboxes SET messages=messages+?,unseen=unseen+?,deleted_messages=deleted_messages+?,"
            "octets=octets+?,deleted_octets=deleted_octets+?,highest_modseq=max(highest_modseq,?),"
            "uidnext=max(uidnext,?+1),visible=max(visible,?) WHERE id=?",
            d.messages, d.unseen, d.deleted, d.octets, d.deleted_octets, d.highest, d.last_uid, d.last_uid,
            mailbox));
    deltas_.clear();
    return {};
}

}  // namespace fwmail::store
