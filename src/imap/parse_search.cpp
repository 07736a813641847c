// SEARCH's arguments (RFC 3501 6.4.4, 9). Nesting and number of keys are bounded.
#include <algorithm>

#include "base/encoding.hpp"
#include "imap/parser.hpp"
#include "mime/charset.hpp"
#include "mime/fold.hpp"

namespace fwmail::imap {
namespace {

using Kind = SearchKey::Kind;
constexpr int deepest_nesting = 50;
constexpr std::size_t most_keys = 2000;
constexpr std::size_t longest_text = 1024;
constexpr std::size_t most_texts = 200;  // each may be looked for in every body

std::unexpected<Error> bad(std::string text) { return fail(ErrorKind::protocol, std::move(text)); }

SearchKey of_kind(Kind kind) {
    SearchKey key;
    key.kind = kind;
    return key;
}

SearchKey negated(SearchKey child) {
    SearchKey key = of_kind(Kind::negation);
    key.children.push_back(std::move(child));
    return key;
}

SearchKey of_flag(FlagSet::System flag) {
    SearchKey key = of_kind(Kind::flag);
    key.flag = flag;
    return key;
}

// What evaluating a key costs, roughly: conjunctions ask the cheap ones first.
int cost(const SearchKey& key) {
    switch (key.kind) {
        case Kind::all:
        case Kind::uids:
        case Kind::sequence:
        case Kind::uid_sequence:
        case Kind::recent:
        case Kind::nothing:
            return 0;
        case Kind::flag:
        case Kind::keyword:
        case Kind::before:
        case Kind::on:
        case Kind::since:
        case Kind::saved_before:
        case Kind::saved_on:
        case Kind::saved_since:
        case Kind::older:
        case Kind::younger:
        case Kind::larger:
        case Kind::smaller:
        case Kind::modseq:
        case Kind::email_id:
            return 1;
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since:
        case Kind::header:
            return 2;
        case Kind::body:
        case Kind::text:
            return 3;
        case Kind::negation:
        case Kind::conjunction:
        case Kind::disjunction:
            break;
    }
    int most = 0;
    for (const auto& child : key.children) most = std::max(most, cost(child));
    return most;
}

// Keys without arguments.
std::optional<SearchKey> simple_key(const std::string& name) {
    if (name == "ALL") return of_kind(Kind::all);
    if (name == "ANSWERED") return of_flag(FlagSet::answered);
    if (name == "DELETED") return of_flag(FlagSet::deleted);
    if (name == "DRAFT") return of_flag(FlagSet::draft);
    if (name == "FLAGGED") return of_flag(FlagSet::flagged);
    if (name == "SEEN") return of_flag(FlagSet::seen);
    if (name == "UNANSWERED") return negated(of_flag(FlagSet::answered));
    if (name == "UNDELETED") return negated(of_flag(FlagSet::deleted));
    if (name == "UNDRAFT") return negated(of_flag(FlagSet::draft));
    if (name == "UNFLAGGED") return negated(of_flag(FlagSet::flagged));
    if (name == "UNSEEN") return negated(of_flag(FlagSet::seen));
    if (name == "SAVEDATESUPPORTED") return of_kind(Kind::all);
    if (name == "RECENT") return of_kind(Kind::recent);
    if (name == "OLD") return negated(of_kind(Kind::recent));
    if (name == "NEW") {
        SearchKey key = of_kind(Kind::conjunction);
        key.children = {of_kind(Kind::recent), negated(of_flag(FlagSet::seen))};
        return key;
    }
    return std::nullopt;
}

Result<SearchKey> number_key(Parser& parser, const std::string& name) {
    SearchKey key = of_kind(name == "LARGER"    ? Kind::larger
                            : name == "SMALLER" ? Kind::smaller
                            : name == "OLDER"   ? Kind::older
                                                : Kind::younger);
    bool interval = key.kind == Kind::older || key.kind == Kind::younger;
    key.size = interval ? TRY(parser.nz_number()) : TRY(parser.number64());
    return key;
}

Result<SearchKey> id_key(Parser& parser, const std::string& name) {
    std::string id = TRY(parser.atom());
    // Messages have no thread here: none matches (RFC 8474 5.2, 6).
    SearchKey key = of_kind(name == "EMAILID" ? Kind::email_id : Kind::nothing);
    if (name == "EMAILID") key.text = std::move(id);
    return key;
}

// RFC 9738 3.2: above or below a UID.
Result<SearchKey> uid_edge_key(Parser& parser, bool after) {
    constexpr std::uint32_t last = 0xffffffff;
    std::uint32_t edge = TRY(parser.nz_number());
    SearchKey key = of_kind(edge == (after ? last : 1) ? Kind::nothing : Kind::uid_sequence);
    if (key.kind == Kind::uid_sequence)
        key.set.ranges.emplace_back(after ? edge + 1 : 1, after ? last : edge - 1);
    return key;
}

struct DateKey {
    std::string_view name;
    Kind kind;
};
constexpr DateKey date_keys[] = {{"BEFORE", Kind::before},
                                 {"ON", Kind::on},
                                 {"SINCE", Kind::since},
                                 {"SENTBEFORE", Kind::sent_before},
                                 {"SENTON", Kind::sent_on},
                                 {"SENTSINCE", Kind::sent_since},
                                 {"SAVEDBEFORE", Kind::saved_before},
                                 {"SAVEDON", Kind::saved_on},
                                 {"SAVEDSINCE", Kind::saved_since}};

}  // namespace

Result<std::string> Parser::search_text() {
    std::string text = TRY(astring());
    if (text.size() > longest_text) return fail(ErrorKind::refused, "[LIMIT] search text too long");
    if (++search_texts_ > most_texts) return fail(ErrorKind::refused, "[LIMIT] too many search texts");
    if (!search_charset_.empty()) {
        auto converted = mime::to_utf8(search_charset_, text);
        return mime::fold(converted ? *converted : text);
    }
    bool plain = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!plain && (ascii_only_ || !valid_utf8(text))) return bad("search text is not valid in its charset");
    return mime::fold(text);
}

