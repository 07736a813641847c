// What the parts of charset.hpp share. Private to mime.
#pragma once

#include <cstddef>
#include <string_view>

namespace fwmail::mime {

// How many octets at the head of `s` (not empty) are one valid sequence; if none, minus the length of the
// part of one that is right (at least 1): RFC 3629 section 4, Unicode 3.9 "maximal subpart".
int utf8_sequence(std::string_view s);
// How many octets of `s` can be judged now: those after them begin a character that more octets may complete.
std::size_t cut_utf8(std::string_view s);

}  // namespace fwmail::mime
