#include "service/login_guard.hpp"

#include <algorithm>

#include "base/encoding.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t longest_key = 128;
constexpr std::chrono::minutes one_forgotten{1};

std::string key_of(std::string_view text) { return ascii_lower(text.substr(0, longest_key)); }

}  // namespace

LoginGuard::Entry& LoginGuard::Table::touch(std::string_view key, Time now) {
    if (auto it = by_key_.find(key); it != by_key_.end()) {
        entries_.splice(entries_.begin(), entries_, it->second);
        Entry& entry = entries_.front();
        auto minutes = now > entry.counted ? (now - entry.counted) / one_forgotten : 0;
        entry.failures -= std::min(entry.failures, static_cast<std::uint64_t>(minutes));
        entry.counted = entry.failures == 0 ? now : entry.counted + minutes * one_forgotten;
        return entry;
    }
    if (entries_.size() >= most_entries) {
        by_key_.erase(entries_.back().key);
        entries_.pop_back();
    }
    entries_.push_front({std::string(key), 0, now, false});
    by_key_.emplace(entries_.front().key, entries_.begin());
    return entries_.front();
}

void LoginGuard::Table::take_back(std::string_view key) {
    auto it = by_key_.find(key);
    if (it == by_key_.end() || it->second->failures == 0) return;
    if (--it->second->failures > 0) return;
    auto entry = it->second;
    by_key_.erase(it);
    entries_.erase(entry);
}

LoginGuard::Verdict LoginGuard::begin(std::string_view address, std::string_view account, Time now) {
    if (limit_ == 0) return {};
    std::scoped_lock lock(mutex_);
    Verdict verdict;
    Entry& from = addresses_.touch(key_of(address), now);
    if (from.refused && from.failures <= limit_ / 2) from.refused = false;
    if (from.refused || from.failures >= limit_) {
        verdict.refused = true;
        verdict.newly_refused = !std::exchange(from.refused, true);
        return verdict;  // not counted: who goes on trying is let in again all the same
    }
    ++from.failures;
    Entry& whose = accounts_.touch(key_of(account), now);
    std::uint64_t slow_from = std::max<std::uint64_t>(3, limit_ / 4);
    if (whose.failures >= slow_from) {
        auto steps = std::min<std::uint64_t>(whose.failures - slow_from, 8);
        verdict.delay = std::min<std::chrono::seconds>(slowest, std::chrono::seconds(1ll << steps));
    }
    whose.failures = std::min(whose.failures + 1, limit_);
    return verdict;
}

void LoginGuard::succeeded(std::string_view address, std::string_view account) {
    if (limit_ == 0) return;
    std::scoped_lock lock(mutex_);
    addresses_.take_back(key_of(address));
    accounts_.take_back(key_of(account));
}

std::size_t LoginGuard::entries() const {
    std::scoped_lock lock(mutex_);
    return addresses_.size() + accounts_.size();
}

}  // namespace fwmail::service
