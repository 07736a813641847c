// Opening, settings, users, credentials and keys.
#include "store/system_store.hpp"

#include "store/database.hpp"

namespace fwmail::store {
namespace {

#define USER_COLUMNS "u.account,u.name,u.created,u.state,u.limit_octets,u.limit_messages"

User read_user(const Query& q) {
    return {q.id<AccountId>(0),   q.text(1), q.time(2), q.enumerator<UserState>(3), q.optional_natural(4),
            q.optional_natural(5)};
}

Result<std::optional<User>> one_user(Query q) {
    if (!TRY(q.next())) return std::nullopt;
    return read_user(q);
}

// A unique violation is told in the user's words.
Result<void> taken_as(Result<void> result, std::string text) {
    if (!result && result.error().kind == ErrorKind::refused)
        return fail(ErrorKind::refused, std::move(text));
    return result;
}

}  // namespace

SystemStore::SystemStore(std::unique_ptr<Database> db) : db_(std::move(db)) {}
SystemStore::~SystemStore() = default;

Result<std::unique_ptr<SystemStore>> SystemStore::open(const std::filesystem::path& data_dir, Access access) {
    auto db = TRY(Database::open(data_dir / "system.db", access, system_schema()));
    // Whoever held a lease is gone.
    if (access == Access::read_write) TRY(db->run("UPDATE queue SET lease_until=0 WHERE lease_until<>0"));
    return std::unique_ptr<SystemStore>(new SystemStore(std::move(db)));
}

Result<void> SystemStore::together(const std::function<Result<void>()>& work) {
    return atomically(*db_, [&] { return work(); });
}

Result<std::optional<std::string>> SystemStore::setting(std::string_view name) {
    auto q = TRY(db_->query("SELECT value FROM settings WHERE name=?", name));
    if (!TRY(q.next())) return std::nullopt;
    return q.text(0);
}

Result<void> SystemStore::set_setting(std::string_view name, std::string_view value) {
    return db_->run("INSERT INTO settings VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
                    name, Blob{value});
}

Result<void> SystemStore::remove_setting(std::string_view name) {
    return db_->run("DELETE FROM settings WHERE name=?", name);
}

Result<void> SystemStore::add_user(const User& user, const std::vector<std::string>& addresses) {
    return atomically(*db_, [&]() -> Result<void> {
        TRY(taken_as(db_->run("INSERT INTO users VALUES(?,?,?,?,?,?)", user.id, user.name, user.created,
                              user.state, user.limit_octets, user.limit_messages),
                     "there is a user " + user.name + " already"));
        for (const auto& address : addresses) TRY(add_address(user.id, address));
        return {};
    });
}

Result<void> SystemStore::set_user_state(AccountId account, UserState state) {
    TRY(db_->run("UPDATE users SET state=? WHERE account=?", state, account));
    if (db_->changes() == 0) return fail(ErrorKind::refused, "there is no such user");
    return {};
}

Result<void> SystemStore::set_user_limits(AccountId account, std::optional<std::uint64_t> octets,
                                          std::optional<std::uint64_t> messages) {
    TRY(db_->run("UPDATE users SET limit_octets=?,limit_messages=? WHERE account=?", octets, messages,
                 account));
    if (db_->changes() == 0) return fail(ErrorKind::refused, "there is no such user");
    return {};
}

Result<std::optional<User>> SystemStore::find_user(std::string_view name) {
    return one_user(TRY(db_->query("SELECT " USER_COLUMNS " FROM users u WHERE name=?", name)));
}

Result<std::optional<User>> SystemStore::find_user(AccountId account) {
    return one_user(TRY(db_->query("SELECT " USER_COLUMNS " FROM users u WHERE account=?", account)));
}

Result<std::optional<User>> SystemStore::find_user_by_address(std::string_view address) {
    return one_user(TRY(db_->query("SELECT " USER_COLUMNS " FROM addresses a "
                                   "JOIN users u ON u.account=a.account WHERE a.address=?",
                                   address)));
}

Result<std::vector<User>> SystemStore::load_users() {
    auto q = TRY(db_->query("SELECT " USER_COLUMNS " FROM users u ORDER BY name"));
    std::vector<User> users;
    while (TRY(q.next())) users.push_back(read_user(q));
    return users;
}

Result<void> SystemStore::add_address(AccountId account, std::string_view address) {
    auto q = TRY(db_->query("SELECT 1 FROM aliases WHERE address=?", address));
    if (TRY(q.next())) return fail(ErrorKind::refused, std::string(address) + " is an alias already");
    return taken_as(db_->run("INSERT INTO addresses VALUES(?,?)", address, account),
                    "the address " + std::string(address) + " is in use already");
}

Result<void> SystemStore::remove_address(std::string_view address) {
    return db_->run("DELETE FROM addresses WHERE address=?", address);
}

Result<std::vector<std::string>> SystemStore::load_addresses(AccountId account) {
    auto q = TRY(db_->query("SELECT address FROM addresses WHERE account=? ORDER BY address", account));
    std::vector<std::string> addresses;
    while (TRY(q.next())) addresses.push_back(q.text(0));
    return addresses;
}

Result<std::int64_t> SystemStore::add_credential(const Credential& credential) {
    TRY(db_->run("INSERT INTO credentials(account,kind,label,verifier,created,revoked) VALUES(?,?,?,?,?,?)",
                 credential.account, credential.kind, credential.label, credential.verifier,
                 credential.created, credential.revoked));
    return db_->last_rowid();
}

Result<std::vector<Credential>> SystemStore::load_credentials(AccountId account) {
    auto q = TRY(db_->query(
        "SELECT id,account,kind,label,verifier,created,revoked FROM credentials WHERE account=? ORDER BY id",
        account));
    std::vector<Credential> credentials;
    while (TRY(q.next()))
        credentials.push_back({q.integer(0), q.id<AccountId>(1), q.enumerator<CredentialKind>(2), q.text(3),
                               q.text(4), q.time(5), q.optional_time(6)});
    return credentials;
}

Result<void> SystemStore::revoke_credential(std::int64_t id, UnixMillis when) {
    return db_->run("UPDATE credentials SET revoked=? WHERE id=? AND revoked IS NULL", when, id);
}

Result<void> SystemStore::add_key(const UserKey& key) {
    return taken_as(db_->run("INSERT INTO user_keys VALUES(?,?,?,?,?,?,?)", key.account, key.fingerprint,
                             Blob{key.certificate}, Blob{key.secret}, key.created, key.retired, key.reseals),
                    "the key " + key.fingerprint + " is there already");
}

Result<std::vector<UserKey>> SystemStore::load_keys(AccountId account) {
    auto q =
        TRY(db_->query("SELECT account,fingerprint,certificate,secret,created,retired,reseals FROM user_keys "
                       "WHERE account=? ORDER BY created DESC",
                       account));
    std::vector<UserKey> keys;
    while (TRY(q.next()))
        keys.push_back({q.id<AccountId>(0), q.text(1), q.text(2), q.text(3), q.time(4), q.optional_time(5),
                        q.boolean(6)});
    return keys;
}

Result<void> SystemStore::retire_key(AccountId account, std::string_view fingerprint, UnixMillis when) {
    return db_->run("UPDATE user_keys SET retired=? WHERE account=? AND fingerprint=? AND retired IS NULL",
                    when, account, fingerprint);
}

Result<void> SystemStore::rotate_key(const UserKey& key) {
    return atomically(*db_, [&]() -> Result<void> {
        TRY(db_->run("UPDATE user_keys SET retired=? WHERE account=? AND retired IS NULL", key.created,
                     key.account));
        TRY(db_->run("UPDATE user_keys SET reseals=0 WHERE account=?", key.account));
        return add_key(key);
    });
}

Result<void> SystemStore::finish_resealing(AccountId account, std::string_view fingerprint) {
    return db_->run("UPDATE user_keys SET reseals=0 WHERE account=? AND fingerprint=?", account, fingerprint);
}

}  // namespace fwmail::store
