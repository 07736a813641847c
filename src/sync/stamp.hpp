// Hybrid logical clocks (Kulkarni et al., 2014): stamps that follow wall time, never go back, and are above
// every stamp that was seen when they were taken. Pure: the caller keeps the last time, and says what time it
// is.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/ids.hpp"

namespace fwmail::sync {

// A register that was never changed has the stamp zero, which gives way to any other.
struct Stamp {
    std::uint64_t time = 0;    // milliseconds since 1970 << 16 | counter
    std::uint32_t origin = 0;  // whose clock: origin_of() the node; decides between equal times
    auto operator<=>(const Stamp&) const = default;
    bool is_zero() const { return *this == Stamp{}; }
    UnixMillis millis() const { return UnixMillis{static_cast<std::int64_t>(time >> 16)}; }
};

// Milliseconds stay below 2^47 (the year 6429), so that a database's signed integers hold a time.
inline constexpr std::uint64_t max_stamp_time = (1ull << 63) - 1;
// A stamp further ahead than this is of a clock that is wrong: it has to wait.
inline constexpr std::int64_t furthest_stamp = 5 * 60'000;

inline bool is_stamp(const Stamp& stamp) {
    return stamp.time <= max_stamp_time && (stamp.time != 0 || stamp.is_zero());
}

// The last four octets of an id, which are random.
inline std::uint32_t origin_of(NodeId node) {
    std::uint32_t origin = 0;
    for (std::size_t i = 12; i < 16; ++i) origin = origin << 8 | node.bytes[i];
    return origin;
}

// The time of the next stamp, when `last` is the latest that was given or seen. The counter carries into the
// milliseconds.
inline std::uint64_t next_stamp_time(std::uint64_t last, UnixMillis now) {
    std::uint64_t wall = static_cast<std::uint64_t>(std::max<std::int64_t>(now.value, 0)) << 16;
    return std::min(std::max(wall, last + 1), max_stamp_time);
}

inline bool is_ahead(const Stamp& stamp, UnixMillis now) {
    return stamp.millis().value > now.value + furthest_stamp;
}

}  // namespace fwmail::sync
