// SMTP replies (RFC 5321 4.2) and enhanced status codes (RFC 3463, 2034).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::smtp {

// RFC 3463 2. All zero = none was given.
struct EnhancedStatus {
    std::uint16_t status_class = 0;  // 2, 4 or 5
    std::uint16_t subject = 0;       // 0..999
    std::uint16_t detail = 0;        // 0..999

    constexpr auto operator<=>(const EnhancedStatus&) const = default;
    bool is_none() const { return status_class == 0; }
    std::string text() const;  // "5.1.1"; empty if none
};

// Reads `2.1.0` at the start of `text` and takes it (and the space after it) away.
std::optional<EnhancedStatus> take_enhanced_status(std::string_view& text);

struct Reply {
    int code = 0;  // 200..559
    EnhancedStatus status;
    std::string text;  // lines parted by '\n', without codes

    bool operator==(const Reply&) const = default;
    bool positive() const { return code >= 200 && code < 300; }
    bool intermediate() const { return code >= 300 && code < 400; }
    bool temporary() const { return code >= 400 && code < 500; }
    bool permanent() const { return code >= 500; }
    // On one line, as for a log or a Diagnostic-Code: "550 5.1.1 no such user".
    std::string one_line() const;
};

// Text to the wire, CRLF included. Control characters and octets above 126 become '?'; lines are cut at 480
// octets (RFC 5321 4.5.3.1.5). The enhanced code stands on every line (RFC 2034 4).
std::string write_reply(const Reply& reply);

// Finds replies in what a server sends. A bare LF is taken as a line ending; all lines of a reply must bear
// one code. A line is at most 4096 octets, a reply at most 100 lines and 64 KiB; more, or anything that is no
// reply, is a protocol error, after which the parser stays failed.
class ReplyParser {
  public:
    static constexpr std::size_t max_line = 4096, max_lines = 100, max_octets = 64 * 1024;

    void add(std::string_view octets) { buffer_ += octets; }
    // The next complete reply, nothing if more octets are needed.
    Result<std::optional<Reply>> next();
    // Octets not yet used up; to be checked at STARTTLS (no response injection).
    bool has_leftover() const { return position_ < buffer_.size() || lines_ > 0; }
    void clear();

  private:
    Result<bool> take_line(std::string_view line);  // true: that was the last line

    std::string buffer_;
    std::size_t position_ = 0;
    Reply partial_;
    std::size_t lines_ = 0, octets_ = 0;
    bool failed_ = false;
};

}  // namespace fwmail::smtp
