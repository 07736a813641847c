// The grammar of responses but FETCH (RFC 9051 9: response-data, status; RFC 7162: vanished).
#include "imap/parse_response.hpp"

#include <algorithm>
#include <charconv>

#include "base/encoding.hpp"
#include "base/keyword.hpp"

namespace fwmail::imap::response {

std::unexpected<Error> bad(std::string_view what) {
    return fail(ErrorKind::protocol, "the server's " + std::string(what) + " is not understood");
}

std::string ascii_upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string take_word(Parser& parser) {
    std::size_t end = std::min(parser.rest().find_first_of(" ()[]\r\n"), parser.rest().size());
    std::string word(parser.rest().substr(0, end));
    for (std::size_t i = 0; i < end; ++i) parser.accept(word[i]);
    return word;
}

// Flags as servers write them, `\*` and system flags of their own among them; RFC 9051 flag-list.
Result<FlagSet> take_flags(Parser& parser, bool* recent) {
    if (!parser.accept('(')) return bad("list of flags");
    FlagSet flags;
    while (!parser.accept(')')) {
        std::string word = take_word(parser);
        if (word.empty() && !parser.accept(' ')) return bad("list of flags");
        if (recent && equal_ignoring_case(word, "\\Recent")) *recent = true;
        bool known = word.starts_with('\\') || is_keyword(word);
        if (known && flags.keywords.size() < 1000) flags.add_word(word);
    }
    return flags;
}

namespace {

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<std::uint32_t> number32_of(std::string_view text) {
    auto number = number_of(text);
    if (!number || *number > 0xffffffff) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

std::optional<std::vector<UidSet::Interval>> intervals_of(std::string_view text) {
    std::vector<UidSet::Interval> out;
    while (true) {
        std::size_t comma = std::min(text.find(','), text.size());
        std::string_view range = text.substr(0, comma);
        std::size_t colon = range.find(':');
        auto first = number32_of(range.substr(0, colon));
        auto last = colon == std::string_view::npos ? first : number32_of(range.substr(colon + 1));
        if (!first || !last || *first == 0 || *last == 0) return std::nullopt;
        out.push_back({*first, *last});
        if (comma == text.size()) return out;
        text.remove_prefix(comma + 1);
    }
}

// `[CODE arguments] text`
void take_status_text(std::string_view text, Status& status) {
    if (text.starts_with(' ')) text.remove_prefix(1);
    std::size_t end = text.find(']');
    // The flags of PERMANENTFLAGS hold no ']', nor does any code that matters here.
    if (text.starts_with('[') && end != std::string_view::npos) {
        std::string_view inner = text.substr(1, end - 1);
        std::size_t space = std::min(inner.find(' '), inner.size());
        status.code = ascii_upper(inner.substr(0, space));
        status.arguments = inner.substr(std::min(space + 1, inner.size()));
        text.remove_prefix(end + 1);
        if (text.starts_with(' ')) text.remove_prefix(1);
    }
    status.text = text;
}

std::optional<Condition> condition_of(std::string_view word) {
    if (word == "OK") return Condition::ok;
    if (word == "NO") return Condition::no;
    if (word == "BAD") return Condition::bad;
    if (word == "PREAUTH") return Condition::preauth;
    if (word == "BYE") return Condition::bye;
    return std::nullopt;
}

// astring; servers write names as atoms that are none.
Result<std::string> take_mailbox(Parser& parser) {
    if (parser.peek() == '"' || parser.peek() == '{') return parser.string();
    std::size_t end = std::min(parser.rest().find(' '), parser.rest().size());
    std::string name(parser.rest().substr(0, end));
    if (name.empty() || !parser.accept_prefix(name)) return bad("mailbox name");
    return name;
}

Result<Capability> take_capability(Parser& parser) {
    Capability capability;
    while (parser.accept(' ')) {
        std::string word = take_word(parser);
        if (!word.empty()) capability.names.push_back(ascii_upper(word));
    }
    return capability;
}

// nil / DQUOTE QUOTED-CHAR DQUOTE
Result<char> take_delimiter(Parser& parser) {
    auto text = TRY(parser.nstring());
    if (!text || text->empty()) return '\0';
    return (*text)[0];
}

Result<List> take_list(Parser& parser) {
    List list;
    if (!parser.accept(' ') || !parser.accept('(')) return bad("LIST");
    while (!parser.accept(')')) {
        std::string word = take_word(parser);
        if (word.empty() && !parser.accept(' ')) return bad("LIST");
        if (!word.empty() && list.attributes.size() < 100) list.attributes.push_back(std::move(word));
    }
    TRY(parser.space());
    list.delimiter = TRY(take_delimiter(parser));
    TRY(parser.space());
    list.mailbox = TRY(take_mailbox(parser));  // what LIST-EXTENDED adds behind it is passed over
    return list;
}

// Behind the ")" that ends a list which has been entered, past whatever is in it.
Result<> skip_to_end_of_list(Parser& parser) {
    for (int depth = 1; depth > 0;) {
        if (parser.at_end()) return bad("list");
        if (parser.peek() == '"' || parser.peek() == '{')
            TRY(parser.string());
        else if (parser.accept('('))
            ++depth;
        else if (parser.accept(')'))
            --depth;
        else if (!parser.accept(' ') && take_word(parser).empty())
            return bad("list");
    }
    return {};
}

// RFC 9051 7.3.3: Namespace-Descr = "(" string SP (DQUOTE QUOTED-CHAR DQUOTE / nil) [extensions] ")"
Result<std::pair<std::string, char>> take_namespace_row(Parser& parser) {
    if (!parser.accept('(')) return bad("NAMESPACE");
    std::string prefix = TRY(parser.string());
    TRY(parser.space());
    char delimiter = TRY(take_delimiter(parser));
    TRY(skip_to_end_of_list(parser));
    return std::pair(std::move(prefix), delimiter);
}

Result<std::vector<std::pair<std::string, char>>> take_namespace_rows(Parser& parser) {
    std::vector<std::pair<std::string, char>> rows;
    TRY(parser.space());
    if (!parser.accept('(')) {
        take_word(parser);  // NIL
        return rows;
    }
    while (!parser.accept(')')) {
        if (parser.accept(' ')) continue;
        auto row = TRY(take_namespace_row(parser));
        if (rows.size() < 100) rows.push_back(std::move(row));
    }
    return rows;
}

// Personal ones, other users', shared ones: (("INBOX." ".")("#mh/" "/")) NIL (("" "."))
Result<Namespace> take_namespace(Parser& parser) {
    Namespace space;
    for (auto& [prefix, delimiter] : TRY(take_namespace_rows(parser))) {
        if (space.known)
            space.more.push_back(std::move(prefix));
        else
            space.prefix = std::move(prefix), space.delimiter = delimiter;
        space.known = true;
    }
    for (int kind = 0; kind < 2; ++kind) {
        auto rows = take_namespace_rows(parser);
        if (!rows) break;  // what is ours is known
        for (auto& row : *rows) space.foreign.push_back(std::move(row.first));
    }
    return space;
}

Result<MailboxStatus> take_status(Parser& parser) {
    MailboxStatus status;
    TRY(parser.space());
    status.mailbox = TRY(take_mailbox(parser));
    TRY(parser.space());
    if (!parser.accept('(')) return bad("STATUS");
    while (!parser.accept(')')) {
        if (parser.accept(' ')) continue;
        std::string item = ascii_upper(take_word(parser));
        if (!parser.accept(' ')) return bad("STATUS");
        if (parser.accept('(')) {  // RFC 8474 4.3: MAILBOXID has a list
            TRY(skip_to_end_of_list(parser));
            continue;
        }
        std::string word = take_word(parser);
        if (item.empty() || word.empty()) return bad("STATUS");
        auto value = number_of(word);
        if (item == "MESSAGES") status.messages = value;
        if (item == "UNSEEN") status.unseen = value;
        if (item == "SIZE") status.size = value;
        if (item == "HIGHESTMODSEQ") status.highest_modseq = value;
        if (item == "UIDNEXT") status.uidnext = Uid{number32_of(word).value_or(0)};
        if (item == "UIDVALIDITY") status.uidvalidity = UidValidity{number32_of(word).value_or(0)};
    }
    return status;
}

Result<Vanished> take_vanished(Parser& parser) {
    Vanished vanished;
    vanished.earlier = parser.accept_prefix(" (EARLIER)");
    TRY(parser.space());
    auto uids = parse_uid_set(parser.rest());
    if (!uids) return bad("VANISHED");
    vanished.uids = std::move(*uids);
    return vanished;
}

Result<Response> take_numbered(Parser& parser, std::uint32_t number, std::string_view line) {
    if (!parser.accept(' ')) return bad("response");
    std::string word = ascii_upper(take_word(parser));
    if (word == "EXISTS") return Exists{number};
    if (word == "EXPUNGE" && number > 0) return Expunge{SeqNum{number}};
    if (word == "FETCH" && number > 0) return take_fetch(parser, SeqNum{number});
    if (word.empty()) return bad(line.substr(0, 40));
    return Unknown{word};
}

}  // namespace

Result<Response> parse(std::string_view text) {
    if (text.starts_with('+'))
        return Continuation{std::string(text.substr(std::min<std::size_t>(2, text.size())))};
    std::size_t space = text.find(' ');
    if (space == std::string_view::npos || space == 0) return bad("response");
    std::string_view tag = text.substr(0, space);
    Parser parser(text.substr(space + 1));
    std::string word = ascii_upper(take_word(parser));
    if (auto condition = condition_of(word)) {
        Status status{tag == "*" ? std::string() : std::string(tag), *condition, {}, {}, {}};
        take_status_text(parser.rest(), status);
        return status;
    }
    if (tag != "*") return bad("tagged response");
    if (auto number = number32_of(word)) return take_numbered(parser, *number, text);
    if (word == "CAPABILITY") return TRY(take_capability(parser));
    if (word == "LIST") return TRY(take_list(parser));
    if (word == "NAMESPACE") return TRY(take_namespace(parser));
    if (word == "STATUS") return TRY(take_status(parser));
    if (word == "VANISHED") return TRY(take_vanished(parser));
    if (word == "FLAGS") {
        TRY(parser.space());
        return Flags{TRY(take_flags(parser, nullptr))};
    }
    return Unknown{std::move(word)};
}

std::optional<UidSet> parse_uid_set(std::string_view text) {
    auto intervals = intervals_of(text);
    if (!intervals) return std::nullopt;
    // Servers write them ascending; put in order first, so that a hostile one costs no more.
    std::ranges::sort(*intervals, {}, [](const auto& i) { return std::min(i.first, i.last); });
    UidSet set;
    for (const auto& i : *intervals) set.add(i.first, i.last);
    return set;
}

std::optional<CopyUid> parse_copyuid(std::string_view arguments) {
    std::size_t first = arguments.find(' ');
    std::size_t second = first == std::string_view::npos ? first : arguments.find(' ', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    auto uidvalidity = number32_of(arguments.substr(0, first));
    auto source = intervals_of(arguments.substr(first + 1, second - first - 1));
    auto destination = intervals_of(arguments.substr(second + 1));
    if (!uidvalidity || !source || !destination) return std::nullopt;
    return CopyUid{UidValidity{*uidvalidity}, std::move(*source), std::move(*destination)};
}

std::optional<AppendUid> parse_appenduid(std::string_view arguments) {
    std::size_t space = arguments.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    auto uidvalidity = number32_of(arguments.substr(0, space)),
         uid = number32_of(arguments.substr(space + 1));
    if (!uidvalidity || !uid || *uid == 0) return std::nullopt;
    return AppendUid{UidValidity{*uidvalidity}, Uid{*uid}};
}

}  // namespace fwmail::imap::response
