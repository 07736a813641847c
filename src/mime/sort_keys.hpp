// What SORT and THREAD look at in a header (RFC 5256, RFC 5957), computed once, when the message arrives, and
// kept as octets. All is bounded: texts to 255 octets, references to 64.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "mime/part.hpp"

namespace fwmail::mime {

enum class SortText { subject, from, to, cc, display_from, display_to };
inline constexpr std::size_t sort_texts = 6;

// Message ids and base subjects stand as hashes: threads want to know only which are the same. Somebody who
// makes two of them meet joins two threads, as the header lets anybody do.
struct SortKeys {
    std::optional<std::int64_t> sent;  // seconds since 1970 UTC
    bool reply = false;                // or a forward, by its subject
    std::uint64_t message_id = 0;      // 0: none that is valid
    std::uint64_t base_subject = 0;    // 0: an empty one
    // In the order of i;unicode-casemap; they point into the octets that were read. Of a longer one its first
    // octets are kept and a hash of it all, so that different ones stay different.
    std::array<std::string_view, sort_texts> texts;

    std::string_view text(SortText which) const { return texts[static_cast<std::size_t>(which)]; }
    std::size_t references() const { return reference_octets.size() / 8; }
    // From the oldest to the parent. Of too many the first and the last ones, as RFC 5537 3.4.4 shortens
    // them.
    std::uint64_t reference(std::size_t index) const;

    std::string_view reference_octets;
};

std::string write_sort_keys(const Envelope& envelope);
Result<SortKeys> parse_sort_keys(std::string_view octets);

}  // namespace fwmail::mime
