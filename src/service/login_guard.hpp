// Counts failed logins by client address and by account, and says who has to wait or is turned away.
//
// - An attempt counts as failed from its start until it has succeeded, so that many at once gain nothing.
// - One failure is forgotten each minute.
// - An address at its limit is refused unseen, until half of its failures are forgotten.
// - An account is never refused, or anybody could lock its user out; from a quarter of the limit on each
//   attempt is made to wait, longer and longer, up to slowest.
// - Names that nobody has count as well: an answer does not tell who has an account.
// - Both tables are bounded; what was touched longest ago goes first.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace fwmail::service {

class LoginGuard {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::size_t most_entries = 10'000;  // of each table
    static constexpr std::chrono::seconds slowest{8};

    // 0: no limit.
    explicit LoginGuard(std::uint64_t limit) : limit_(limit) {}

    struct Verdict {
        bool refused = false;
        bool newly_refused = false;     // worth a line in the log; later ones are not
        std::chrono::seconds delay{0};  // to wait before the password is looked at
    };
    // From any thread. The attempt counts as failed until succeeded() is called with the same words.
    Verdict begin(std::string_view address, std::string_view account,
                  Time now = std::chrono::steady_clock::now());
    void succeeded(std::string_view address, std::string_view account);

    // For tests: entries of both tables.
    std::size_t entries() const;

  private:
    struct Entry {
        std::string key;
        std::uint64_t failures = 0;
        Time counted;  // up to when failures have been forgotten
        bool refused = false;
    };
    class Table {
      public:
        Entry& touch(std::string_view key, Time now);
        void take_back(std::string_view key);
        std::size_t size() const { return by_key_.size(); }

      private:
        std::list<Entry> entries_;  // the latest first
        std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
    };

    const std::uint64_t limit_;
    mutable std::mutex mutex_;
    Table addresses_, accounts_;
};

}  // namespace fwmail::service
