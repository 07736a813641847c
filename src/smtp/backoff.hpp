// When a message in the queue is tried again: a pure schedule (RFC 5321 4.5.4.1).
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.hpp"

namespace fwmail::smtp {

struct RetrySchedule {
    std::int64_t first_ms = 60'000;                // after the first failure
    std::int64_t longest_ms = 3'600'000;           // doubling stops here
    std::int64_t expiry_ms = 5 * 86'400'000ll;     // from arrival; then the message is returned
    std::int64_t warn_after_ms = 4 * 3'600'000ll;  // one `delayed` notification

    // The wait after `failures` (from 1) failed attempts, without jitter.
    std::int64_t wait_ms(unsigned failures) const;
    // When to try again, or nothing: expired. `jitter` in [0, 1) spreads the wait over 75 % to 125 %. The
    // last attempt falls on the expiry itself.
    std::optional<UnixMillis> next_attempt(UnixMillis arrived, UnixMillis now, unsigned failures,
                                           double jitter) const;
    bool warning_due(UnixMillis arrived, UnixMillis now) const {
        return now.value - arrived.value >= warn_after_ms;
    }
};

}  // namespace fwmail::smtp
