// Secrets at rest: AES-256-GCM under the node's master key.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace fwmail::crypto {

// What a box adds to its content: version octet, nonce, tag.
inline constexpr std::size_t box_overhead = 1 + 12 + 16;

// `master_key` is 32 octets (anything else is an internal error). `associated` is not stored: the same octets
// must be given to open, so that a box cannot be moved to another place (name the table, row and purpose).
Result<std::string> box_seal(const Secret& master_key, std::string_view plain, std::string_view associated);
// A wrong key, other associated data and damage all give the same error (refused).
Result<Secret> box_open(const Secret& master_key, std::string_view box, std::string_view associated);

}  // namespace fwmail::crypto
