// Text encodings of octets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fwmail {

std::string hex_encode(std::string_view octets);
std::optional<std::string> hex_decode(std::string_view text);

// RFC 4648 section 4, one line, padded.
std::string base64_encode(std::string_view octets);
// Strict: no white space, padding required, unused bits zero.
std::optional<std::string> base64_decode(std::string_view text);
// Lines of 76 characters, each ended by CRLF, as MIME wants (RFC 2045 6.8).
std::string base64_encode_mime(std::string_view octets);
// As a mail reader must: characters outside the alphabet are skipped, decoding ends at padding.
std::string base64_decode_lenient(std::string_view text);
// RFC 4648 section 5, without padding.
std::string base64url_encode(std::string_view octets);
std::optional<std::string> base64url_decode(std::string_view text);
// Lower-case letters and digits without those that look alike (RFC 4648 section 6's shape): for passwords, 5
// bits each.
std::string base32_readable(std::string_view octets);

// ASCII only.
char ascii_lower(char c);
std::string ascii_lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace fwmail
