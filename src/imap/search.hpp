// SEARCH keys and their meaning. RFC 3501 6.4.4, RFC 9051 6.4.4.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/flags.hpp"
#include "base/ids.hpp"
#include "base/intervals.hpp"

namespace fwmail::imap {

// Days since 1970-01-01, in whatever zone the date was written.
using Day = std::int64_t;

// Numbers as the client wrote them: pairs in any order, 0 stands for `*`.
struct SequenceSet {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    bool saved = false;  // `$`: what the last SEARCH saved (RFC 5182); then without ranges
    bool operator==(const SequenceSet&) const = default;
};

// Some of a list, by place: 1 is the first of it or, counted from its end, the last (RFC 9394).
struct Window {
    std::uint32_t first = 1, last = 1;
    bool from_end = false;
    std::string text() const;
    template <class T>
    std::span<const T> of(std::span<const T> list) const {
        std::size_t begin = std::min<std::size_t>(first - 1, list.size());
        std::size_t count = std::min<std::size_t>(last, list.size()) - begin;
        return list.subspan(from_end ? list.size() - begin - count : begin, count);
    }
};

struct SearchKey {
    enum class Kind {
        all,      // ALL
        uids,     // UID set, and after resolving also sequence sets and RECENT: `uids`
        flag,     // SEEN, ANSWERED, ...: `flag`
        keyword,  // KEYWORD: `text`
        header,   // HEADER name text, FROM, TO, CC, BCC, SUBJECT: `name` (lower-case), `text`
        body,     // BODY: `text`
        text,     // TEXT: `text`
        before,
        on,
        since,  // internal date: `day`
        sent_before,
        sent_on,
        sent_since,  // Date: header: `day`
        saved_before,
        saved_on,
        saved_since,  // SAVEDATE (RFC 8514): `day`
        older,
        younger,  // RFC 5032: `size` in seconds before `moment`, which prepare() fills in
        larger,
        smaller,       // `size`
        modseq,        // MODSEQ: at least `size` (RFC 7162 3.1.5)
        email_id,      // EMAILID: `text` (RFC 8474)
        nothing,       // matches no message
        negation,      // NOT: one child
        conjunction,   // juxtaposition and parentheses: any number of children
        disjunction,   // OR: two children
        sequence,      // `set`; only before the session has resolved it, a backend never sees it
        uid_sequence,  // `set`; likewise
        recent,        // likewise (it becomes `uids`)
    };
    Kind kind = Kind::all;
    UidSet uids;
    SequenceSet set;
    FlagSet::System flag = FlagSet::seen;
    std::string name;
    std::string text;  // folded (mime/fold.hpp); of `keyword` as written
    Day day = 0;
    std::uint64_t size = 0;
    UnixMillis moment;
    std::vector<SearchKey> children;
    bool operator==(const SearchKey&) const = default;
};

// One message as matches() wants to see it. Each function is called only when a key needs it, cheap ones
// first.
class Candidate {
  public:
    virtual ~Candidate() = default;
    virtual Uid uid() = 0;
    virtual const FlagSet& flags() = 0;
    virtual UnixMillis internal_date() = 0;
    virtual std::uint64_t size() = 0;
    virtual ModSeq modseq() = 0;
    virtual UnixMillis saved_at() = 0;
    virtual std::string email_id() = 0;  // without the prefix that prepare() was given
    // The day that the Date: header names, in the header's own zone (RFC 3501: "disregarding time and
    // timezone").
    virtual std::optional<Day> sent_day() = 0;
    // Whether a field of that name (lower-case) contains the folded needle: unfolded, RFC 2047 decoded. Every
    // field contains the empty one.
    virtual bool header_contains(std::string_view name, std::string_view folded_needle) = 0;
    // Whether the decoded body (BODY), or header and body (TEXT), contains the folded needle.
    virtual bool contains_in_body(std::string_view folded_needle) = 0;
    virtual bool contains_in_text(std::string_view folded_needle) = 0;
};

// The key must be resolved: `sequence`, `uid_sequence` and `recent` match nothing.
bool matches(const SearchKey& key, Candidate& candidate);

// Whether the key looks at subject, body or text: what a server of sealed mail cannot answer (NO [CANNOT]).
bool needs_sealed_content(const SearchKey& key);
// Whether the body must be read.
bool needs_body(const SearchKey& key);
// Whether MODSEQ is among the keys: then the answer names modseqs too (RFC 7162 3.1.5).
bool asks_modseq(const SearchKey& key);
// Whether EMAILID is.
bool asks_email_id(const SearchKey& key);
// For the backend, before it evaluates the key: what OLDER and YOUNGER count from, and how its EMAILIDs
// begin; the text of `email_id` keys is then what follows that, and an id of another server matches nothing.
void prepare(SearchKey& key, UnixMillis now, std::string_view email_id_prefix);

}  // namespace fwmail::imap
