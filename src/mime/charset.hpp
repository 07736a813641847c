// Charsets to UTF-8, from tables of our own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fwmail::mime {

bool is_valid_utf8(std::string_view octets);  // RFC 3629: no surrogates, no overlong forms
// Every octet that belongs to no valid sequence becomes U+FFFD (one for each maximal broken prefix).
std::string repair_utf8(std::string_view octets);
void append_utf8(std::string& out, char32_t character);

// Text of `charset` (IANA name or common alias, any case; "" is us-ascii) as valid UTF-8; nullopt for a
// charset not known. us-ascii with 8-bit octets is taken for UTF-8 where valid, else for windows-1252;
// iso-8859-1 is read as windows-1252 in its C1 range, as every mail program does.
std::optional<std::string> to_utf8(std::string_view charset, std::string_view octets);
bool knows_charset(std::string_view charset);

// Text that names no charset: UTF-8 if valid, else windows-1252.
std::string guess_utf8(std::string_view octets);

}  // namespace fwmail::mime
