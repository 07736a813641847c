// Transparency of DATA in SMTP (RFC 5321 4.5.2) and of multi-line responses in POP3 (RFC 1939 3), both ways,
// streaming, octet for octet.
//
// A line begins at the start of the data or after CRLF, and nowhere else; the data ends with exactly
// CRLF.CRLF.
//
// What comes in: bare CR and bare LF are data. What is dangerous about them is a *lone dot line* of which one
// end is bare (LF.LF, LF.CRLF, CRLF.LF, CR.CR, ...): some servers take it for the end of the data, and what
// follows it for commands. That is reported as dangerous(), and the session then lets the message not
// through.
//
// What goes out has neither (RFC 5321 2.3.8 forbids to send them): a bare LF was meant as a line end and
// becomes one; a bare CR becomes a space, since a line end out of it could end the header early or make a
// field or a boundary of what was none. Signatures are about lines that end in CRLF (RFC 6376 5.3, RFC 3156
// 5, RFC 8551 3.1.1), so what keeps to that loses none by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fwmail::mime {

// Message to wire.
class DotStuffer {
  public:
    std::string add(std::string_view octets);
    // The end: `.CRLF`, and before it CRLF if the message does not end in one.
    std::string finish();

    bool added_line_ending() const { return added_; }  // finish() had to

  private:
    enum class State { line_start, text, cr };  // cr: held back, until it shows what follows
    void step(char c, std::string& out);

    State state_ = State::line_start;
    bool added_ = false;
};

// Wire to message.
class DotUnstuffer {
  public:
    // Appends the message's octets to `out`; says how many octets of the wire were used. Fewer than given
    // only when the end was found: then done().
    std::size_t add(std::string_view wire, std::string& out);

    bool done() const { return done_; }
    bool has_bare_ending() const { return bare_; }
    bool dangerous() const { return dangerous_; }

  private:
    enum class State { line_start, dot, dot_cr, text, cr, bare_start, bare_dot };
    void step(char c, std::string& out);
    void emit(char c, std::string& out, bool bare);

    State state_ = State::line_start;
    bool done_ = false, bare_ = false, dangerous_ = false;
};

}  // namespace fwmail::mime
