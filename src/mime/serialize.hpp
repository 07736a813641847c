// A compact binary form of a tree of parts, for the store. Versioned; reading is bounded and hostile input is
// an error.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "mime/part.hpp"

namespace fwmail::mime {

std::string write_part(const Part& part);
// The whole of `octets` must be one tree. At most 100 levels, 10,000 parts and what StructureLimits admits
// besides.
Result<Part> parse_part(std::string_view octets);
// Of the root only where its header and its body lie.
Result<Part> parse_part_ranges(std::string_view octets);

}  // namespace fwmail::mime
