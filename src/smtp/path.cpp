#include "smtp/path.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/utf8.hpp"

namespace fwmail::smtp {

namespace {

constexpr std::size_t max_local = 64, max_domain = 255, max_path = 254;  // RFC 5321 4.5.3.1
constexpr std::size_t max_parameters = 32;

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_8bit(char c) { return static_cast<unsigned char>(c) > 127; }
// RFC 5322 3.2.3, RFC 6531 3.3
bool is_atext(char c) {
    return is_8bit(c) || is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").contains(c);
}

auto bad(std::string text) { return fail(ErrorKind::protocol, std::move(text)); }

bool is_dot_string(std::string_view text) {
    if (text.empty() || text.front() == '.' || text.back() == '.' || text.contains("..")) return false;
    return std::ranges::all_of(text, [](char c) { return is_atext(c) || c == '.'; });
}

class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    bool at_end() const { return rest_.empty(); }
    char peek() const { return rest_.empty() ? '\0' : rest_[0]; }
    bool take(char c) {
        if (rest_.empty() || rest_[0] != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void skip_spaces() {
        while (take(' ')) {
        }
    }
    std::string_view rest() const { return rest_; }

    // RFC 5321 4.1.2: Local-part = Dot-string / Quoted-string
    Result<std::string> take_local() {
        if (take('"')) return take_quoted();
        std::string_view text = take_while([](char c) { return is_atext(c) || c == '.'; });
        // Dots where they should not be are in use (some Japanese carriers gave out such addresses).
        if (text.empty()) return bad("the local part is missing or holds a forbidden character");
        return std::string(text);
    }
    // Domain = sub-domain *("." sub-domain) / address-literal. Underscores are in use.
    Result<std::string> take_domain() {
        if (peek() == '[') return take_literal();
        std::string_view text =
            take_while([](char c) { return is_8bit(c) || is_alnum(c) || c == '-' || c == '.' || c == '_'; });
        if (text.ends_with('.')) text.remove_suffix(1);
        if (text.empty()) return bad("the domain is missing or holds a forbidden character");
        for (std::string_view rest = text;;) {
            std::size_t dot = rest.find('.');
            std::string_view label = rest.substr(0, dot);
            if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
                return bad("the domain is malformed");
            if (dot == std::string_view::npos) break;
            rest.remove_prefix(dot + 1);
        }
        if (text.size() > max_domain) return bad("the domain is too long");
        return std::string(text);
    }
    template <class Predicate>
    std::string_view take_while(Predicate predicate) {
        auto end = std::ranges::find_if_not(rest_, predicate);
        std::string_view out = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
        rest_.remove_prefix(out.size());
        return out;
    }

  private:
    Result<std::string> take_quoted() {
        std::string out;
        while (!rest_.empty()) {
            char c = rest_[0];
            rest_.remove_prefix(1);
            if (c == '"') {
                if (out.empty()) return bad("the local part is empty");
                return out;
            }
            if (c == '\\') {
                if (rest_.empty()) break;
                c = rest_[0];
                rest_.remove_prefix(1);
            }
            if (!is_8bit(c) && (c < ' ' || c > '~')) return bad("the local part holds a forbidden character");
            out += c;
        }
        return bad("a quotation mark is missing");
    }
    // "[" ( IPv4 / "IPv6:" … / tag ":" … ) "]"
    Result<std::string> take_literal() {
        std::string out(1, '[');
        rest_.remove_prefix(1);
        std::string_view text =
            take_while([](char c) { return is_alnum(c) || c == '.' || c == ':' || c == '-'; });
        if (text.empty() || text.size() > max_domain - 2 || !take(']'))
            return bad("the address literal is malformed");
        return out.append(text).append("]");
    }

    std::string_view rest_;
};

Result<Path> take_mailbox(Reader& reader) {
    Path path;
    path.local = TRY(reader.take_local());
    if (path.local.size() > max_local) return bad("the local part is longer than 64 octets");
    if (!reader.take('@')) return path;
    path.domain = TRY(reader.take_domain());
    if (path.text().size() > max_path) return bad("the address is longer than 254 octets");
    return path;
}

// RFC 5321 4.1.2: A-d-l = At-domain *( "," At-domain ), then ":"
Result<> skip_source_route(Reader& reader) {
    if (reader.peek() != '@') return {};
    do {
        if (!reader.take('@')) return bad("the source route is malformed");
        TRY(reader.take_domain());
    } while (reader.take(','));
    if (!reader.take(':')) return bad("the source route is malformed");
    return {};
}

Result<> check_charset(std::string_view text, Charset charset) {
    if (std::ranges::none_of(text, is_8bit)) return {};
    if (charset == Charset::ascii)
        return fail(ErrorKind::refused, "addresses beyond ASCII are not supported here");
    if (!is_plain_utf8(text)) return bad("the address is not UTF-8");
    return {};
}

// RFC 5321 4.1.1: Mail-parameters = esmtp-param *(SP esmtp-param)
Result<Parameters> take_parameters(Reader& reader) {
    Parameters parameters;
    for (;;) {
        bool space = reader.peek() == ' ';
        reader.skip_spaces();
        if (reader.at_end()) return parameters;
        if (!space) return bad("something stands behind the path");
        std::string name(reader.take_while([](char c) { return is_alnum(c) || c == '-'; }));
        if (name.empty() || name.front() == '-') return bad("a parameter is malformed");
        for (char& c : name)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        std::optional<std::string> value;
        if (reader.take('=')) {
            value = reader.take_while([](char c) { return c > ' ' && c <= '~' && c != '='; });
            if (value->empty()) return bad("a parameter's value is missing");
        }
        if (std::ranges::find(parameters, name, &Parameters::value_type::first) != parameters.end())
            return bad("a parameter is given twice");
        if (parameters.size() == max_parameters) return bad("too many parameters");
        parameters.emplace_back(std::move(name), std::move(value));
    }
}

}  // namespace

std::string Path::text() const {
    if (is_null()) return {};
    std::string out;
    if (is_dot_string(local)) {
        out = local;
    } else {
        out = '"';
        for (char c : local) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    if (!domain.empty()) out += '@' + domain;
    return out;
}

bool Path::is_ascii() const {
    return std::ranges::none_of(local, is_8bit) && std::ranges::none_of(domain, is_8bit);
}

Result<Path> parse_address(std::string_view text, Charset charset) {
    TRY(check_charset(text, charset));
    Reader reader(text);
    Path path = TRY(take_mailbox(reader));
    if (path.domain.empty()) return bad("the address has no domain");
    if (!reader.at_end()) return bad("something stands behind the address");
    return path;
}

Result<PathArgument> parse_path_argument(std::string_view text, PathKind kind) {
    TRY(check_charset(text, Charset::utf8));
    Reader reader(text);
    reader.skip_spaces();
    if (!reader.take('<')) return bad("the path must stand in angle brackets");
    PathArgument argument;
    if (reader.take('>')) {
        if (kind == PathKind::forward) return bad("the path is empty");
    } else {
        TRY(skip_source_route(reader));
        argument.path = TRY(take_mailbox(reader));
        bool bare_postmaster =
            kind == PathKind::forward && equal_ignoring_case(argument.path.local, "postmaster");
        if (argument.path.domain.empty() && !bare_postmaster) return bad("the address has no domain");
        if (!reader.take('>')) return bad("the path is not closed, or holds a forbidden character");
    }
    argument.parameters = TRY(take_parameters(reader));
    return argument;
}

bool is_plausible_host(std::string_view text) {
    if (text.empty() || text.size() > max_domain) return false;
    return std::ranges::all_of(text,
                               [](char c) { return is_alnum(c) || std::string_view("-._:[]").contains(c); });
}

}  // namespace fwmail::smtp
