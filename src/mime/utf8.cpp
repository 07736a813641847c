#include <cstdint>

#include "mime/charset.hpp"
#include "mime/utf8_sequence.hpp"

namespace fwmail::mime {

int utf8_sequence(std::string_view s) {
    auto octet = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
    unsigned c = octet(0);
    if (c < 0x80) return 1;
    int length = c >= 0xC2 && c <= 0xDF ? 2 : c >= 0xE0 && c <= 0xEF ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (!length) return -1;
    unsigned low = c == 0xE0   ? 0xA0
                   : c == 0xF0 ? 0x90
                               : 0x80,
             high = c == 0xED   ? 0x9F
                    : c == 0xF4 ? 0x8F
                                : 0xBF;
    if (octet(1) < low || octet(1) > high) return -1;
    for (int i = 2; i < length; ++i)
        if (octet(static_cast<std::size_t>(i)) < 0x80 || octet(static_cast<std::size_t>(i)) > 0xBF) return -i;
    return length;
}

std::size_t cut_utf8(std::string_view s) {
    // The last character begins at most three octets before the end.
    for (std::size_t back = 1; back <= 3 && back <= s.size(); ++back) {
        auto c = static_cast<unsigned char>(s[s.size() - back]);
        if (c < 0x80) break;
        if (c < 0xC0) continue;
        std::size_t wanted = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
        // What is broken already will not be mended by what follows.
        int n = utf8_sequence(s.substr(s.size() - back));
        return wanted > back && n == -static_cast<int>(back) ? s.size() - back : s.size();
    }
    return s.size();
}

bool is_valid_utf8(std::string_view octets) {
    while (!octets.empty()) {
        int n = utf8_sequence(octets);
        if (n < 0) return false;
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

std::string repair_utf8(std::string_view octets) {
    std::string out;
    out.reserve(octets.size());
    while (!octets.empty()) {
        int n = utf8_sequence(octets);
        std::size_t taken = static_cast<std::size_t>(n < 0 ? -n : n);
        if (n < 0)
            out += "\xEF\xBF\xBD";
        else
            out += octets.substr(0, taken);
        octets.remove_prefix(taken);
    }
    return out;
}

void append_utf8(std::string& out, char32_t c) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = 0xFFFD;
    auto put = [&](char32_t octet) { out += static_cast<char>(octet); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6);
        put(0x80 | (c & 63));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 63));
        put(0x80 | (c & 63));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 63));
        put(0x80 | (c >> 6 & 63));
        put(0x80 | (c & 63));
    }
}

char32_t take_utf8(std::string_view& text) {
    int n = utf8_sequence(text);
    if (n < 0) {
        text.remove_prefix(1);
        return 0xFFFD;
    }
    auto first = static_cast<unsigned char>(text[0]);
    char32_t c = n == 1 ? first : first & (0x7Fu >> n);
    for (int i = 1; i < n; ++i)
        c = c << 6 | (static_cast<unsigned char>(text[static_cast<std::size_t>(i)]) & 63u);
    text.remove_prefix(static_cast<std::size_t>(n));
    return c;
}

}  // namespace fwmail::mime
