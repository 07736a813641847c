// Turns at an account: work on it that takes several steps is done one after the other.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "base/ids.hpp"
#include "net/runtime.hpp"

namespace fwmail::service {

class AccountLocks {
  public:
    // Held from lock() until it goes; then the next one in the order of asking has its turn.
    class Turn {
      public:
        Turn(AccountLocks& locks, AccountId account) : locks_(&locks), account_(account) {}
        Turn(Turn&& other) noexcept
            : locks_(std::exchange(other.locks_, nullptr)), account_(other.account_) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn() {
            if (locks_) locks_->release(account_);
        }

      private:
        AccountLocks* locks_;
        AccountId account_;
    };

    net::Task<Turn> lock(AccountId account) {
        net::Notifier mine(co_await boost::asio::this_coro::executor);
        bool free = false;
        {
            std::lock_guard guard(mutex_);
            auto [it, inserted] = waiting_.try_emplace(account);
            free = inserted;
            if (!free) it->second.push_back(mine);
        }
        if (!free) (void)co_await mine.wait();
        co_return Turn(*this, account);
    }

  private:
    void release(AccountId account) {
        std::lock_guard guard(mutex_);
        auto it = waiting_.find(account);
        if (it->second.empty()) {
            waiting_.erase(it);
        } else {
            it->second.front().notify();
            it->second.pop_front();
        }
    }

    std::mutex mutex_;
    std::map<AccountId, std::deque<net::Notifier>> waiting_;  // of accounts that somebody works on
};

}  // namespace fwmail::service
