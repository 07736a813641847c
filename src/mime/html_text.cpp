#include "mime/html_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/encoding.hpp"
#include "mime/charset.hpp"

namespace fwmail::mime {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Tags within a line: a word may go on on their other side. All others part words.
bool is_inline(std::string_view name) {
    static constexpr std::string_view names[] = {
        "a",     "abbr", "acronym", "b",      "bdi", "bdo", "big",  "cite", "code", "del",
        "dfn",   "em",   "font",    "i",      "ins", "kbd", "mark", "q",    "s",    "samp",
        "small", "span", "strike",  "strong", "sub", "sup", "tt",   "u",    "var",  "wbr"};
    return std::ranges::find(names, name) != std::end(names);
}
// Elements whose content is no text.
bool is_raw(std::string_view name) {
    return name == "script" || name == "style" || name == "template" || name == "title";
}

struct Entity {
    std::string_view name;
    char32_t character;
};
// HTML 4's names for Latin-1 from U+00A0 on, in order.
constexpr std::string_view latin1[] = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",    "copy",
    "ordf",   "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn", "sup2",   "sup3",
    "acute",  "micro",  "para",   "middot", "cedil",  "sup1",   "ordm",   "raquo",  "frac14", "frac12",
    "frac34", "iquest", "Agrave", "Aacute", "Acirc",  "Atilde", "Auml",   "Aring",  "AElig",  "Ccedil",
    "Egrave", "Eacute", "Ecirc",  "Euml",   "Igrave", "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde",
    "Ograve", "Oacute", "Ocirc",  "Otilde", "Ouml",   "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",
    "Uuml",   "Yacute", "THORN",  "szlig",  "agrave", "aacute", "acirc",  "atilde", "auml",   "aring",
    "aelig",  "ccedil", "egrave", "eacute", "ecirc",  "euml",   "igrave", "iacute", "icirc",  "iuml",
    "eth",    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide", "oslash", "ugrave",
    "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml"};
static_assert(std::size(latin1) == 96);
constexpr Entity others[] = {
    {"amp", '&'},       {"lt", '<'},        {"gt", '>'},        {"quot", '"'},      {"apos", '\''},
    {"AMP", '&'},       {"LT", '<'},        {"GT", '>'},        {"QUOT", '"'},      {"OElig", 0x152},
    {"oelig", 0x153},   {"Scaron", 0x160},  {"scaron", 0x161},  {"Yuml", 0x178},    {"fnof", 0x192},
    {"circ", 0x2C6},    {"tilde", 0x2DC},   {"ensp", 0x2002},   {"emsp", 0x2003},   {"thinsp", 0x2009},
    {"zwnj", 0x200C},   {"zwj", 0x200D},    {"ndash", 0x2013},  {"mdash", 0x2014},  {"lsquo", 0x2018},
    {"rsquo", 0x2019},  {"sbquo", 0x201A},  {"ldquo", 0x201C},  {"rdquo", 0x201D},  {"bdquo", 0x201E},
    {"dagger", 0x2020}, {"Dagger", 0x2021}, {"bull", 0x2022},   {"hellip", 0x2026}, {"permil", 0x2030},
    {"prime", 0x2032},  {"lsaquo", 0x2039}, {"rsaquo", 0x203A}, {"euro", 0x20AC},   {"trade", 0x2122},
    {"larr", 0x2190},   {"uarr", 0x2191},   {"rarr", 0x2192},   {"darr", 0x2193},   {"minus", 0x2212},
    {"infin", 0x221E},  {"ne", 0x2260},     {"le", 0x2264},     {"ge", 0x2265}};

// 0: none of that name.
char32_t named(std::string_view name) {
    if (auto it = std::ranges::find(latin1, name); it != std::end(latin1))
        return 0xA0 + static_cast<char32_t>(it - std::begin(latin1));
    auto it = std::ranges::find(others, name, &Entity::name);
    return it == std::end(others) ? 0 : it->character;
}

// `#123` or `#x7b`; 0: no number.
char32_t numbered(std::string_view text) {
    text.remove_prefix(1);
    unsigned base = 10;
    if (text.starts_with('x') || text.starts_with('X')) {
        base = 16;
        text.remove_prefix(1);
    }
    std::uint64_t value = 0;  // of at most 30 digits, but it stops long before it could overflow
    for (char c : text) {
        char l = ascii_lower(c);
        unsigned digit = is_digit(l)            ? static_cast<unsigned>(l - '0')
                         : l >= 'a' && l <= 'f' ? l - 'a' + 10u
                                                : 99;
        if (digit >= base) return 0;
        value = std::min<std::uint64_t>(value * base + digit, 0x110000);
    }
    if (text.empty()) return 0;
    // Nobody means a C1 control: these numbers are windows-1252.
    if (value >= 0x80 && value < 0xA0) {
        auto western = to_utf8("windows-1252", std::string(1, static_cast<char>(value)));
        std::string_view view = western ? *western : std::string_view(" ");
        return take_utf8(view);
    }
    return value == 0 ? 0xFFFD : static_cast<char32_t>(value);
}

