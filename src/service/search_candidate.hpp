// A stored message as SEARCH looks at it. Lives inside one store job.
#pragma once

#include <optional>

#include "imap/search.hpp"
#include "mime/search_text.hpp"
#include "store/system_store.hpp"

namespace fwmail::service {

// Of a message with more text than this no text is kept: it is read anew for each text that is looked for.
inline constexpr std::size_t kept_search_text = 1 << 20;

// Whether the key looks at the octets of messages, so that `column_identity` and `column_parts` are needed.
bool needs_headers(const imap::SearchKey& key);

// The day of a Date field (RFC 9051 6.4.4: "disregarding time and timezone"), if it can be read.
std::optional<imap::Day> day_of_date(std::string_view field);

class StoredCandidate final : public imap::Candidate {
  public:
    StoredCandidate(const store::Message& message, store::SystemStore& system)
        : message_(message), system_(system) {}

    Uid uid() override { return message_.uid; }
    const FlagSet& flags() override { return message_.flags; }
    UnixMillis internal_date() override { return message_.date; }
    std::uint64_t size() override { return message_.size; }
    ModSeq modseq() override { return message_.modseq; }
    UnixMillis saved_at() override { return message_.saved_at; }
    std::string email_id() override { return message_.email_id.hex(); }
    std::optional<imap::Day> sent_day() override;
    bool header_contains(std::string_view name, std::string_view folded_needle) override;
    bool contains_in_body(std::string_view folded_needle) override;
    bool contains_in_text(std::string_view folded_needle) override;

    // The first error of reading the body.
    Result<> result() const { return result_; }

  private:
    const mime::Part* root();
    const mime::SearchText& header_text();
    const mime::SearchText& text();
    bool stream(std::string_view folded_needle, bool with_header);
    mime::ReadOctets reader();
    template <class T>
    T kept(Result<T> read) {
        if (read) return std::move(*read);
        if (result_) result_ = fail(read.error());
        return T{};
    }

    const store::Message& message_;
    store::SystemStore& system_;
    std::optional<mime::Part> root_;
    bool root_tried_ = false;
    std::optional<mime::SearchText> header_, text_;
    Result<> result_;
};

}  // namespace fwmail::service
