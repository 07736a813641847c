#include "smtp/backoff.hpp"

#include <algorithm>

namespace fwmail::smtp {

std::int64_t RetrySchedule::wait_ms(unsigned failures) const {
    std::int64_t wait = first_ms;
    for (unsigned i = 1; i < failures && wait < longest_ms; ++i) wait *= 2;
    return std::min(wait, longest_ms);
}

std::optional<UnixMillis> RetrySchedule::next_attempt(UnixMillis arrived, UnixMillis now, unsigned failures,
                                                      double jitter) const {
    std::int64_t expiry = arrived.value + expiry_ms;
    if (now.value >= expiry) return std::nullopt;
    double spread = 0.75 + 0.5 * std::clamp(jitter, 0.0, 1.0);
    auto wait = static_cast<std::int64_t>(static_cast<double>(wait_ms(failures)) * spread);
    return UnixMillis(std::min(now.value + std::max<std::int64_t>(wait, 1), expiry));
}

}  // namespace fwmail::smtp
