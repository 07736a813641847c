// Tokens (RFC 3501 9).
#include "imap/parser.hpp"

#include <algorithm>
#include <cstring>

#include "base/encoding.hpp"

namespace fwmail::imap {
namespace {

std::unexpected<Error> bad(std::string text) { return fail(ErrorKind::protocol, std::move(text)); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_char(char c) {
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || is_digit(c) || c == '.' || c == '-';
}
constexpr std::size_t most_flags = 200;
constexpr std::size_t longest_keyword = 100;  // as sync::max_keyword_octets

}  // namespace

bool is_atom_char(char c) { return c > ' ' && c < 0x7f && !std::strchr("(){%*\"\\]", c); }
bool is_astring_char(char c) { return c == ']' || is_atom_char(c); }

bool Parser::accept(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
}

bool Parser::accept_prefix(std::string_view prefix) {
    if (!equal_ignoring_case(rest().substr(0, prefix.size()), prefix)) return false;
    at_ += prefix.size();
    return true;
}

bool Parser::accept_word(std::string_view word) {
    std::string_view left = rest();
    if (left.size() > word.size() && is_word_char(left[word.size()])) return false;
    return accept_prefix(word);
}

Result<> Parser::expect(char c) {
    if (accept(c)) return {};
    return bad(at_end() ? "unexpected end of command" : std::string("expected '") + c + "'");
}

Result<> Parser::space() {
    if (accept(' ')) return {};
    return bad(at_end() ? "missing arguments" : "expected a space");
}

Result<> Parser::end() {
    if (at_end()) return {};
    return bad("too many arguments");
}

Result<std::string> Parser::tag() {
    std::size_t start = at_;
    while (is_astring_char(peek()) && peek() != '+') ++at_;
    if (at_ == start || at_ - start > 256 || (!at_end() && peek() != ' ')) return bad("invalid tag");
    return std::string(text_.substr(start, at_ - start));
}

Result<std::string> Parser::word() {
    std::size_t start = at_;
    while (!at_end() && is_word_char(peek())) ++at_;
    if (at_ == start) return bad("expected a word");
    std::string word(text_.substr(start, at_ - start));
    std::ranges::transform(word, word.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    return word;
}

Result<std::string> Parser::atom() {
    std::size_t start = at_;
    while (is_atom_char(peek())) ++at_;
    if (at_ == start) return bad("expected an atom");
    return std::string(text_.substr(start, at_ - start));
}

Result<std::string> Parser::quoted() {
    TRY(expect('"'));
    std::string out;
    while (!at_end()) {
        char c = text_[at_++];
        if (c == '"') return out;
        if (c == '\\') {
            c = peek();
            if (c != '"' && c != '\\') return bad("invalid escape in a quoted string");
            ++at_;
        }
        if (c == '\0' || c == '\r' || c == '\n') return bad("invalid character in a quoted string");
        out += c;
    }
    return bad("quoted string without end");
}

// The framer has checked and counted it already, unless braces stand where no literal may be.
Result<std::string> Parser::literal() {
    TRY(expect('{'));
    std::uint64_t size = TRY(number64());
    TRY(expect('}'));
    if (!accept('\r') || !accept('\n') || size > rest().size()) return bad("invalid literal");
    std::string out(text_.substr(at_, size));
    at_ += size;
    if (out.find('\0') != std::string::npos) return bad("NUL in a literal");
    return out;
}

Result<std::string> Parser::string() {
    if (peek() == '"') return quoted();
    if (peek() == '{') return literal();
    return bad("expected a string");
}

Result<std::string> Parser::astring() {
    if (peek() == '"' || peek() == '{') return string();
    std::size_t start = at_;
    while (is_astring_char(peek())) ++at_;
    if (at_ == start) return bad(at_end() ? "missing arguments" : "expected a string");
    return std::string(text_.substr(start, at_ - start));
}

Result<std::optional<std::string>> Parser::nstring() {
    if (accept_word("NIL")) return std::nullopt;
    return TRY(string());
}

Result<std::string> Parser::mailbox_name(std::string_view wire) {
    if (wire.size() > 4096) return fail(ErrorKind::refused, "[CANNOT] mailbox name too long");
    if (utf8_ && !valid_utf8(wire)) return bad("mailbox name is not valid UTF-8");
    std::optional<std::string> name;
    if (utf8_)
        name = wire;
    else
        name = decode_mailbox_name(wire);
    if (!name) return fail(ErrorKind::refused, "[CANNOT] mailbox name is not valid modified UTF-7");
    // INBOX is one name in every spelling (RFC 3501 5.1), and so are those below it.
    if (name->size() >= 5 && equal_ignoring_case(name->substr(0, 5), "INBOX") &&
        (name->size() == 5 || (*name)[5] == '/'))
        name->replace(0, 5, "INBOX");
    return *name;
}

Result<std::string> Parser::mailbox() { return mailbox_name(TRY(astring())); }

Result<std::string> Parser::list_mailbox() {
    if (peek() == '"' || peek() == '{') return mailbox_name(TRY(string()));
    std::size_t start = at_;
    while (is_astring_char(peek()) || peek() == '%' || peek() == '*') ++at_;
    if (at_ == start) return bad("expected a mailbox pattern");
    return mailbox_name(text_.substr(start, at_ - start));
}

Result<std::uint64_t> Parser::number64() {
    std::size_t start = at_;
    std::uint64_t value = 0;
    while (is_digit(peek())) {
        if (at_ - start >= 18) return bad("number too large");
        value = value * 10 + static_cast<unsigned>(text_[at_++] - '0');
    }
    if (at_ == start) return bad("expected a number");
    return value;
}

Result<std::uint32_t> Parser::number() {
    std::uint64_t value = TRY(number64());
    if (value > 0xffffffffu) return bad("number too large");
    return static_cast<std::uint32_t>(value);
}

Result<std::uint32_t> Parser::nz_number() {
    std::uint32_t value = TRY(number());
    if (value == 0) return bad("zero is not allowed here");
    return value;
}

Result<ModSeq> Parser::modseq() {
    constexpr std::uint64_t most = 0x7fffffffffffffff;
    std::size_t start = at_;
    std::uint64_t value = 0;
    for (; is_digit(peek()); ++at_) {
        auto digit = static_cast<unsigned>(peek() - '0');
        if (value > (most - digit) / 10) return bad("number too large");
        value = value * 10 + digit;
    }
    if (at_ == start) return bad("expected a number");
    return ModSeq(value);
}

// RFC 5182 5: `$` stands alone.
Result<SequenceSet> Parser::sequence_set() {
    SequenceSet set;
    set.saved = accept('$');
    if (set.saved) return set;
    auto element = [&]() -> Result<std::uint32_t> {
        if (accept('*')) return 0u;
        return nz_number();
    };
    do {
        std::uint32_t first = TRY(element());
        std::uint32_t last = first;
        if (accept(':')) last = TRY(element());
        set.ranges.emplace_back(first, last);
    } while (accept(','));
    return set;
}

// nz-number ":" nz-number / "-" nz-number ":" "-" nz-number; the ends in either order.
Result<Window> Parser::window() {
    Window out;
    out.from_end = accept('-');
    out.first = TRY(nz_number());
    TRY(expect(':'));
    if (out.from_end) TRY(expect('-'));
    out.last = TRY(nz_number());
    if (out.first > out.last) std::swap(out.first, out.last);
    return out;
}

// flag-list of APPEND and STORE. \Recent is the server's own and silently left out.
Result<FlagSet> Parser::flags(bool in_parentheses_only) {
    FlagSet set;
    bool parenthesised = accept('(');
    if (!parenthesised && in_parentheses_only) return bad("expected a list of flags");
    if (parenthesised && accept(')')) return set;
    std::size_t count = 0;
    do {
        bool system = accept('\\');
        std::string name = TRY(atom());
        if (++count > most_flags) return fail(ErrorKind::refused, "[LIMIT] too many flags");
        if (name.size() > longest_keyword) return fail(ErrorKind::refused, "[LIMIT] keyword too long");
        if (system && !set.add_word("\\" + name) && !equal_ignoring_case(name, "Recent"))
            return bad("unknown system flag");
        if (!system) set.add_keyword(name);
    } while (accept(' '));
    if (parenthesised) TRY(expect(')'));
    return set;
}

}  // namespace fwmail::imap
