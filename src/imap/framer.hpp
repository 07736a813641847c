// Octets into complete commands. Every size limit of the protocol is here, and so is staying in step with the
// client: whatever a command holds, its literals are counted, and what is too large is skipped or ends the
// connection. RFC 9051 2.2, 4.3; RFC 7888 (LITERAL+).
//
// The message of an APPEND is not buffered: its command is handed out at the literal's start, and the octets
// follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace fwmail::imap {

struct FramerLimits {
    std::size_t line = 64 * 1024;      // a command's text outside literals
    std::size_t literal = 64 * 1024;   // one literal that is not APPEND's message
    std::size_t command = 256 * 1024;  // all of a command
    std::uint64_t swallow =
        1024 * 1024;  // a non-synchronising literal up to here is read and dropped, a larger one is fatal
};
// Before login nothing long is ever needed.
inline constexpr FramerLimits limits_before_login{8 * 1024, 4 * 1024, 16 * 1024, 64 * 1024};

struct MessageLiteral {
    std::uint64_t size = 0;
    bool synchronising = true;
};

// A command without its final line end; literals stand in it as they came: `{3}\r\nabc`. With `message` it is
// an APPEND up to its message's literal (`{n}` not included): answer with accept_message() or
// refuse_message(). A `~` before a literal (literal8, RFC 3516) stays at the text's end.
struct FramedCommand {
    std::string text;
    std::optional<MessageLiteral> message;
};
struct FramedLine {  // after expect_line()
    std::string text;
};
struct ContinuationWanted {};  // send "+ OK"
struct MessageData {
    std::string octets;
};
// Behind the message's last octet. With `next`, a further message's literal (RFC 3502): again
// accept_message() or refuse_message().
struct MessageEnd {
    std::string rest;  // of the line, without the literal's marker
    std::optional<MessageLiteral> next;
    bool too_long = false;  // what followed was dropped
};
struct TooLarge {     // tagged BAD; the rest of the command is skipped
    std::string tag;  // "*" when there was none
    std::string why;
};
struct Unrecoverable {  // BYE
    std::string why;
};
using FrameEvent = std::variant<FramedCommand, FramedLine, ContinuationWanted, MessageData, MessageEnd,
                                TooLarge, Unrecoverable>;

class Framer {
  public:
    explicit Framer(FramerLimits limits = {}) : limits_(limits) {}

    void feed(std::string_view octets) { buffer_.append(octets); }
    // The next event, when there are octets enough.
    std::optional<FrameEvent> next();

    // The next line is not a command but the answer to a continuation request (AUTHENTICATE, IDLE).
    void expect_line() { line_expected_ = true; }
    void accept_message();
    // A synchronising literal is not sent; another one is read and dropped, with the rest of the command.
    void refuse_message();

    void set_limits(FramerLimits limits) { limits_ = limits; }
    // Forgets what has come and was not taken (STARTTLS: RFC 9051 6.2.1).
    void discard();
    std::size_t buffered() const { return buffer_.size() - head_; }
    // A part of something has come, or been announced, and the rest has not.
    bool in_message() const { return state_ == State::message; }
    bool in_command() const { return buffered() > 0 || !command_.empty() || state_ != State::line; }

  private:
    enum class State { line, literal, held, message, message_end, skip_line, skip_octets, dead };
    struct Marker {  // `{n}` or `{n+}` at a line's end
        std::size_t start = 0;
        std::uint64_t size = 0;
        bool synchronising = true;
        bool overflow = false;
    };
    static std::optional<Marker> find_marker(std::string_view line);
    bool message_follows(std::string_view text) const;
    std::string tag() const;

    std::optional<std::string> take_line(std::size_t limit, bool& too_long);
    void consume(std::size_t count, bool wiped);
    std::optional<FrameEvent> on_line();
    std::optional<FrameEvent> on_marker(const Marker& marker, std::string line);
    std::optional<FrameEvent> on_literal();
    std::optional<FrameEvent> on_message();
    std::optional<FrameEvent> on_message_end();
    std::optional<FrameEvent> on_skip_line();
    void on_skip_octets();
    FrameEvent skip(std::string why);
    FrameEvent die(std::string why);
    bool start_swallowing(std::uint64_t size);

    FramerLimits limits_;
    State state_ = State::line;
    bool line_expected_ = false;
    std::string buffer_;
    std::size_t head_ = 0;         // taken up to here
    std::size_t scanned_ = 0;      // no line end between head_ and here
    std::string command_;          // so far
    std::uint64_t remaining_ = 0;  // octets of the literal under way
    MessageLiteral message_;
};

}  // namespace fwmail::imap
