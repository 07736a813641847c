#include "base/encoding.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace fwmail {
namespace {

constexpr char standard_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> reverse(const char* alphabet) {
    std::array<std::int8_t, 256> table{};
    for (auto& v : table) v = -1;
    for (int i = 0; i < 64; ++i) table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
    return table;
}
constexpr auto standard_reverse = reverse(standard_alphabet);

// Two characters for each 12 bits, as they stand in memory.
constexpr auto pairs = [] {
    std::array<std::array<char, 2>, 4096> table{};
    for (std::size_t i = 0; i < 4096; ++i) table[i] = {standard_alphabet[i >> 6], standard_alphabet[i & 63]};
    return table;
}();

std::uint32_t octet(char c) { return static_cast<unsigned char>(c); }

// Writes the whole groups of three octets; returns the end of what was written.
char* encode_groups(char* to, std::string_view in) {
    for (; in.size() >= 3; in.remove_prefix(3), to += 4) {
        std::uint32_t v = octet(in[0]) << 16 | octet(in[1]) << 8 | octet(in[2]);
        std::memcpy(to, pairs[v >> 12].data(), 2);
        std::memcpy(to + 2, pairs[v & 4095].data(), 2);
    }
    return to;
}

// With its padding. `to` has room for (n + 2) / 3 * 4 characters.
char* encode_padded(char* to, std::string_view in) {
    to = encode_groups(to, in);
    in.remove_prefix(in.size() / 3 * 3);
    if (in.empty()) return to;
    std::uint32_t v = octet(in[0]) << 16 | (in.size() == 2 ? octet(in[1]) << 8 : 0);
    *to++ = standard_alphabet[v >> 18];
    *to++ = standard_alphabet[v >> 12 & 63];
    *to++ = in.size() == 2 ? standard_alphabet[v >> 6 & 63] : '=';
    *to++ = '=';
    return to;
}

// A string of `size` octets that `write` writes; nothing is written twice. Debian 12's resize_and_overwrite()
// may tell its operation another size than it was asked for.
template <class Write>
std::string written(std::size_t size, Write write) {
    std::string out;
    out.resize_and_overwrite(size, [&](char* to, std::size_t) {
        write(to);
        return size;
    });
    return out;
}

// What each character is worth in each of the four places of a group; the top bit stands for "not of base64".
using DecodeTables = std::array<std::array<std::uint32_t, 256>, 4>;
constexpr std::uint32_t not_base64 = 1u << 31;
constexpr DecodeTables decode_tables(const char* alphabet) {
    DecodeTables tables{};
    for (auto& table : tables) table.fill(not_base64);
    for (std::uint32_t i = 0; i < 64; ++i)
        for (std::uint32_t place = 0; place < 4; ++place)
            tables[place][static_cast<unsigned char>(alphabet[i])] = i << (18 - 6 * place);
    return tables;
}
constexpr DecodeTables standard_tables = decode_tables(standard_alphabet);
constexpr DecodeTables url_tables = decode_tables(url_alphabet);

std::optional<std::string> decode_exact(std::string_view in, const DecodeTables& tables) {
    if (in.size() % 4 == 1) return std::nullopt;
    std::uint32_t seen = 0;
    std::string out = written(in.size() / 4 * 3, [&](char* to) {
        for (const char *from = in.data(), *end = from + in.size() / 4 * 4; from != end; from += 4, to += 3) {
            std::uint32_t v = tables[0][static_cast<unsigned char>(from[0])] |
                              tables[1][static_cast<unsigned char>(from[1])] |
                              tables[2][static_cast<unsigned char>(from[2])] |
                              tables[3][static_cast<unsigned char>(from[3])];
            seen |= v;
            to[0] = static_cast<char>(v >> 16);
            to[1] = static_cast<char>(v >> 8);
            to[2] = static_cast<char>(v);
        }
    });
    std::uint32_t bits = 0, count = 0;
    for (char c : in.substr(in.size() / 4 * 4)) {
        std::uint32_t v = tables[3][static_cast<unsigned char>(c)];
        seen |= v;
        bits = bits << 6 | (v & 63);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 255);
        }
    }
    if (seen & not_base64 || bits & ((1u << count) - 1)) return std::nullopt;
    return out;
}

}  // namespace

std::string hex_encode(std::string_view octets) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(octets.size() * 2);
    for (unsigned char b : octets) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

std::optional<std::string> hex_decode(std::string_view text) {
    if (text.size() % 2) return std::nullopt;
    std::string out(text.size() / 2, '\0');
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = ascii_lower(text[i]);
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (v < 0) return std::nullopt;
        out[i / 2] = static_cast<char>(static_cast<unsigned char>(out[i / 2]) << 4 | v);
    }
    return out;
}

std::string base64_encode(std::string_view octets) {
    return written((octets.size() + 2) / 3 * 4, [&](char* to) { encode_padded(to, octets); });
}

std::string base64_encode_mime(std::string_view octets) {
    constexpr std::size_t octets_a_line = 57;
    std::size_t lines = (octets.size() + octets_a_line - 1) / octets_a_line;
    return written((octets.size() + 2) / 3 * 4 + lines * 2, [&](char* to) {
        for (std::size_t i = 0; i < octets.size(); i += octets_a_line) {
            to = encode_padded(to, octets.substr(i, octets_a_line));
            *to++ = '\r';
            *to++ = '\n';
        }
    });
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4) return std::nullopt;
    if (text.ends_with("=="))
        text.remove_suffix(2);
    else if (text.ends_with("="))
        text.remove_suffix(1);
    return decode_exact(text, standard_tables);
}

std::string base64_decode_lenient(std::string_view text) {
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    int count = 0;
    for (char c : text) {
        if (c == '=') break;
        int v = standard_reverse[static_cast<unsigned char>(c)];
        if (v < 0) continue;
        bits = bits << 6 | static_cast<std::uint32_t>(v);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 255);
        }
    }
    return out;
}

std::string base64url_encode(std::string_view octets) {
    std::string out = base64_encode(octets);
    while (out.ends_with('=')) out.pop_back();
    for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return out;
}

std::optional<std::string> base64url_decode(std::string_view text) { return decode_exact(text, url_tables); }

std::string base32_readable(std::string_view octets) {
    static constexpr char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (unsigned char b : octets) {
        bits = bits << 8 | b;
        count += 8;
        while (count >= 5) {
            count -= 5;
            out += alphabet[bits >> count & 31];
        }
    }
    return out;
}

char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string ascii_lower(std::string_view text) {
    std::string out(text);
    for (auto& c : out) c = ascii_lower(c);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
    return true;
}

}  // namespace fwmail
