// Remembers which passwords were found right in this process, so that only the first login with one derives a
// key. A phone logs in some hundred times a day.
//
// Kept is a MAC over user, password and all of the user's verifiers, under a key that is made at the start
// and never leaves the process: nothing in it can be tried out elsewhere, and a password that is set or
// revoked makes every entry of its user worthless. Failures are not kept. Bounded in number and age; from any
// thread.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <mutex>

#include "base/secret.hpp"
#include "crypto/hash.hpp"
#include "service/directory.hpp"

namespace fwmail::service {

class LoginCache {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::size_t most_entries = 10'000;  // what was used longest ago goes first
    static constexpr std::chrono::hours longest_age{1};

    LoginCache();

    bool knows(const UserRecord& user, const Secret& password, Time now = std::chrono::steady_clock::now());
    void add(const UserRecord& user, const Secret& password, Time now = std::chrono::steady_clock::now());
    std::size_t entries() const;

  private:
    struct Entry {
        crypto::Digest mac;
        Time verified;
    };
    crypto::Digest mac_of(const UserRecord& user, const Secret& password) const;

    const Secret key_;
    mutable std::mutex mutex_;
    std::list<Entry> entries_;  // the latest used first
    std::map<crypto::Digest, std::list<Entry>::iterator> by_mac_;
};

}  // namespace fwmail::service
