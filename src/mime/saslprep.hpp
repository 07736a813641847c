// How user names and passwords are brought into one form before they are compared or hashed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::mime {

// SASLprep (RFC 4013): NFKC, odd spaces become spaces, soft hyphens and their like go. `protocol` for what is
// not UTF-8, for control characters and the other prohibited ones, and for mixed directions. Code points that
// Unicode 3.2 did not have yet are let through as they are, in stored strings too, where RFC 4013 2.5 would
// refuse them: or no password could have an emoji. Printable ASCII stays as it is.
Result<std::string> saslprep(std::string_view utf8);

}  // namespace fwmail::mime
