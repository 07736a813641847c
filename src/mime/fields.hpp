// Header fields of mail that we send: folded, 7-bit, and safe whatever the value came from.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::mime {

// "Name: value\r\n", folded at white space to lines of 78 octets where it can be (RFC 5322 2.1.1). Refuses
// (protocol error) a name that is none, a value with CR, LF, NUL or octets above 126, and one that needs a
// line over 998 octets.
Result<std::string> fold(std::string_view name, std::string_view value);

// A safe value for the field `name` made from a hostile raw one: what fold() would write after "Name: ",
// without the last line ending; "" when nothing usable is left (then leave the field out).
//  - From, Sender, Reply-To, To, Cc, Bcc (also with Resent-): parsed and written again, at most 500
//  addresses. An address
//    that needs 8-bit octets becomes an empty group that shows it (RFC 6857 3.1.8).
//  - Message-ID: the first id; In-Reply-To and References: the ids, of many the first and the last 99.
//  - Date: parsed and written again.
//  - All others: text; 8-bit is made encoded words, controls become spaces.
// Deterministic; at most 64 KiB comes out; each line at most 998 octets.
std::string sanitize_for_header(std::string_view name, std::string_view raw_value);
// The whole field with its line ending, or "" when nothing usable is left.
std::string sanitize_field(std::string_view name, std::string_view raw_value);

}  // namespace fwmail::mime