constexpr std::size_t longest_name = 16;
constexpr std::size_t longest_reference = 32;

}  // namespace

void HtmlText::put(char c, std::string& out) {
    if (is_space(c)) return put_space();
    if (space_ && started_) out += ' ';
    space_ = false;
    started_ = true;
    out += c;
}

void HtmlText::in_text(char c, std::string& out) {
    if (c == '<') {
        in_ = In::tag_open;
    } else if (c == '&') {
        in_ = In::reference;
        held_.clear();
    } else {
        put(c, out);
    }
}

void HtmlText::begin_tag(char c, std::string& out) {
    name_.clear();
    closing_ = c == '/';
    if (is_letter(c)) {
        in_ = In::name;
        name_ = ascii_lower(c);
    } else if (c == '/') {
        in_ = In::name;
    } else if (c == '!' || c == '?') {
        in_ = In::declaration;
        held_.clear();
    } else {  // it was only a "less than"
        in_ = In::text;
        put('<', out);
        in_text(c, out);
    }
}

void HtmlText::end_name(char c) {
    in_ = In::tag;
    after_equals_ = false;
    if (c == '>') end_tag();
}

void HtmlText::end_tag() {
    in_ = In::text;
    if (!is_inline(name_)) put_space();
    if (!closing_ && is_raw(name_)) {
        in_ = In::raw;
        raw_name_ = "</" + name_;
        matched_ = 0;
    }
}

void HtmlText::in_raw(char c) {
    if (matched_ == raw_name_.size()) {
        if (is_letter(c) || is_digit(c)) {  // </scripture
            matched_ = 0;
            return;
        }
        closing_ = true;
        name_ = raw_name_.substr(2);
        in_ = c == '>' ? In::text : In::tag;
        return;
    }
    if (ascii_lower(c) == raw_name_[matched_])
        ++matched_;
    else
        matched_ = c == '<' ? 1 : 0;
}

void HtmlText::end_reference(char c, std::string& out) {
    in_ = In::text;
    char32_t character = held_.starts_with('#') ? numbered(held_) : named(held_);
    if (!character) {
        put('&', out);
        for (char held : held_) put(held, out);
        return in_text(c, out);
    }
    if (character == 0xA0 || (character >= 0x2000 && character <= 0x200A) || character < 0x20) {
        put_space();
    } else if (character != 0xAD) {  // a soft hyphen is where a word may be parted, no part of it
        std::string octets;
        append_utf8(octets, character);
        for (char octet : octets) put(octet, out);
    }
    if (c != ';') in_text(c, out);
}

void HtmlText::next(char c, std::string& out) {
    switch (in_) {
        case In::text:
            return in_text(c, out);
        case In::reference:
            if ((is_letter(c) || is_digit(c) || (c == '#' && held_.empty())) &&
                held_.size() < longest_reference)
                held_ += c;
            else
                end_reference(c, out);
            return;
        case In::tag_open:
            return begin_tag(c, out);
        case In::name:
            if (c == '>' || c == '/' || is_space(c)) return end_name(c);
            if (name_.size() < longest_name) name_ += ascii_lower(c);
            return;
        case In::tag:
            if (c == '>') return end_tag();
            // Elsewhere a quotation mark is a slip, and must not swallow what follows.
            if ((c == '"' || c == '\'') && after_equals_) {
                in_ = In::quoted;
                quote_ = c;
            }
            if (!is_space(c)) after_equals_ = c == '=';
            return;
        case In::quoted:
            if (c == quote_) in_ = In::tag;
            return;
        case In::declaration:
            if (c == '>') {
                in_ = In::text;
                return;
            }
            if (held_.size() < 2) held_ += c;
            if (held_ == "--") {
                in_ = In::comment;
                matched_ = 2;  // <!--> is whole
            }
            return;
        case In::comment:
            if (c == '>' && matched_ >= 2) in_ = In::text;
            matched_ = c == '-' ? matched_ + 1 : 0;
            return;
        case In::raw:
            return in_raw(c);
    }
}

void HtmlText::feed(std::string_view utf8, std::string& out) {
    for (char c : utf8) next(c, out);
}

void HtmlText::finish(std::string& out) {
    if (in_ == In::reference) end_reference(' ', out);
    if (in_ == In::tag_open) put('<', out);
    if (space_ && started_) out += ' ';
    *this = HtmlText();
}

}  // namespace fwmail::mime
