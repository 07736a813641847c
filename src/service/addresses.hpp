// Whom mail to an address reaches: users, aliases, plus-addresses, postmaster, catch-all, or somebody
// elsewhere.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "service/directory.hpp"
#include "smtp/path.hpp"

namespace fwmail::service {

struct AddressRules {
    std::vector<std::string> domains;  // ours
    std::string separator;             // `ann+lists@` is `ann@`; empty: off
    std::string postmaster;            // user name or address for mail to postmaster; empty: the oldest user
};

AddressRules address_rules(const config::Config& config);

struct Reached {
    std::vector<AccountId> users;      // none twice
    std::vector<std::string> outside;  // addresses elsewhere, none twice
    bool by_alias = false;             // of the administrator's making
    bool by_fallback = false;          // catch-all, or postmaster without an address of its own
};

inline constexpr std::size_t most_reached = 500;  // by one address
inline constexpr unsigned deepest_alias = 10;

// In this order: an address as it stands, of a user or an alias; without its plus part; postmaster (RFC 5321
// 4.5.1), without a domain too; the catch-all of its domain; a foreign address reaches itself. `refused`:
// nobody has it. Targets of an alias that lead nowhere are passed over, circles end.
Result<Reached> reach(const Directory& directory, const AddressRules& rules, const smtp::Path& path);

// Whether the user may send as this address: one that reaches the user, and not by a fallback.
bool may_send_as(const Directory& directory, const AddressRules& rules, AccountId user,
                 const smtp::Path& path);

}  // namespace fwmail::service
