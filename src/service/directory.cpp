#include "service/directory.hpp"

#include "base/encoding.hpp"

namespace fwmail::service {
namespace {

void add_verifiers(UserRecord& record) {
    crypto::Sha256 digest;
    for (const auto& credential : record.credentials) {
        digest.update(credential.verifier + '\n');
        auto verifier = crypto::ScramVerifier::from_text(credential.verifier);
        if (!verifier) continue;
        auto& scram = record.scram;
        if (scram.passwords.empty()) {
            scram.salt = verifier->salt;
            scram.iterations = verifier->iterations;
        }
        if (verifier->salt == scram.salt && verifier->iterations == scram.iterations)
            scram.passwords.push_back(*verifier);
        record.verifiers.push_back(std::move(*verifier));
    }
    record.verifiers_digest = digest.finish();
}

}  // namespace

Result<> Directory::reload(store::SystemStore& system) {
    std::lock_guard turn(reloading_);  // or an older snapshot might be published after a newer one
    auto fresh = std::make_shared<Tables>();
    for (auto& user : TRY(system.load_users())) {
        if (user.state != store::UserState::active) continue;
        auto record = std::make_shared<UserRecord>();
        record->user = user;
        record->addresses = TRY(system.load_addresses(user.id));
        for (auto& credential : TRY(system.load_credentials(user.id)))
            if (!credential.revoked) record->credentials.push_back(std::move(credential));
        add_verifiers(*record);
        record->keys = TRY(system.load_keys(user.id));
        for (const auto& key : record->keys) {
            auto certificate = crypto::parse_certificate(key.certificate);
            if (!certificate) continue;
            if (!key.retired && !record->seal_key) record->seal_key = *certificate;
            record->seal_keys.push_back(std::move(*certificate));
        }
        fresh->names[ascii_lower(user.name)] = user.id;
        for (const auto& address : record->addresses) fresh->addresses[ascii_lower(address)] = user.id;
        fresh->users[user.id] = std::move(record);
    }
    for (auto& alias : TRY(system.load_aliases()))
        fresh->aliases[ascii_lower(alias.address)] = std::move(alias.targets);
    std::lock_guard lock(mutex_);
    tables_ = std::move(fresh);
    return {};
}

std::shared_ptr<const Directory::Tables> Directory::tables() const {
    std::lock_guard lock(mutex_);
    return tables_;
}

std::shared_ptr<const Directory::Snapshot> Directory::snapshot() const {
    auto all = tables();
    return {all, &all->users};
}

std::shared_ptr<const UserRecord> Directory::find(AccountId account) const {
    auto all = tables();
    auto it = all->users.find(account);
    return it == all->users.end() ? nullptr : it->second;
}

std::string Directory::name_of(AccountId account) const {
    auto user = find(account);
    return user ? user->user.name : account.hex();
}

std::shared_ptr<const UserRecord> Directory::find_login(std::string_view name) const {
    auto all = tables();
    std::string key = ascii_lower(name);
    if (auto it = all->names.find(key); it != all->names.end()) return find(it->second);
    return find_address(name);
}

std::shared_ptr<const UserRecord> Directory::find_address(std::string_view address) const {
    auto all = tables();
    auto it = all->addresses.find(ascii_lower(address));
    return it == all->addresses.end() ? nullptr : find(it->second);
}

std::optional<std::vector<std::string>> Directory::find_alias(std::string_view address) const {
    auto all = tables();
    auto it = all->aliases.find(ascii_lower(address));
    if (it == all->aliases.end()) return std::nullopt;
    return it->second;
}

bool password_matches(const UserRecord& user, const Secret& password) {
    return crypto::check_password(user.verifiers, password);
}

}  // namespace fwmail::service
