#include "service/mail_limits.hpp"

#include <algorithm>

namespace fwmail::service {
namespace {

std::uint64_t of_core(const config::Config& config, std::string_view name) {
    return config.role() == config::role_core ? config.count(name) : 0;
}

}  // namespace

bool RateLimit::take(std::string_view key, std::uint64_t amount, Time now) {
    if (an_hour_ <= 0) return true;
    std::scoped_lock lock(mutex_);
    auto found = by_key_.find(key);
    if (found == by_key_.end()) {
        if (buckets_.size() >= most_entries) {
            by_key_.erase(buckets_.back().key);
            buckets_.pop_back();
        }
        buckets_.push_front({std::string(key), 0, now});
        by_key_.emplace(buckets_.front().key, buckets_.begin());
    } else {
        buckets_.splice(buckets_.begin(), buckets_, found->second);
    }
    Bucket& bucket = buckets_.front();
    double hours = std::chrono::duration<double, std::ratio<3600>>(now - bucket.seen).count();
    bucket.level = std::max(0.0, bucket.level - std::max(0.0, hours) * an_hour_);
    bucket.seen = now;
    if (bucket.level + static_cast<double>(amount) > an_hour_) return false;
    bucket.level += static_cast<double>(amount);
    return true;
}

std::size_t RateLimit::entries() const {
    std::scoped_lock lock(mutex_);
    return buckets_.size();
}

MailLimits::MailLimits(const config::Config& config)
    : user_mails(of_core(config, "submission.mails-per-hour")),
      user_recipients(of_core(config, "submission.recipients-per-hour")),
      address_mails(of_core(config, "smtp.mails-per-hour")) {}

}  // namespace fwmail::service
