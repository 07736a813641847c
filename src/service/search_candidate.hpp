// A stored message as SEARCH looks at it. Lives inside one store job.
#pragma once

#include <optional>
#include <string>

#include "imap/search.hpp"
#include "mime/part.hpp"
#include "store/system_store.hpp"

namespace fwmail::service {

// Whether the key looks at the octets of messages, so that `column_identity` and `column_parts` are needed.
bool needs_headers(const imap::SearchKey& key);

class StoredCandidate final : public imap::Candidate {
  public:
    StoredCandidate(const store::Message& message, store::SystemStore& system)
        : message_(message), system_(system) {}

    Uid uid() override { return message_.uid; }
    const FlagSet& flags() override { return message_.flags; }
    UnixMillis internal_date() override { return message_.date; }
    std::uint64_t size() override { return message_.size; }
    std::optional<imap::Day> sent_day() override;
    std::vector<std::string> header(std::string_view name) override;
    bool contains_in_body(std::string_view folded_needle) override;
    bool contains_in_text(std::string_view folded_needle) override;

    // The first error of reading the body.
    Result<> result() const { return result_; }

  private:
    std::string_view header_block();
    const mime::Part* root();
    std::string read(mime::Range range, std::uint64_t limit);
    bool part_contains(const mime::Part& part, std::string_view needle, bool with_header);

    const store::Message& message_;
    store::SystemStore& system_;
    std::optional<std::string> header_;
    std::optional<mime::Part> root_;
    bool root_tried_ = false;
    Result<> result_;
};

}  // namespace fwmail::service
