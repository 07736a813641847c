// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <string_view>

namespace fwmail {

// Takes the first character off `text` (not empty) and gives its code point; false where the octets are not
// UTF-8.
inline bool take_utf8(std::string_view& text, char32_t& code) {
    auto lead = static_cast<unsigned char>(text[0]);
    std::size_t size = lead < 0x80                   ? 1
                       : lead >= 0xc2 && lead < 0xe0 ? 2
                       : (lead & 0xf0) == 0xe0       ? 3
                       : lead >= 0xf0 && lead < 0xf5 ? 4
                                                     : 0;
    if (size == 0 || text.size() < size) return false;
    code = size == 1 ? lead : lead & (0xffu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80) return false;
        code = code << 6 | (next & 0x3f);
    }
    if (size == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return false;
    if (size == 4 && (code < 0x10000 || code > 0x10ffff)) return false;
    text.remove_prefix(size);
    return true;
}

inline bool is_utf8(std::string_view text) {
    for (char32_t code; !text.empty();)
        if (!take_utf8(text, code)) return false;
    return true;
}

// UTF-8 without C0 and C1 control characters and DEL: fit to be shown on one line.
inline bool is_plain_utf8(std::string_view text) {
    for (char32_t code; !text.empty();)
        if (!take_utf8(text, code) || code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    return true;
}

}  // namespace fwmail
