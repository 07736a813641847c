#include "mime/encoded_word.hpp"

#include <algorithm>
#include <map>

#include "base/encoding.hpp"
#include "mime/charset.hpp"
#include "mime/header.hpp"

namespace fwmail::mime {

namespace {

struct EncodedWord {
    std::string_view charset, text;  // charset without the language that RFC 2231 5 adds
    bool base64 = false;
    std::size_t length = 0;
};

// The encoded word at the head of `s`, or length 0. Longer ones than RFC 2047's 75 octets are read; spaces in
// the text are, too (programs write them), but never a second "=?".
EncodedWord encoded_word(std::string_view s) {
    EncodedWord word;
    if (!s.starts_with("=?")) return {};
    std::size_t charset_end = 2;
    while (charset_end < s.size() && charset_end < 80 && s[charset_end] != '?' &&
           static_cast<unsigned char>(s[charset_end]) > 32)
        ++charset_end;
    if (charset_end + 2 >= s.size() || s[charset_end] != '?' || s[charset_end + 2] != '?') return {};
    char kind = ascii_lower(s[charset_end + 1]);
    if (kind != 'b' && kind != 'q') return {};
    word.base64 = kind == 'b';
    word.charset = s.substr(2, charset_end - 2);
    word.charset = word.charset.substr(0, word.charset.find('*'));
    std::size_t from = charset_end + 3, at = from;
    // Found within a bound, so that a value full of openings costs no quadratic time.
    std::size_t limit = std::min(s.size(), from + 4096);
    while (at < limit && s[at] != '?') ++at;
    if (at + 1 >= limit || s[at + 1] != '=') return {};
    word.text = s.substr(from, at - from);
    word.length = at + 2;
    return word;
}

int hex_value(char c) {
    c = ascii_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Octets written as an escape octet and two hexadecimal digits.
std::string unescape(std::string_view text, char escape, bool underscore_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == escape && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
            hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            i += 2;
        } else {
            out += underscore_is_space && c == '_' ? ' ' : c;
        }
    }
    return out;
}

std::string without_controls(std::string text) {
    std::erase(text, '\0');
    for (auto& c : text)
        if (c == '\r' || c == '\n') c = ' ';
    return text;
}

}  // namespace

std::string decode_header(std::string_view value) {
    std::string out, plain, octets, written;
    std::string charset;
    bool have_word = false;
    auto flush_plain = [&] {
        out += guess_utf8(plain);
        plain.clear();
    };
    auto flush_word = [&] {
        auto text = to_utf8(charset, octets);
        out += text ? *text : guess_utf8(written);
        octets.clear();
        written.clear();
        have_word = false;
    };
    while (!value.empty()) {
        EncodedWord word = encoded_word(value);
        if (!word.length) {
            if (have_word) flush_word();
            std::size_t next = std::min(value.find("=?", 1), value.size());
            plain += value.substr(0, next);
            value.remove_prefix(next);
            continue;
        }
        flush_plain();
        std::string name = ascii_lower(word.charset);
        if (have_word && name != charset) flush_word();
        have_word = true;
        charset = name;
        if (!written.empty()) written += ' ';
        written += value.substr(0, word.length);
        octets += word.base64 ? base64_decode_lenient(word.text) : unescape(word.text, '=', true);
        value.remove_prefix(word.length);
        // RFC 2047 6.2: white space between encoded words is not shown.
        std::size_t space = std::min(value.find_first_not_of(" \t\r\n"), value.size());
        if (space < value.size() && encoded_word(value.substr(space)).length) value.remove_prefix(space);
    }
    if (have_word) flush_word();
    flush_plain();
    return without_controls(std::move(out));
}

