#include "service/search_candidate.hpp"

#include <algorithm>

#include "mime/date.hpp"
#include "mime/header.hpp"
#include "mime/serialize.hpp"

namespace fwmail::service {

std::uint32_t columns_for(const imap::SearchKey& key) {
    using Kind = imap::SearchKey::Kind;
    std::uint32_t columns = 0;
    for (const auto& child : key.children) columns |= columns_for(child);
    switch (key.kind) {
        case Kind::flag:
        case Kind::keyword:
            return columns | store::column_flags;
        case Kind::before:
        case Kind::on:
        case Kind::since:
        case Kind::saved_before:
        case Kind::saved_on:
        case Kind::saved_since:
        case Kind::older:
        case Kind::younger:
            return columns | store::column_date;
        case Kind::larger:
        case Kind::smaller:
            return columns | store::column_size;
        case Kind::header:
        case Kind::body:
        case Kind::text:
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since:
            return columns | store::column_identity | store::column_parts;
        case Kind::email_id:
            return columns | store::column_identity;
        case Kind::negation:
        case Kind::conjunction:
        case Kind::disjunction:
        case Kind::all:
        case Kind::uids:
        case Kind::modseq:
        case Kind::nothing:
        case Kind::sequence:
        case Kind::uid_sequence:
        case Kind::recent:
            return columns;
    }
    return columns;
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

namespace {

Result<> ask_index(store::SearchStore& index, const imap::SearchKey& key, IndexView& view) {
    using Kind = imap::SearchKey::Kind;
    for (const auto& child : key.children) TRY(ask_index(index, child, view));
    bool asks = key.kind == Kind::header || key.kind == Kind::body || key.kind == Kind::text;
    if (!asks || view.candidates.size() >= most_index_questions || view.candidates.contains(key.text))
        return {};
    if (auto ids = TRY(index.candidates(key.text))) view.candidates.emplace(key.text, std::move(*ids));
    return {};
}

}  // namespace

Result<IndexView> look_into_index(store::SearchStore& index, const imap::SearchKey& key) {
    IndexView view{TRY(index.mark()), {}};
    TRY(ask_index(index, key, view));
    return view;
}

// What was indexed after the view was taken is not in its lists.
const store::SearchStore::Known* IndexedCandidate::known() {
    if (!known_tried_) {
        known_tried_ = true;
        auto doc = std::ranges::lower_bound(docs_, message_.storage_id, {}, &store::SearchStore::Known::id);
        bool there = doc != docs_.end() && doc->id == message_.storage_id && doc->object == message_.object;
        if (there && doc->id <= view_.mark.last) known_ = &*doc;
    }
    if (!known_) unanswered_ = true;
    return known_;
}

bool IndexedCandidate::may_contain(std::string_view needle) {
    const auto* here = known();
    if (!here || !here->whole) {
        unanswered_ = true;
        return false;
    }
    auto listed = view_.candidates.find(needle);
    return listed == view_.candidates.end() ||
           std::ranges::binary_search(listed->second, message_.storage_id);
}

const mime::SearchText* IndexedCandidate::keep(std::optional<mime::SearchText>& where,
                                               Result<std::string> octets) {
    auto text = octets ? mime::parse_search_text(*octets) : Result<mime::SearchText>(fail(octets.error()));
    if (!text) {
        unanswered_ = true;
        return nullptr;
    }
    return &where.emplace(std::move(*text));
}

const mime::SearchText* IndexedCandidate::text_for(std::string_view needle) {
    if (!may_contain(needle)) return nullptr;
    return text_ ? &*text_ : keep(text_, index_.text(message_.storage_id));
}

const mime::SearchText* IndexedCandidate::head_for(std::string_view needle) {
    if (!may_contain(needle)) return nullptr;
    return text_ ? &*text_ : head_ ? &*head_ : keep(head_, index_.head(message_.storage_id));
}

std::optional<imap::Day> IndexedCandidate::sent_day() {
    const auto* here = known();
    return here ? here->day : std::nullopt;
}

bool IndexedCandidate::header_contains(std::string_view name, std::string_view needle) {
    const auto* text = head_for(needle);
    return text && text->header_contains(name, needle);
}

bool IndexedCandidate::contains_in_body(std::string_view needle) {
    const auto* text = text_for(needle);
    return text && text->body_contains(needle);
}

bool IndexedCandidate::contains_in_text(std::string_view needle) {
    const auto* text = text_for(needle);
    return text && text->text_contains(needle);
}

namespace {

// The day of the header's Date field, which is folded as the rest of the text is.
std::optional<std::int64_t> day_in(const mime::SearchText& text) {
    constexpr std::string_view name = "date: ";
    for (std::size_t at = 0; at < text.header.size(); at = text.header.find('\0', at) + 1) {
        std::string_view line = std::string_view(text.header).substr(at);
        line = line.substr(0, line.find('\0'));
        if (line.starts_with(name)) return day_of_date(line.substr(name.size()));
    }
    return std::nullopt;
}

}  // namespace

std::optional<store::SearchDoc> read_search_doc(const store::Message& message, store::SystemStore& system) {
    StoredCandidate candidate(message, system);
    const mime::SearchText& text = candidate.text();
    if (!candidate.result()) {
        auto there = system.object_complete(message.object);
        if (there && !*there) return std::nullopt;
    }
    store::SearchDoc doc{message.storage_id, message.object, day_in(text), std::nullopt, 0};
    bool whole = text.whole && candidate.result();
    if (!text.whole) doc.day = candidate.sent_day();
    if (!whole) return doc;
    doc.text = mime::write_search_text(text);
    doc.head = doc.text->size() - text.body.size();
    return doc;
}

}  // namespace fwmail::service
