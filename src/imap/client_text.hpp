// Small texts of the client session. Internal to imap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/intervals.hpp"

namespace fwmail::imap::client {

std::string upper(std::string_view text);
// Without the control characters that a quoted string cannot hold.
bool quotable(std::string_view text);
std::string quote(std::string_view text);
// `5:7,9`; a range up to the highest number is `5:*`.
std::string set_text(const UidSet& uids);
// The item whose value follows: `BODY[]` of `* 1 FETCH (UID 3 BODY[] `.
std::string section_at_end(std::string_view text);
// 0 where there is none.
std::uint64_t parse_decimal(std::string_view text);

}  // namespace fwmail::imap::client
