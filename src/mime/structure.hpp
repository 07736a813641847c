// Finds the structure of a message in one pass: RFC 5322, RFC 2045, RFC 2046.
// Pure, incremental, and tolerant: every sequence of octets has a structure, and it does not depend on how
// the octets were cut into calls of feed().
//
// Rules where the RFCs leave room, or mail in the wild does:
//  - LF ends a line; a CR directly before it belongs to the ending; any other CR, and NUL, are data.
//  - A header whose first line is neither a field nor an mbox "From " line is no header: length 0, all is
//  body.
//    Later lines without a colon stay in the header. Of repeated fields the first counts.
//  - A delimiter is a whole line: "--", the boundary, perhaps "--", perhaps white space (RFC 2046 5.1.1). The
//    innermost open multipart is tried first; an outer one's delimiter ends the inner ones. After its closing
//    delimiter a boundary means nothing.
//  - multipart/* without a usable boundary (absent, empty, over 256 octets) becomes text/plain without
//  parameters.
//  - multipart/* in which no delimiter was found, or that lies too deep, stays multipart/* with no children
//  (an
//    IMAP writer has to show one empty text/plain in it).
//  - message/rfc822 and message/global are opened unless they are base64, quoted-printable or uuencoded,
//  which
//    makes them leaves (is_message() is false).
//  - Ranges nest: a child's header and body lie in its parent's body; header.offset + header.length is
//  body.offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mime/part.hpp"

namespace fwmail::mime {

struct StructureLimits {
    std::size_t header = 256 * 1024;        // octets of one header that are read; the rest is only counted
    std::size_t headers = 4 * 1024 * 1024;  // octets of all headers together that are read
    std::size_t depth = 100;                // levels of parts, the root being the first; deeper = leaf
    std::size_t parts = 10'000;             // then delimiters mean nothing and the rest is the last part's
    std::size_t addresses = 10'000;         // in all envelopes together
    std::size_t parameters = 20'000;        // of all parts together
};

class StructureParser {
  public:
    explicit StructureParser(StructureLimits limits = {});

    void feed(std::string_view octets);
    // Ends the message and returns the root. The parser is then spent.
    Part finish();

    // Octets fed so far.
    std::uint64_t size() const { return pos_; }
    // After finish(): the root's header as it came; nothing when it has more than kept_header octets.
    static constexpr std::size_t kept_header = 16 * 1024;
    std::optional<std::string_view> header() const;

  private:
    struct Open {
        Part part;
        bool in_digest = false;   // multipart/digest: children default to message/rfc822 (RFC 2046 5.1.5)
        bool is_message = false;  // a whole message: has an envelope
        bool default_message = false;  // without Content-Type it is message/rfc822
        std::uint64_t lf_at_body = 0;  // line feeds before the body
    };
    struct Boundary {
        std::string text;
        std::size_t level;  // index in open_
    };
    enum class Line { fresh, collecting, skipping };

    void open_part(std::uint64_t offset, bool is_message, bool default_message);
    void close_part(std::uint64_t end, std::uint64_t lf_before_end, bool unterminated);
    void end_header(std::uint64_t header_end, std::uint64_t body_lf);
    void read_header(Open& open);
    void store_header(std::string_view piece);
    const char* skip_body(const char* p, const char* end);
    void collect(const char*& p, const char* end);
    void decide_first_line(std::string_view head);
    void end_line(std::string_view head, bool whole, bool has_lf);
    void advance(bool has_lf);
    bool on_delimiter_line(std::string_view content, bool has_lf);
    bool match(std::string_view content, std::size_t& index, bool& closing) const;

    StructureLimits limits_;
    std::vector<Open> open_;  // the path from the root to the part being read
    std::vector<Boundary> boundaries_;
    std::size_t parts_ = 0, addresses_ = 0, parameters_ = 0, header_total_ = 0;
    std::uint64_t pos_ = 0;  // offset of the next octet
    std::uint64_t lf_ = 0;   // line feeds before line_start_
    std::uint64_t line_start_ = 0;
    std::uint64_t prev_line_start_ = 0,
                  prev_ending_ = 0;  // the line before: its start, and where its ending starts
    char last_ = 0;                  // the octet before pos_
    Line line_ = Line::fresh;
    bool in_header_ = true, first_line_ = true, boundaries_off_ = false;
    std::string head_;             // the first octets of a line that may be a delimiter or a header line
    std::string header_;           // of the header being read, bounded
    std::size_t header_line_ = 0;  // where the current line starts in header_
    bool header_cut_ = false;
    std::string top_;  // the first octets, as long as the root's header goes on, bounded
    std::uint64_t top_length_ = 0;
};

Part parse_structure(std::string_view message);

}  // namespace fwmail::mime
