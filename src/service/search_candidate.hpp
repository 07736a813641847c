// A stored message as SEARCH looks at it, with its body or by the index. Each lives inside one store job.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "imap/search.hpp"
#include "mime/search_text.hpp"
#include "store/search_store.hpp"
#include "store/system_store.hpp"

namespace fwmail::service {

// Of a message with more text than this no text is kept: it is read anew for each text that is looked for.
inline constexpr std::size_t kept_search_text = 1 << 20;

// What the key looks at (store::MessageColumns); column_parts: at octets, so that it is needed where the
// index does not know the answer.
std::uint32_t columns_for(const imap::SearchKey& key);

// The day of a Date field (RFC 9051 6.4.4: "disregarding time and timezone"), if it can be read.
std::optional<imap::Day> day_of_date(std::string_view field);

// What the row of a message tells, without its octets.
class RowCandidate : public imap::Candidate {
  public:
    explicit RowCandidate(const store::Message& message) : message_(message) {}

    Uid uid() override { return message_.uid; }
    const FlagSet& flags() override { return message_.flags; }
    UnixMillis internal_date() override { return message_.date; }
    std::uint64_t size() override { return message_.size; }
    ModSeq modseq() override { return message_.modseq; }
    UnixMillis saved_at() override { return message_.saved_at; }
    std::string email_id() override { return message_.email_id.hex(); }

  protected:
    const store::Message& message_;
};

// One whose body is read.
class StoredCandidate final : public RowCandidate {
  public:
    StoredCandidate(const store::Message& message, store::SystemStore& system)
        : RowCandidate(message), system_(system) {}

    std::optional<imap::Day> sent_day() override;
    bool header_contains(std::string_view name, std::string_view folded_needle) override;
    bool contains_in_body(std::string_view folded_needle) override;
    bool contains_in_text(std::string_view folded_needle) override;

    // The first error of reading the body.
    Result<> result() const { return result_; }

    // What the index keeps; not whole when it is more than kept_search_text.
    const mime::SearchText& text();

  private:
    const mime::Part* root();
    const mime::SearchText& header_text();
    bool stream(std::string_view folded_needle, bool with_header);
    mime::ReadOctets reader();
    template <class T>
    T kept(Result<T> read) {
        if (read) return std::move(*read);
        if (result_) result_ = fail(read.error());
        return T{};
    }

    store::SystemStore& system_;
    std::optional<mime::Part> root_;
    bool root_tried_ = false;
    std::optional<mime::SearchText> header_, text_;
    Result<> result_;
};

// The texts that a key asks for, and where the index says that they may be.
struct IndexView {
    store::SearchMark mark;
    std::map<std::string, std::vector<std::int64_t>, std::less<>>
        candidates;  // by text; ascending storage ids
};
// Of at most so many texts the index is asked; others are looked for in the texts that it keeps.
inline constexpr std::size_t most_index_questions = 8;
Result<IndexView> look_into_index(store::SearchStore& index, const imap::SearchKey& key);

// One that is answered from the index, or not at all: then `unanswered`, and what matches() said means
// nothing.
class IndexedCandidate final : public RowCandidate {
  public:
    // `docs`: all that the index has of a page of messages, this one among them;
    // ascending.
    using Docs = std::vector<store::SearchStore::Known>;
    IndexedCandidate(const store::Message& message, store::SearchStore& index, const IndexView& view,
                     const Docs& docs)
        : RowCandidate(message), index_(index), view_(view), docs_(docs) {}

    std::optional<imap::Day> sent_day() override;
    bool header_contains(std::string_view name, std::string_view folded_needle) override;
    bool contains_in_body(std::string_view folded_needle) override;
    bool contains_in_text(std::string_view folded_needle) override;

    bool unanswered() const { return unanswered_; }

  private:
    const store::SearchStore::Known* known();
    // Whether the message may contain the needle; else not, or `unanswered`.
    bool may_contain(std::string_view folded_needle);
    // Of a message that may; else nothing, or `unanswered`.
    const mime::SearchText* text_for(std::string_view folded_needle);
    const mime::SearchText* head_for(std::string_view folded_needle);
    const mime::SearchText* keep(std::optional<mime::SearchText>& where, Result<std::string> octets);

    store::SearchStore& index_;
    const IndexView& view_;
    const Docs& docs_;
    const store::SearchStore::Known* known_ = nullptr;
    bool known_tried_ = false, unanswered_ = false;
    std::optional<mime::SearchText> head_, text_;
};

// What the index keeps of a message; nothing when its body has gone meanwhile.
std::optional<store::SearchDoc> read_search_doc(const store::Message& message, store::SystemStore& system);

}  // namespace fwmail::service