Result<> Parser::charset() {
    std::string name = TRY(astring());
    if (equal_ignoring_case(name, "US-ASCII"))
        ascii_only_ = true;
    else if (!mime::knows_charset(name))
        return fail(ErrorKind::refused,
                    "[BADCHARSET (" + std::string(mime::charset_names()) + ")] charset not supported");
    else if (!equal_ignoring_case(name, "UTF-8"))
        search_charset_ = std::move(name);
    return space();
}

Result<SearchKey> Parser::search_keys() {
    if (accept_word("CHARSET")) {
        // RFC 9755 3: it is UTF-8 now.
        if (utf8_only_) return bad("no CHARSET after ENABLE UTF8=ACCEPT");
        TRY(space());
        TRY(charset());
    }
    SearchKey key = TRY(search_conjunction(0, false));
    TRY(end());
    return key;
}

Result<SearchKey> Parser::charset_search_keys() {
    TRY(charset());
    SearchKey key = TRY(search_conjunction(0, false));
    TRY(end());
    return key;
}

Result<SearchKey> Parser::search_conjunction(int depth, bool parenthesised) {
    SearchKey all = of_kind(Kind::conjunction);
    do {
        all.children.push_back(TRY(search_key(depth)));
    } while (accept(' '));
    if (parenthesised) TRY(expect(')'));
    if (all.children.size() == 1) {
        SearchKey only = std::move(all.children[0]);
        return only;
    }
    std::vector<std::pair<int, std::size_t>> order;
    for (std::size_t i = 0; i < all.children.size(); ++i) order.emplace_back(cost(all.children[i]), i);
    std::ranges::sort(order);
    SearchKey sorted = of_kind(Kind::conjunction);
    for (auto [price, i] : order) sorted.children.push_back(std::move(all.children[i]));
    return sorted;
}