namespace {

bool needs_encoding(std::string_view word) {
    return word.find("=?") != std::string_view::npos ||
           std::ranges::any_of(word, [](char c) { return static_cast<unsigned char>(c) >= 127; });
}

bool is_q_safe(char c) {  // RFC 2047 5 (3): good in a phrase too
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '!' ||
           c == '*' || c == '+' || c == '-' || c == '/';
}

std::size_t q_length(std::string_view text) {
    std::size_t n = 0;
    for (char c : text) n += c == ' ' || is_q_safe(c) ? 1 : 3;
    return n;
}

// UTF-8 as encoded words of at most 75 octets with a space between; each holds whole characters (RFC 2047 5).
std::string encode_words(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    constexpr std::size_t room = 75 - 12;                              // "=?utf-8?q?" and "?="
    bool base64 = q_length(text) * 2 > (text.size() + 2) / 3 * 4 * 3;  // Q is readable, B is shorter
    std::string out;
    while (!text.empty()) {
        std::size_t taken = 0, cost = 0;
        while (taken < text.size()) {
            std::size_t next = taken + 1;
            while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
            std::size_t step = q_length(text.substr(taken, next - taken));
            if (base64 ? (next + 2) / 3 * 4 > room : cost + step > room) break;
            cost += step;
            taken = next;
        }
        std::string_view piece = text.substr(0, taken);
        if (!out.empty()) out += ' ';
        out += base64 ? "=?utf-8?b?" : "=?utf-8?q?";
        if (base64)
            out += base64_encode(piece);
        else
            for (char c : piece) {
                auto u = static_cast<unsigned char>(c);
                if (c == ' ')
                    out += '_';
                else if (is_q_safe(c))
                    out += c;
                else
                    (out += '=') += {digits[u >> 4], digits[u & 15]};
            }
        out += "?=";
        text.remove_prefix(taken);
    }
    return out;
}

}  // namespace

std::string encode_header(std::string_view utf8) {
    std::string text = repair_utf8(utf8);
    for (auto& c : text)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
    // From the first word that needs it to the last one; the rest stays readable.
    std::size_t first = std::string::npos, last = 0, at = 0;
    while (at < text.size()) {
        std::size_t end = std::min(text.find(' ', at), text.size());
        if (needs_encoding(std::string_view(text).substr(at, end - at))) {
            if (first == std::string::npos) first = at;
            last = end;
        }
        at = end + 1;
    }
    if (first == std::string::npos) return text;
    return text.substr(0, first) + encode_words(std::string_view(text).substr(first, last - first)) +
           text.substr(last);
}

namespace {

// RFC 2231 4: charset'language'text, percent-escaped.
struct Extended {
    std::string charset, octets;
};
Extended read_extended(std::string_view value, bool first, bool escaped) {
    Extended out;
    if (first && escaped) {
        std::size_t quote = value.find('\'');
        std::size_t second = quote == std::string_view::npos ? quote : value.find('\'', quote + 1);
        if (second != std::string_view::npos) {
            out.charset = value.substr(0, quote);
            value.remove_prefix(second + 1);
        }
    }
    out.octets = escaped ? unescape(value, '%', false) : std::string(value);
    return out;
}

std::string charset_text(const std::string& charset, const std::string& octets) {
    return without_controls(to_utf8(charset, octets).value_or(guess_utf8(octets)));
}

}  // namespace

std::optional<std::string> decode_parameter(const Parameters& parameters, std::string_view name) {
    const std::string* plain = nullptr;
    std::map<std::size_t, std::pair<std::string_view, bool>>
        pieces;  // by number: the value, and whether it is escaped
    for (const auto& [n, value] : parameters) {
        std::string_view rest = n;
        if (!rest.starts_with(name)) continue;
        rest.remove_prefix(name.size());
        if (rest.empty()) {
            if (!plain) plain = &value;
        } else if (rest == "*") {
            Extended e = read_extended(value, true, true);
            return charset_text(e.charset, e.octets);
        } else if (rest[0] == '*') {
            rest.remove_prefix(1);
            bool escaped = rest.ends_with('*');
            if (escaped) rest.remove_suffix(1);
            std::size_t number = 0;
            if (rest.empty() || rest.size() > 4) continue;
            if (!std::ranges::all_of(rest, [](char c) { return c >= '0' && c <= '9'; })) continue;
            for (char c : rest) number = number * 10 + static_cast<std::size_t>(c - '0');
            pieces.try_emplace(number, value, escaped);
        }
    }
    if (pieces.contains(0)) {
        std::string charset, octets;
        for (std::size_t i = 0; pieces.contains(i); ++i) {  // a missing piece ends it
            Extended e = read_extended(pieces[i].first, i == 0, pieces[i].second);
            if (i == 0) charset = e.charset;
            octets += e.octets;
        }
        return charset_text(charset, octets);
    }
    if (!plain) return std::nullopt;
    return decode_header(*plain);
}

}  // namespace fwmail::mime
