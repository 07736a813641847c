#include "imap/search.hpp"

#include <algorithm>

namespace fwmail::imap {
namespace {

using Kind = SearchKey::Kind;

// Days are counted in UTC: internal dates are kept without a zone.
Day day_of(UnixMillis when) {
    constexpr std::int64_t day = 86'400'000;
    return when.value >= 0 ? when.value / day : -((-when.value + day - 1) / day);
}

// In whole seconds, by INTERNALDATE.
std::int64_t age(const SearchKey& key, Candidate& candidate) {
    return (key.moment.value - candidate.internal_date().value) / 1000;
}

// The three keys that compare days of one kind.
bool on_day(const SearchKey& key, std::optional<Day> day, Kind before, Kind on) {
    if (!day) return false;
    return key.kind == before ? *day < key.day : key.kind == on ? *day == key.day : *day >= key.day;
}

template <class Predicate>
bool any_key(const SearchKey& key, Predicate predicate) {
    return predicate(key) ||
           std::ranges::any_of(key.children, [&](const auto& child) { return any_key(child, predicate); });
}

}  // namespace

bool matches(const SearchKey& key, Candidate& candidate) {
    switch (key.kind) {
        case Kind::all:
            return true;
        case Kind::uids:
            return key.uids.contains(candidate.uid().value);
        case Kind::flag:
            return candidate.flags().has(key.flag);
        case Kind::keyword:
            return candidate.flags().has_keyword(key.text);
        case Kind::header:
            // An empty text asks only whether the field is there (RFC 3501 6.4.4).
            return candidate.header_contains(key.name, key.text);
        case Kind::body:
            return candidate.contains_in_body(key.text);
        case Kind::text:
            return candidate.contains_in_text(key.text);
        case Kind::before:
        case Kind::on:
        case Kind::since:
            return on_day(key, day_of(candidate.internal_date()), Kind::before, Kind::on);
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since:
            return on_day(key, candidate.sent_day(), Kind::sent_before, Kind::sent_on);
        case Kind::saved_before:
        case Kind::saved_on:
        case Kind::saved_since:
            return on_day(key, day_of(candidate.saved_at()), Kind::saved_before, Kind::saved_on);
        // RFC 5032 2: the edge belongs to both.
        case Kind::older:
            return age(key, candidate) >= static_cast<std::int64_t>(key.size);
        case Kind::younger:
            return age(key, candidate) <= static_cast<std::int64_t>(key.size);
        case Kind::modseq:
            return candidate.modseq().value >= key.size;
        case Kind::email_id:
            return candidate.email_id() == key.text;
        case Kind::nothing:
            return false;
        case Kind::larger:
            return candidate.size() > key.size;
        case Kind::smaller:
            return candidate.size() < key.size;
        case Kind::negation:
            return !key.children.empty() && !matches(key.children[0], candidate);
        case Kind::conjunction:
            return std::ranges::all_of(key.children, [&](const auto& k) { return matches(k, candidate); });
        case Kind::disjunction:
            return std::ranges::any_of(key.children, [&](const auto& k) { return matches(k, candidate); });
        case Kind::sequence:
        case Kind::uid_sequence:
        case Kind::recent:
            return false;
    }
    return false;
}

std::string Window::text() const {
    std::string sign = from_end ? "-" : "";
    return sign + std::to_string(first) + ':' + sign + std::to_string(last);
}

bool asks_modseq(const SearchKey& key) {
    return any_key(key, [](const SearchKey& k) { return k.kind == Kind::modseq; });
}
bool asks_email_id(const SearchKey& key) {
    return any_key(key, [](const SearchKey& k) { return k.kind == Kind::email_id; });
}

void prepare(SearchKey& key, UnixMillis now, std::string_view email_id_prefix) {
    key.moment = now;
    if (key.kind == Kind::email_id) {
        if (!key.text.starts_with(email_id_prefix)) key.kind = Kind::nothing;
        if (key.kind == Kind::email_id) key.text.erase(0, email_id_prefix.size());
    }
    for (auto& child : key.children) prepare(child, now, email_id_prefix);
}

bool needs_body(const SearchKey& key) {
    return any_key(key, [](const SearchKey& k) { return k.kind == Kind::body || k.kind == Kind::text; });
}

bool needs_sealed_content(const SearchKey& key) {
    return any_key(key, [](const SearchKey& k) {
        return k.kind == Kind::body || k.kind == Kind::text ||
               (k.kind == Kind::header && k.name == "subject");
    });
}

}  // namespace fwmail::imap
