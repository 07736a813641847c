// What SEARCH looks at in a message (RFC 9051 6.4.4): the fields of its header, RFC 2047 undone, and the text
// of its parts, transfer encodings and charsets undone, markup taken from HTML; messages within it with
// their headers. All of it folded (fold.hpp).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "mime/part.hpp"

namespace fwmail::mime {

// Octets of the message, all that the range names.
using ReadOctets = std::function<Result<std::string>(Range)>;

struct SearchText {
    std::string header;  // of each field `name: value` and a NUL
    std::string body;    // of each part its text and a NUL
    bool whole = true;   // false: there was more than was wanted

    bool header_contains(std::string_view name, std::string_view folded_needle) const;
    bool body_contains(std::string_view folded_needle) const;
    bool text_contains(std::string_view folded_needle) const;  // either
    std::size_t size() const { return header.size() + body.size(); }
};

// Of a header no more is read than this.
inline constexpr std::size_t search_header_limit = 1 << 20;

// Stops, not `whole`, when there are more than `limit` octets.
Result<SearchText> read_search_text(const Part& root, const ReadOctets& read, std::size_t limit);

// The header alone.
Result<SearchText> read_search_header(const Part& root, const ReadOctets& read);

// For messages of any size, in bounded memory.
Result<bool> stream_contains(const Part& root, const ReadOctets& read, std::string_view folded_needle,
                             bool with_header);

// For storing. Without its body, which comes last, it reads as a text that has none.
std::string write_search_text(const SearchText& text);
Result<SearchText> parse_search_text(std::string_view octets);

}  // namespace fwmail::mime
