#include "service/search_candidate.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "mime/charset.hpp"
#include "mime/date.hpp"
#include "mime/encoded_word.hpp"
#include "mime/header.hpp"
#include "mime/serialize.hpp"
#include "mime/transfer.hpp"

namespace fwmail::service {
namespace {

constexpr std::uint64_t header_limit = 1u << 20;
constexpr std::uint64_t text_limit = 16u << 20;  // octets of one text part that are searched

}  // namespace

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
        case Kind::larger:
        case Kind::smaller:
        case Kind::sequence:
        case Kind::uid_sequence:
        case Kind::recent:
            return false;
    }
    return false;
}

std::string StoredCandidate::read(mime::Range range, std::uint64_t limit) {
    if (!range.length || !result_) return {};
    auto octets = system_.read_object(message_.object, range.offset, std::min(range.length, limit));
    if (octets) return std::move(*octets);
    result_ = fail(octets.error());
    return {};
}

const mime::Part* StoredCandidate::root() {
    if (!root_tried_) {
        root_tried_ = true;
        if (auto part = mime::parse_part(message_.texts.parts)) root_ = std::move(*part);
    }
    return root_ ? &*root_ : nullptr;
}

std::string_view StoredCandidate::header_block() {
    if (!header_) header_ = root() ? read(root()->header, header_limit) : std::string();
    return *header_;
}

std::optional<imap::Day> StoredCandidate::sent_day() {
    auto value = mime::HeaderView(header_block()).value("Date");
    if (!value) return std::nullopt;
    auto time = mime::parse_date(*value);
    if (!time) return std::nullopt;
    std::int64_t local = time->seconds + time->offset_minutes * 60;
    return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

std::vector<std::string> StoredCandidate::header(std::string_view name) {
    std::vector<std::string> values;
    for (const auto* field : mime::HeaderView(header_block()).find_all(name))
        values.push_back(mime::decode_header(mime::unfold(field->value)));
    return values;
}

bool StoredCandidate::part_contains(const mime::Part& part, std::string_view needle, bool with_header) {
    if (!result_) return false;
    if (with_header && part.header.length) {
        std::string block = read(part.header, header_limit);
        for (const auto& field : mime::HeaderView(block).fields()) {
            std::string line =
                std::string(field.name) + ": " + mime::decode_header(mime::unfold(field.value));
            if (imap::contains_folded(line, needle)) return true;
        }
    }
    for (const auto& child : part.children)
        if (part_contains(child, needle, part.is_message())) return true;
    if (!part.children.empty() || part.type != "text") return false;
    std::string text =
        mime::decode_transfer(mime::transfer_encoding(part.encoding), read(part.body, text_limit));
    std::string charset = "us-ascii";
    if (const auto* given = mime::find_parameter(part.parameters, "charset")) charset = *given;
    return imap::contains_folded(mime::to_utf8(charset, text).value_or(text), needle);
}

bool StoredCandidate::contains_in_body(std::string_view folded_needle) {
    return root() && part_contains(*root(), folded_needle, false);
}

bool StoredCandidate::contains_in_text(std::string_view folded_needle) {
    return root() && part_contains(*root(), folded_needle, true);
}

}  // namespace fwmail::service