Result<SearchKey> Parser::search_key(int depth) {
    if (depth > deepest_nesting) return bad("search keys nested too deep");
    if (++search_keys_ > most_keys) return bad("too many search keys");
    if (accept('(')) return search_conjunction(depth + 1, true);
    if (peek() == '*' || peek() == '$' || (peek() >= '0' && peek() <= '9')) {
        SearchKey key = of_kind(Kind::sequence);
        key.set = TRY(sequence_set());
        return key;
    }
    std::string name = TRY(word());
    if (auto key = simple_key(name)) return *key;
    for (const auto& date_key : date_keys) {
        if (name != date_key.name) continue;
        SearchKey key = of_kind(date_key.kind);
        TRY(space());
        key.day = TRY(date());
        return key;
    }
    return search_key_named(name, depth);
}

// RFC 7162 3.1.5: ["/flags/..." SP ("priv" / "shared" / "all") SP] mod-sequence-valzer. Each message has one
// modseq here, so the entry only has to be well-formed.
Result<SearchKey> Parser::search_modseq() {
    if (peek() == '"') {
        TRY(quoted());
        TRY(space());
        if (!accept_word("priv") && !accept_word("shared") && !accept_word("all"))
            return bad("expected priv, shared or all");
        TRY(space());
    }
    SearchKey key = of_kind(Kind::modseq);
    key.size = TRY(modseq()).value;
    return key;
}

Result<SearchKey> Parser::search_key_named(const std::string& name, int depth) {
    static constexpr std::string_view known[] = {
        "NOT",     "OR",      "UID",     "KEYWORD",  "UNKEYWORD", "FROM",     "TO",      "CC",
        "BCC",     "SUBJECT", "HEADER",  "BODY",     "TEXT",      "LARGER",   "SMALLER", "OLDER",
        "YOUNGER", "MODSEQ",  "EMAILID", "THREADID", "UIDAFTER",  "UIDBEFORE"};
    if (std::ranges::find(known, name) == std::end(known)) return bad("unknown search key");
    TRY(space());
    SearchKey key;
    if (name == "NOT") return negated(TRY(search_key(depth + 1)));
    if (name == "OR") {
        key.kind = Kind::disjunction;
        key.children.push_back(TRY(search_key(depth + 1)));
        TRY(space());
        key.children.push_back(TRY(search_key(depth + 1)));
        if (cost(key.children[1]) < cost(key.children[0])) std::swap(key.children[0], key.children[1]);
        return key;
    }
    if (name == "UID") {
        key.kind = Kind::uid_sequence;
        key.set = TRY(sequence_set());
        return key;
    }
    if (name == "UIDAFTER" || name == "UIDBEFORE") return uid_edge_key(*this, name == "UIDAFTER");
    if (name == "KEYWORD" || name == "UNKEYWORD") {
        key.kind = Kind::keyword;
        key.text = TRY(atom());
        if (name == "KEYWORD") return key;
        return negated(std::move(key));
    }
    if (name == "LARGER" || name == "SMALLER" || name == "OLDER" || name == "YOUNGER")
        return number_key(*this, name);
    if (name == "MODSEQ") return search_modseq();
    if (name == "EMAILID" || name == "THREADID") return id_key(*this, name);
    if (name == "BODY" || name == "TEXT") {
        key.kind = name == "BODY" ? Kind::body : Kind::text;
        key.text = TRY(search_text());
        return key;
    }
    key.kind = Kind::header;
    key.name = ascii_lower(name);
    if (name == "HEADER") {
        key.name = ascii_lower(TRY(astring()));
        TRY(space());
    }
    key.text = TRY(search_text());
    return key;
}

}  // namespace fwmail::imap
