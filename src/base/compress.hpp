// zstd (RFC 8878), bounded on the way out.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail {

std::string zstd_compress(std::string_view octets, int level = 3);
// At most `limit` octets come out; more, or damaged input, is a protocol error.
Result<std::string> zstd_decompress(std::string_view octets, std::size_t limit);

}  // namespace fwmail
