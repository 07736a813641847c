// An epoch: one life of a node's numbering for an account. A node that lost or restored its state begins
// another.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/ids.hpp"

namespace fwmail::sync {

struct Epoch {
    std::uint64_t counter = 0;  // rises with each new epoch; below 2^63
    std::uint64_t random = 0;   // tells two epochs of one counter apart, as after a restored backup
    bool operator==(const Epoch&) const = default;
    // Nothing heard yet.
    bool is_none() const { return *this == Epoch{}; }
    std::string text() const;  // "3/1f00c0de00000001", for logs
};

// One run of a node's process. Lives are told apart so that the other side can see whether what a node knew
// in earlier ones is still there. Which of two is the later shows by the clock.
struct Life {
    UnixMillis start;
    std::uint64_t random = 0;
    auto operator<=>(const Life&) const = default;
};

}  // namespace fwmail::sync
