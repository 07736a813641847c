// How much an account may hold: what its user was given, or else what the configuration says. At core only:
// the remote holds what core sends it.
#pragma once

#include "service/node.hpp"

namespace fwmail::service {

inline store::Quota quota_of(const config::Config& config, const store::User& user) {
    if (config.role() != config::role_core) return {};
    return {user.limit_octets.value_or(config.octets("limits.account-size")),
            user.limit_messages.value_or(config.count("limits.account-messages"))};
}

inline store::Quota quota_of(const Node& node, AccountId account) {
    auto user = node.directory.find(account);
    return user ? quota_of(node.config, user->user) : store::Quota{};
}

}  // namespace fwmail::service
