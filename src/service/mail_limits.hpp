// How much mail one user, or one address, may hand in within an hour.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/config.hpp"

namespace fwmail::service {

// A bucket a key that runs empty within an hour. The table is bounded; what was touched longest ago goes
// first.
class RateLimit {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::size_t most_entries = 10'000;

    // 0: no limit.
    explicit RateLimit(std::uint64_t an_hour) : an_hour_(static_cast<double>(an_hour)) {}

    // From any thread. False: that would be too much, and is not counted.
    bool take(std::string_view key, std::uint64_t amount = 1, Time now = std::chrono::steady_clock::now());
    std::size_t entries() const;

  private:
    struct Bucket {
        std::string key;
        double level = 0;
        Time seen;
    };
    const double an_hour_;
    mutable std::mutex mutex_;
    std::list<Bucket> buckets_;  // the latest first
    std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_key_;
};

struct MailLimits {
    explicit MailLimits(const config::Config& config);
    RateLimit user_mails, user_recipients, address_mails;
};

}  // namespace fwmail::service
