// Tells whoever waits that an account has changed: sessions with a mailbox open, the poller.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "base/ids.hpp"
#include "net/runtime.hpp"

namespace fwmail::service {

class ChangeHub {
  public:
    // Wakes `notifier` on each change of the account until the subscription goes.
    class Subscription {
      public:
        Subscription() = default;
        Subscription(ChangeHub& hub, AccountId account, std::uint64_t id)
            : hub_(&hub), account_(account), id_(id) {}
        Subscription(Subscription&& other) noexcept { swap(other); }
        Subscription& operator=(Subscription&& other) noexcept {
            swap(other);
            return *this;
        }
        ~Subscription() {
            if (hub_) hub_->unsubscribe(account_, id_);
        }

      private:
        void swap(Subscription& other) {
            std::swap(hub_, other.hub_);
            std::swap(account_, other.account_);
            std::swap(id_, other.id_);
        }
        ChangeHub* hub_ = nullptr;
        AccountId account_;
        std::uint64_t id_ = 0;
    };

    Subscription subscribe(AccountId account, net::Notifier notifier) {
        std::lock_guard lock(mutex_);
        listeners_[account].emplace(++last_id_, std::move(notifier));
        return {*this, account, last_id_};
    }

    // From any thread, after the commit.
    void changed(AccountId account) {
        std::lock_guard lock(mutex_);
        if (auto it = listeners_.find(account); it != listeners_.end())
            for (auto& [id, notifier] : it->second) notifier.notify();
        dirty_.insert(account);
        if (poller_) poller_->notify();
        if (indexer_) {
            unindexed_.insert(account);
            indexer_->notify();
        }
    }

    // There is more to do for the poller in this account, though nothing has changed.
    void poll_again(AccountId account) {
        std::lock_guard lock(mutex_);
        dirty_.insert(account);
        if (poller_) poller_->notify();
    }

    // The account's outbox holds something new: for the link sender.
    void outbox_changed(AccountId account) {
        std::lock_guard lock(mutex_);
        outboxes_.insert(account);
    }
    std::set<AccountId> take_outboxes() { return take(outboxes_); }

    // A round of synchronisation is wanted now, not when its time comes (H11-266279, claim 4): somebody has
    // logged in, which counts once a minute, or has said so by command. For the poller and the link sender,
    // which the caller wakes.
    enum class Haste { login, command, compare };
    void hurry(AccountId account, UnixMillis now, Haste haste) {
        std::lock_guard lock(mutex_);
        auto& latest = hurried_at_[account];
        if (haste == Haste::login && now.value - latest.value < 60'000 && now >= latest) return;
        latest = now;
        auto& wanted = hurried_.try_emplace(account, haste).first->second;
        wanted = std::max(wanted, haste);
        if (haste == Haste::compare) compared_.insert(account);
        dirty_.insert(account);
        if (poller_) poller_->notify();
    }
    std::map<AccountId, Haste> take_hurried() { return take(hurried_); }

    // It is time to see whether the other side has the same: for the link sender.
    void compare(AccountId account) {
        std::lock_guard lock(mutex_);
        compared_.insert(account);
    }
    std::set<AccountId> take_compared() { return take(compared_); }

    // Bodies that the account has let go of are to be given back in a while.
    void wait_for_releases(AccountId account) {
        std::lock_guard lock(mutex_);
        releasing_.insert(account);
    }
    std::set<AccountId> take_releasing() { return take(releasing_); }

    // Wakes every subscriber of the account zero: sessions, so that they see that the node stops.
    void stop_all() { changed(AccountId{}); }

    // The poller's: one only.
    void attach_poller(net::Notifier notifier) {
        std::lock_guard lock(mutex_);
        poller_.emplace(std::move(notifier));
    }
    std::set<AccountId> take_dirty() { return take(dirty_); }

    // The search indexer's: one only.
    void attach_indexer(net::Notifier notifier) {
        std::lock_guard lock(mutex_);
        indexer_.emplace(std::move(notifier));
    }
    std::set<AccountId> take_unindexed() { return take(unindexed_); }

  private:
    template <class Accounts>
    Accounts take(Accounts& waiting) {
        std::lock_guard lock(mutex_);
        return std::exchange(waiting, {});
    }
    void unsubscribe(AccountId account, std::uint64_t id) {
        std::lock_guard lock(mutex_);
        auto it = listeners_.find(account);
        if (it == listeners_.end()) return;
        it->second.erase(id);
        if (it->second.empty()) listeners_.erase(it);
    }

    std::mutex mutex_;
    std::map<AccountId, std::map<std::uint64_t, net::Notifier>> listeners_;
    std::map<AccountId, Haste> hurried_;
    std::map<AccountId, UnixMillis> hurried_at_;
    std::set<AccountId> dirty_, outboxes_, compared_, releasing_, unindexed_;
    std::optional<net::Notifier> poller_, indexer_;
    std::uint64_t last_id_ = 0;
};

}  // namespace fwmail::service
