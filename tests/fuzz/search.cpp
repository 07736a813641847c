// What SEARCH and LIST are asked: keys, patterns, and the grams that the index knows texts by.
#include "imap/search.hpp"

#include <algorithm>
#include <set>

#include "fuzz/fuzz.hpp"
#include "imap/list_match.hpp"
#include "imap/parser.hpp"
#include "mime/charset.hpp"
#include "mime/fold.hpp"
#include "store/grams.hpp"
#include "support/imap_text.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::imap;

namespace {

// A message of which everything is known.
class OneMessage final : public Candidate {
  public:
    explicit OneMessage(std::string_view text) : text_(mime::fold(text)) {
        flags_.system = FlagSet::seen | FlagSet::draft;
        flags_.add_keyword("$Junk");
    }
    Uid uid() override { return Uid{7}; }
    const FlagSet& flags() override { return flags_; }
    UnixMillis internal_date() override { return UnixMillis{1'000'000'000'000}; }
    std::uint64_t size() override { return text_.size(); }
    ModSeq modseq() override { return ModSeq{12}; }
    UnixMillis saved_at() override { return UnixMillis{1'100'000'000'000}; }
    std::string email_id() override { return "00ff"; }
    std::optional<Day> sent_day() override { return 10957; }
    bool header_contains(std::string_view, std::string_view needle) override { return contains(needle); }
    bool contains_in_body(std::string_view needle) override { return contains(needle); }
    bool contains_in_text(std::string_view needle) override { return contains(needle); }

  private:
    bool contains(std::string_view needle) const {
        require(mime::is_valid_utf8(needle) && needle.find('\0') == std::string_view::npos,
                "what is looked for is folded text");
        return mime::contains(text_, needle);
    }
    FlagSet flags_;
    std::string text_;
};

std::size_t depth_of(const SearchKey& key) {
    std::size_t most = 0;
    for (const auto& child : key.children) most = std::max(most, depth_of(child));
    return most + 1;
}

void try_keys(std::string_view text, bool utf8) {
    Parser parser(text);
    if (utf8) parser.forbid_charset();
    auto key = parser.search_keys();
    if (!key) {
        require(!key.error().text.empty(), "a refusal says why");
        return;
    }
    require(parser.at_end(), "keys go to the end");
    require(depth_of(*key) < 200, "nesting is bounded");
    needs_sealed_content(*key);
    needs_body(*key);
    asks_modseq(*key);
    asks_email_id(*key);
    prepare(*key, UnixMillis{1'200'000'000'000}, "M");
    OneMessage message(text);
    bool found = matches(*key, message);
    SearchKey negation;
    negation.kind = SearchKey::Kind::negation;
    negation.children.push_back(*key);
    require(matches(negation, message) != found, "NOT is not");
}

// RFC 9051 6.3.9 as it is written down: slow, and right.
bool slowly(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) return name.empty();
    if (pattern[0] != '*' && pattern[0] != '%')
        return !name.empty() && name[0] == pattern[0] && slowly(pattern.substr(1), name.substr(1));
    for (std::size_t i = 0; i <= name.size(); ++i) {
        if (slowly(pattern.substr(1), name.substr(i))) return true;
        if (i < name.size() && pattern[0] == '%' && name[i] == '/') break;
    }
    return false;
}

void try_patterns(std::string_view text) {
    std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view pattern = text.substr(0, end), names = text.substr(std::min(end + 1, text.size()));
    MailboxList list;
    while (!names.empty() && list.rows.size() < 20) {
        end = std::min(names.find('\n'), names.size());
        std::string name(names.substr(0, std::min<std::size_t>(end, 200)));
        names.remove_prefix(std::min(end + 1, names.size()));
        if (name.empty() || name.starts_with('/') || name.ends_with('/') ||
            name.find("//") != std::string::npos)
            continue;
        bool known = std::ranges::any_of(list.rows, [&](const auto& row) { return row.name == name; });
        if (!known)
            list.rows.push_back({name, name.size() % 5 == 0 ? "\\Sent" : "", name.size() % 2 == 0, false});
        auto wildcards = std::ranges::count_if(pattern, [](char c) { return c == '*' || c == '%'; });
        if (wildcards <= 3 && pattern.size() < 60 && name.size() < 60)
            require(matches_pattern(pattern, name) == slowly(pattern, name),
                    "a pattern means what the RFC says");
    }
    std::string short_pattern(pattern.substr(0, 200));
    auto all = listed(list, "*");
    for (const auto& mailbox : listed(list, short_pattern)) {
        require(std::ranges::any_of(all, [&](const auto& m) { return m.name == mailbox.name; }),
                "no pattern shows more than * does");
        require(matches_pattern(short_pattern, mailbox.name) || mailbox.name == "INBOX",
                "what is shown matches");
    }
    listed_subscribed(list, short_pattern);
    for (unsigned bits = 0; bits < 8; ++bits) {
        std::set<std::string> names_seen;
        for (const auto& mailbox :
             listed(list, {short_pattern, "%", "a*"}, {bool(bits & 1), bool(bits & 2), bool(bits & 4)}))
            require(names_seen.insert(mailbox.name).second, "each mailbox is shown once");
    }
}

void try_grams(std::string_view text, Control& control) {
    std::string folded = mime::fold(text.substr(0, 2000));
    std::set<std::string> known;
    std::size_t last = 0, count = 0;
    store::each_gram(folded, [&](std::size_t at, std::size_t length, bool) {
        require((count++ == 0 || at > last) && length > 0 && at + length <= folded.size(),
                "grams lie in the text");
        last = at;
        known.insert(folded.substr(at, length));
    });
    std::string_view raw = text.substr(0, 500);
    store::each_gram(raw, [&](std::size_t at, std::size_t length, bool) {
        require(length > 0 && at + length <= raw.size(), "grams lie in the text, whatever its octets are");
    });
    if (folded.empty()) return;
    // Any part of the text, from one character to another.
    std::size_t from = (control.octet() * 256u + control.octet()) % folded.size();
    std::size_t to = std::min<std::size_t>(from + control.octet() % 64, folded.size());
    auto inside = [&](std::size_t at) { return at < folded.size() && (folded[at] & 0xC0) == 0x80; };
    while (inside(from)) ++from;
    while (inside(to)) ++to;
    if (to <= from) return;
    std::string needle = folded.substr(from, to - from);
    store::each_gram(needle, [&](std::size_t at, std::size_t length, bool whole) {
        if (whole)
            require(known.contains(needle.substr(at, length)), "a text has all whole grams of its parts");
    });
    std::string query = store::gram_query(needle);
    if (query.ends_with(" *")) {  // the needle is the beginning of a gram
        require(std::ranges::any_of(known, [&](const auto& gram) { return gram.starts_with(needle); }),
                "a short part begins a gram of the text");
    }
    require(query.size() < 8 * 32 + 2 * needle.size() + 8, "a query is short");
}

}  // namespace

FUZZ_TARGET(search) {
    Control control(input.control);
    try_keys(input.text, control.octet() & 1);
    try_patterns(input.text);
    try_grams(input.text, control);
}
