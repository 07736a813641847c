#include "mime/charset.hpp"

#include <algorithm>
#include <cstdint>

#include "base/encoding.hpp"

namespace fwmail::mime {

namespace {

// What the octets 0x80 to 0x9f mean in windows-1252 (WHATWG's index: the five free ones are C1 controls).
constexpr std::uint16_t windows_1252[32] = {0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                            0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
                                            0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                            0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

enum class Charset { unknown, ascii, utf8, latin1, latin9 };

Charset charset_of(std::string_view name) {
    std::string n = ascii_lower(name);
    auto is = [&](std::initializer_list<std::string_view> names) {
        return std::ranges::find(names, n) != names.end();
    };
    if (is({"", "us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us", "646", "7bit", "8bit", "unknown-8bit",
            "x-unknown"}))
        return Charset::ascii;
    if (is({"utf-8", "utf8", "unicode-1-1-utf-8", "csutf8"})) return Charset::utf8;
    if (is({"iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "windows-1252", "cp1252",
            "x-cp1252"}))
        return Charset::latin1;
    if (is({"iso-8859-15", "iso8859-15", "iso_8859-15", "latin9", "latin-9", "l9"})) return Charset::latin9;
    return Charset::unknown;
}

char32_t latin9(unsigned char c) {
    switch (c) {
        case 0xA4:
            return 0x20AC;
        case 0xA6:
            return 0x0160;
        case 0xA8:
            return 0x0161;
        case 0xB4:
            return 0x017D;
        case 0xB8:
            return 0x017E;
        case 0xBC:
            return 0x0152;
        case 0xBD:
            return 0x0153;
        case 0xBE:
            return 0x0178;
        default:
            return c;
    }
}

std::string from_single_octets(std::string_view octets, bool is_latin9) {
    std::string out;
    out.reserve(octets.size() + octets.size() / 8);
    for (unsigned char c : octets)
        append_utf8(out, is_latin9 ? latin9(c) : c >= 0x80 && c < 0xA0 ? windows_1252[c - 0x80] : c);
    return out;
}

// How many octets at the head of `s` (not empty) are one valid sequence; if none, minus the length of the
// part of one that is right (at least 1): RFC 3629 section 4, Unicode 3.9 "maximal subpart".
int sequence(std::string_view s) {
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

}  // namespace

bool is_valid_utf8(std::string_view octets) {
    while (!octets.empty()) {
        int n = sequence(octets);
        if (n < 0) return false;
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

std::string repair_utf8(std::string_view octets) {
    std::string out;
    out.reserve(octets.size());
    while (!octets.empty()) {
        int n = sequence(octets);
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

std::optional<std::string> to_utf8(std::string_view charset, std::string_view octets) {
    switch (charset_of(charset)) {
        case Charset::unknown:
            return std::nullopt;
        case Charset::ascii:
            return guess_utf8(octets);
        case Charset::utf8:
            return repair_utf8(octets);
        case Charset::latin1:
            return from_single_octets(octets, false);
        case Charset::latin9:
            return from_single_octets(octets, true);
    }
    return std::nullopt;
}

bool knows_charset(std::string_view charset) { return charset_of(charset) != Charset::unknown; }

std::string guess_utf8(std::string_view octets) {
    return is_valid_utf8(octets) ? std::string(octets) : from_single_octets(octets, false);
}

}  // namespace fwmail::mime
