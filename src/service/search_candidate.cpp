#include "service/search_candidate.hpp"

#include <algorithm>

#include "mime/date.hpp"
#include "mime/header.hpp"
#include "mime/serialize.hpp"

namespace fwmail::service {

bool needs_headers(const imap::SearchKey& key) {
    using Kind = imap::SearchKey::Kind;
    switch (key.kind) {
        case Kind::header:
        case Kind::body:
        case Kind::text:
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since:
            return true;
        case Kind::negation:
        case Kind::conjunction:
        case Kind::disjunction:
            return std::ranges::any_of(key.children, needs_headers);
        case Kind::all:
        case Kind::uids:
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
        case Kind::nothing:
        case Kind::sequence:
        case Kind::uid_sequence:
        case Kind::recent:
            return false;
    }
    return false;
}

std::optional<imap::Day> day_of_date(std::string_view field) {
    auto time = mime::parse_date(field);
    if (!time) return std::nullopt;
    std::int64_t local = time->seconds + time->offset_minutes * 60;
    return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

mime::ReadOctets StoredCandidate::reader() {
    return [this](mime::Range range) {
        return system_.read_object(message_.object, range.offset, range.length);
    };
}

const mime::Part* StoredCandidate::root() {
    if (!root_tried_) {
        root_tried_ = true;
        if (auto part = mime::parse_part(message_.texts.parts)) root_ = std::move(*part);
    }
    return root_ ? &*root_ : nullptr;
}

// Most questions are about the header alone: the body is not read for them.
const mime::SearchText& StoredCandidate::header_text() {
    if (!header_) {
        header_.emplace();
        if (root()) *header_ = kept(mime::read_search_header(*root(), reader()));
    }
    return *header_;
}

const mime::SearchText& StoredCandidate::text() {
    if (!text_) {
        text_.emplace();
        if (root()) *text_ = kept(mime::read_search_text(*root(), reader(), kept_search_text));
    }
    return *text_;
}

std::optional<imap::Day> StoredCandidate::sent_day() {
    if (!root() || !result_) return std::nullopt;
    mime::Range range{root()->header.offset,
                      std::min<std::uint64_t>(root()->header.length, mime::search_header_limit)};
    std::string block = range.length ? kept(reader()(range)) : std::string();
    auto value = mime::HeaderView(block).value("Date");
    return value ? day_of_date(*value) : std::nullopt;
}

bool StoredCandidate::header_contains(std::string_view name, std::string_view needle) {
    return header_text().header_contains(name, needle);
}

bool StoredCandidate::stream(std::string_view needle, bool with_header) {
    return root() && result_ && kept(mime::stream_contains(*root(), reader(), needle, with_header));
}

bool StoredCandidate::contains_in_body(std::string_view needle) {
    if (!text().whole) return stream(needle, false);
    return text().body_contains(needle);
}

bool StoredCandidate::contains_in_text(std::string_view needle) {
    if (!text().whole) return stream(needle, true);
    return text().text_contains(needle);
}

}  // namespace fwmail::service
