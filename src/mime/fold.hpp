// Text made comparable without case, as i;unicode-casemap does (RFC 5051): what SEARCH and SORT compare.
#pragma once

#include <string>
#include <string_view>

namespace fwmail::mime {

// Each character is decomposed (NFKD, but Hangul syllables stay whole) and its parts brought to one case: A
// and a, ä and a with U+0308, half-width and full-width katakana are the same. Beyond RFC 5051: characters
// that Japanese charsets map in two ways are one, carriage returns vanish, and NUL is a space, so that no
// folded text has one. Folding goes by the character: fold(a + b) is fold(a) + fold(b).
// The result is at most eighteen times as long as valid UTF-8 given; what is not valid becomes U+FFFD.
void append_folded(std::string& out, std::string_view utf8);
std::string fold(std::string_view utf8);

// i;unicode-casemap to the letter: the order of these octets is the collation's order, which that of folded
// text is not (titlecase lies before '_', lower case behind it).
std::string casemap(std::string_view utf8);

// Whether folded text contains a folded needle; linear whatever they are. Every text contains the empty one.
bool contains(std::string_view folded, std::string_view folded_needle);

}  // namespace fwmail::mime
