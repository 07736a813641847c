// Text from outside made fit for a header field of ours. Internal to smtp.
#pragma once

#include <string>
#include <string_view>

namespace fwmail::smtp {

// Control characters become spaces, octets above 126 '?', and what is longer than `limit` is cut.
std::string harmless(std::string_view text, std::size_t limit = 500);
// The same inside a comment or beside one: parentheses and backslashes become '?'.
std::string harmless_in_comment(std::string_view text, std::size_t limit = 255);

}  // namespace fwmail::smtp
