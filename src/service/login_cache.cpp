#include "service/login_cache.hpp"

#include "base/random.hpp"

namespace fwmail::service {

LoginCache::LoginCache() : key_(random_octets(32)) {}

crypto::Digest LoginCache::mac_of(const UserRecord& user, const Secret& password) const {
    // Both before the password are of fixed length.
    std::string text(user.user.id.octets());
    text += crypto::view_of(user.verifiers_digest);
    text += password.view();
    crypto::Digest mac = crypto::hmac_sha256(key_.view(), text);
    wipe(text);
    return mac;
}

bool LoginCache::knows(const UserRecord& user, const Secret& password, Time now) {
    crypto::Digest mac = mac_of(user, password);
    std::scoped_lock lock(mutex_);
    auto it = by_mac_.find(mac);
    if (it == by_mac_.end()) return false;
    if (now - it->second->verified > longest_age) {
        entries_.erase(it->second);
        by_mac_.erase(it);
        return false;
    }
    entries_.splice(entries_.begin(), entries_, it->second);
    return true;
}

void LoginCache::add(const UserRecord& user, const Secret& password, Time now) {
    crypto::Digest mac = mac_of(user, password);
    std::scoped_lock lock(mutex_);
    if (auto it = by_mac_.find(mac); it != by_mac_.end()) {
        it->second->verified = now;
        return;
    }
    if (entries_.size() >= most_entries) {
        by_mac_.erase(entries_.back().mac);
        entries_.pop_back();
    }
    entries_.push_front({mac, now});
    by_mac_.emplace(mac, entries_.begin());
}

std::size_t LoginCache::entries() const {
    std::scoped_lock lock(mutex_);
    return entries_.size();
}

}  // namespace fwmail::service
