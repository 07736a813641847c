// Modified UTF-7 (RFC 3501 5.1.3, RFC 9051 A.1).
#include <cstdint>

#include "base/encoding.hpp"
#include "imap/parser.hpp"

namespace fwmail::imap {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

void append_utf8(std::string& out, char32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xc0 | c >> 6);
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xe0 | c >> 12);
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | c >> 18);
        out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
        out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

// The next character of valid UTF-8; nullopt where it is not valid. Advances.
std::optional<char32_t> take_utf8(std::string_view text, std::size_t& at) {
    auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned first = octet(at);
    std::size_t more = first < 0x80             ? 0
                       : (first & 0xe0) == 0xc0 ? 1
                       : (first & 0xf0) == 0xe0 ? 2
                       : (first & 0xf8) == 0xf0 ? 3
                                                : 9;
    if (more == 9 || text.size() - at <= more) return std::nullopt;
    static constexpr char32_t least[] = {0, 0x80, 0x800, 0x10000};
    char32_t c = more == 0 ? first : first & (0x3fu >> more);
    for (std::size_t i = 1; i <= more; ++i) {
        if ((octet(at + i) & 0xc0) != 0x80) return std::nullopt;
        c = c << 6 | (octet(at + i) & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return std::nullopt;
    at += more + 1;
    return c;
}

// The shifted part between '&' and '-', as UTF-8.
bool decode_shifted(std::string_view base64, std::string& out) {
    std::uint32_t bits = 0;
    int count = 0;
    char32_t high = 0;
    for (char c : base64) {
        std::size_t value = alphabet.find(c);
        if (value == std::string_view::npos) return false;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        count += 6;
        if (count < 16) continue;
        count -= 16;
        char32_t unit = bits >> count & 0xffff;
        bits &= (1u << count) - 1;
        if (high) {
            if (unit < 0xdc00 || unit > 0xdfff) return false;
            append_utf8(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
            high = 0;
        } else if (unit >= 0xd800 && unit < 0xdc00) {
            high = unit;
        } else if ((unit >= 0xdc00 && unit < 0xe000) || (unit >= 0x20 && unit < 0x7f) || unit == 0) {
            return false;  // printable ASCII stands for itself
        } else {
            append_utf8(out, unit);
        }
    }
    return !high && count < 6 && bits == 0;
}

}  // namespace

std::optional<std::string> decode_mailbox_name(std::string_view utf7) {
    std::string out;
    for (std::size_t i = 0; i < utf7.size(); ++i) {
        char c = utf7[i];
        if (c < 0x20 || c == 0x7f)
            return std::nullopt;  // 8-bit octets too: char is signed here or masked below
        if (static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
        if (c != '&') {
            out += c;
            continue;
        }
        std::size_t end = utf7.find('-', i);
        if (end == std::string_view::npos) return std::nullopt;
        std::string_view shifted = utf7.substr(i + 1, end - i - 1);
        if (shifted.empty())
            out += '&';
        else if (!decode_shifted(shifted, out))
            return std::nullopt;
        // Two shifts in a row have one spelling only: a single shift.
        if (!shifted.empty() && utf7.substr(end + 1, 1) == "&" && utf7.substr(end + 2, 1) != "-")
            return std::nullopt;
        i = end;
    }
    return out;
}

std::string encode_mailbox_name(std::string_view utf8) {
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    bool shifted = false;
    auto put = [&](std::uint32_t unit) {
        bits = bits << 16 | unit;
        for (count += 16; count >= 6; count -= 6) out += alphabet[bits >> (count - 6) & 0x3f];
        bits &= (1u << count) - 1;
    };
    auto unshift = [&] {
        if (!shifted) return;
        if (count) out += alphabet[bits << (6 - count) & 0x3f];
        out += '-';
        bits = 0;
        count = 0;
        shifted = false;
    };
    for (std::size_t at = 0; at < utf8.size();) {
        auto next = take_utf8(utf8, at);
        if (!next) ++at;
        char32_t c = next.value_or(0xfffd);
        if (c >= 0x20 && c < 0x7f) {
            unshift();
            out += static_cast<char>(c);
            if (c == '&') out += '-';
            continue;
        }
        if (!shifted) out += '&';
        shifted = true;
        if (c >= 0x10000) {
            put(0xd800 + ((static_cast<std::uint32_t>(c) - 0x10000) >> 10));
            put(0xdc00 + ((static_cast<std::uint32_t>(c) - 0x10000) & 0x3ff));
        } else {
            put(static_cast<std::uint32_t>(c));
        }
    }
    unshift();
    return out;
}

bool valid_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();)
        if (!take_utf8(text, at)) return false;
    return true;
}

std::string fault_of_new_name(std::string_view utf8) {
    if (utf8.empty()) return "mailbox name is empty";
    if (utf8.size() > 800) return "mailbox name too long";
    if (utf8.starts_with('/') || utf8.ends_with('/') || utf8.find("//") != std::string_view::npos)
        return "mailbox name has an empty level";
    if (utf8.find_first_of("%*") != std::string_view::npos) return "mailbox name holds a wildcard";
    for (std::size_t at = 0; at < utf8.size();) {
        auto c = take_utf8(utf8, at);
        if (!c || *c < 0x20 || (*c >= 0x7f && *c < 0xa0) || *c == 0x2028 || *c == 0x2029)
            return "mailbox name holds a control character";
    }
    return {};
}

}  // namespace fwmail::imap
