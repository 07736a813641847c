#include "imap/search.hpp"

#include <string.h>

#include <algorithm>

#include "base/encoding.hpp"

namespace fwmail::imap {
namespace {

using Kind = SearchKey::Kind;

// Days are counted in UTC: internal dates are kept without a zone.
Day day_of(UnixMillis when) {
    constexpr std::int64_t day = 86'400'000;
    return when.value >= 0 ? when.value / day : -((-when.value + day - 1) / day);
}

bool header_matches(const SearchKey& key, Candidate& candidate) {
    auto values = candidate.header(key.name);
    // An empty text asks only whether the field is there (RFC 3501 6.4.4).
    return std::ranges::any_of(values, [&](const auto& v) { return contains_folded(v, key.text); });
}

template <class Predicate>
bool any_key(const SearchKey& key, Predicate predicate) {
    return predicate(key) ||
           std::ranges::any_of(key.children, [&](const auto& child) { return any_key(child, predicate); });
}

// Lower case of a two-octet character of UTF-8 (U+0080 to U+07FF): Latin-1, Latin Extended-A, Greek,
// Cyrillic.
unsigned fold(unsigned c) {
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7)) return c + 0x20;
    if ((c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14a && c <= 0x177)) return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c & 1 ? c + 1 : c;
    if (c == 0x178) return 0xff;
    if (c >= 0x391 && c <= 0x3ab && c != 0x3a2) return c + 0x20;
    if (c >= 0x410 && c <= 0x42f) return c + 0x20;
    if (c >= 0x400 && c <= 0x40f) return c + 0x50;
    if (c >= 0x460 && c <= 0x481) return c | 1;
    return c;
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
            return header_matches(key, candidate);
        case Kind::body:
            return candidate.contains_in_body(key.text);
        case Kind::text:
            return candidate.contains_in_text(key.text);
        case Kind::before:
            return day_of(candidate.internal_date()) < key.day;
        case Kind::on:
            return day_of(candidate.internal_date()) == key.day;
        case Kind::since:
            return day_of(candidate.internal_date()) >= key.day;
        case Kind::sent_before: {
            auto day = candidate.sent_day();
            return day && *day < key.day;
        }
        case Kind::sent_on:
            return candidate.sent_day() == key.day;
        case Kind::sent_since: {
            auto day = candidate.sent_day();
            return day && *day >= key.day;
        }
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

bool needs_body(const SearchKey& key) {
    return any_key(key, [](const SearchKey& k) { return k.kind == Kind::body || k.kind == Kind::text; });
}

bool needs_sealed_content(const SearchKey& key) {
    return any_key(key, [](const SearchKey& k) {
        return k.kind == Kind::body || k.kind == Kind::text ||
               (k.kind == Kind::header && k.name == "subject");
    });
}

std::string fold_for_search(std::string_view utf8) {
    std::string out(utf8);
    for (std::size_t i = 0; i < out.size(); ++i) {
        auto first = static_cast<unsigned char>(out[i]);
        if (first < 0x80) {
            out[i] = ascii_lower(out[i]);
            continue;
        }
        if (first < 0xc2 || first > 0xdf || i + 1 == out.size()) continue;
        auto second = static_cast<unsigned char>(out[i + 1]);
        if ((second & 0xc0) != 0x80) continue;
        unsigned c = fold((first & 0x1fu) << 6 | (second & 0x3fu));
        out[i] = static_cast<char>(0xc0 | c >> 6);
        out[++i] = static_cast<char>(0x80 | (c & 0x3f));
    }
    return out;
}

bool contains_folded(std::string_view utf8, std::string_view folded_needle) {
    std::string hay = fold_for_search(utf8);
    // memmem is linear whatever the octets are; std::search is not.
    return folded_needle.empty() ||
           memmem(hay.data(), hay.size(), folded_needle.data(), folded_needle.size());
}

}  // namespace fwmail::imap
