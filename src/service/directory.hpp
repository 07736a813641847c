// Who has an account here: a snapshot of users, addresses, password verifiers and keys, replaced as a whole.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.hpp"
#include "crypto/openpgp_key.hpp"
#include "crypto/scram.hpp"
#include "sasl/server_exchange.hpp"
#include "store/system_store.hpp"

namespace fwmail::service {

struct UserRecord {
    store::User user;
    std::vector<std::string> addresses;
    std::vector<store::Credential> credentials;    // not revoked
    std::vector<store::UserKey> keys;              // newest first
    std::vector<crypto::PublicKey> seal_keys;      // of these, retired ones too
    std::optional<crypto::PublicKey> seal_key;     // the newest one that is not retired
    std::vector<crypto::ScramVerifier> verifiers;  // of the credentials
    // Those that share the first one's salt and iteration count: all, but for what was made before they did.
    sasl::Verifiers scram;
    crypto::Digest verifiers_digest{};  // changes with any of the passwords
};

class Directory {
  public:
    using Snapshot = std::map<AccountId, std::shared_ptr<const UserRecord>>;

    // Reads everything anew. Active users only.
    Result<> reload(store::SystemStore& system);

    std::shared_ptr<const Snapshot> snapshot() const;
    std::shared_ptr<const UserRecord> find(AccountId account) const;
    // For logs: the user's name, or the id where there is none.
    std::string name_of(AccountId account) const;
    // By login name or any address, ignoring case.
    std::shared_ptr<const UserRecord> find_login(std::string_view name) const;
    std::shared_ptr<const UserRecord> find_address(std::string_view address) const;
    // Where mail to an alias goes, or nothing. Ignoring case.
    std::optional<std::vector<std::string>> find_alias(std::string_view address) const;

  private:
    struct Tables {
        Snapshot users;
        std::map<std::string, AccountId, std::less<>> names, addresses;        // lower-case
        std::map<std::string, std::vector<std::string>, std::less<>> aliases;  // lower-case
    };
    std::shared_ptr<const Tables> tables() const;

    std::mutex reloading_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Tables> tables_ = std::make_shared<Tables>();
};

// Whether the password, prepared, is one of the user's. Costs milliseconds: call it on a store thread.
bool password_matches(const UserRecord& user, const Secret& password);

}  // namespace fwmail::service
