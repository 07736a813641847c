#include "base/encoding.hpp"

#include <array>
#include <cstdint>

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
constexpr auto url_reverse = reverse(url_alphabet);

void encode_into(std::string& out, std::string_view in, const char* alphabet, bool pad) {
    std::size_t i = 0;
    auto at = [&](std::size_t k) { return static_cast<std::uint32_t>(static_cast<unsigned char>(in[k])); };
    std::size_t before = out.size();
    out.resize(before + in.size() / 3 * 4);
    for (char* to = out.data() + before; i + 3 <= in.size(); i += 3, to += 4) {
        std::uint32_t v = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        to[0] = alphabet[v >> 18];
        to[1] = alphabet[v >> 12 & 63];
        to[2] = alphabet[v >> 6 & 63];
        to[3] = alphabet[v & 63];
    }
    if (i + 1 == in.size()) {
        std::uint32_t v = at(i) << 16;
        out += alphabet[v >> 18];
        out += alphabet[v >> 12 & 63];
        if (pad) out += "==";
    } else if (i + 2 == in.size()) {
        std::uint32_t v = at(i) << 16 | at(i + 1) << 8;
        out += alphabet[v >> 18];
        out += alphabet[v >> 12 & 63];
        out += alphabet[v >> 6 & 63];
        if (pad) out += '=';
    }
}

std::optional<std::string> decode_exact(std::string_view in, const std::array<std::int8_t, 256>& table) {
    if (in.size() % 4 == 1) return std::nullopt;
    std::string out(in.size() / 4 * 3, '\0');
    std::size_t whole = in.size() / 4;
    char* to = out.data();
    for (const char* from = in.data(); whole; --whole, from += 4, to += 3) {
        int a = table[static_cast<unsigned char>(from[0])], b = table[static_cast<unsigned char>(from[1])];
        int c = table[static_cast<unsigned char>(from[2])], d = table[static_cast<unsigned char>(from[3])];
        if ((a | b | c | d) < 0) return std::nullopt;
        std::uint32_t v = static_cast<std::uint32_t>(a) << 18 | static_cast<std::uint32_t>(b) << 12 |
                          static_cast<std::uint32_t>(c) << 6 | static_cast<std::uint32_t>(d);
        to[0] = static_cast<char>(v >> 16);
        to[1] = static_cast<char>(v >> 8);
        to[2] = static_cast<char>(v);
    }
    std::uint32_t bits = 0;
    int count = 0;
    for (char c : in.substr(in.size() / 4 * 4)) {
        int v = table[static_cast<unsigned char>(c)];
        if (v < 0) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(v);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 255);
        }
    }
    if (bits & ((1u << count) - 1)) return std::nullopt;
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
    std::string out;
    out.reserve((octets.size() + 2) / 3 * 4);
    encode_into(out, octets, standard_alphabet, true);
    return out;
}

std::string base64_encode_mime(std::string_view octets) {
    std::string out;
    out.reserve((octets.size() + 2) / 3 * 4 + octets.size() / 57 * 2 + 4);
    for (std::size_t i = 0; i < octets.size(); i += 57) {
        encode_into(out, octets.substr(i, 57), standard_alphabet, true);
        out += "\r\n";
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4) return std::nullopt;
    if (text.ends_with("=="))
        text.remove_suffix(2);
    else if (text.ends_with("="))
        text.remove_suffix(1);
    return decode_exact(text, standard_reverse);
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
    std::string out;
    encode_into(out, octets, url_alphabet, false);
    return out;
}

std::optional<std::string> base64url_decode(std::string_view text) { return decode_exact(text, url_reverse); }

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
