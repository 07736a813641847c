// Messages older than replicate.horizon are not replicated when an account is first told to a remote.
#pragma once

#include "config/config.hpp"
#include "sync/entries.hpp"

namespace fwmail::service {

// The oldest date that is replicated; without a horizon all are.
inline UnixMillis horizon(const config::Config& config, UnixMillis now) {
    auto reach = std::chrono::milliseconds(config.duration("replicate.horizon")).count();
    if (reach == 0) return sync::earliest_date;
    return std::max(UnixMillis{now.value - reach}, sync::earliest_date);
}

}  // namespace fwmail::service
