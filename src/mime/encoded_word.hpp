// Text in header fields that is not ASCII: RFC 2047 encoded words and RFC 2231 parameters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mime/part.hpp"

namespace fwmail::mime {

// A field body (or a phrase, a comment) as UTF-8. Adjacent encoded words of one charset are joined before
// they are decoded, so that characters split between them survive. Words of unknown charsets stay as written.
// 8-bit text outside of words is UTF-8 if it is valid, else windows-1252. The result is valid UTF-8 without
// NUL, CR and LF.
std::string decode_header(std::string_view value);

// UTF-8 (invalid sequences become U+FFFD, controls a space) to ASCII: as it is when it can be, otherwise the
// words that need it as encoded words of at most 75 octets, which may be used in a phrase too.
// decode_header() undoes it. No folding, but a space at least every 75 octets of encoded text.
std::string encode_header(std::string_view utf8);

// The parameter `name` (lower-case), from `name`, `name*`, `name*0`, `name*0*`... as UTF-8. Encoded words in
// a plain value, which RFC 2231 forbids but mail programs write, are decoded.
std::optional<std::string> decode_parameter(const Parameters& parameters, std::string_view name);

}  // namespace fwmail::mime
