// Transparency of DATA in SMTP (RFC 5321 4.5.2) and of multi-line responses in POP3 (RFC 1939 3), both ways,
// streaming, octet for octet.
//
// A line begins at the start of the data or after CRLF, and nowhere else; the data ends with exactly
// CRLF.CRLF. Bare CR and bare LF are data. What is dangerous about them is a *lone dot line* of which one end
// is bare (LF.LF, LF.CRLF, CRLF.LF, CR.CR, ...): some servers take it for the end of the data, and what
// follows it for commands. Both classes report one as dangerous(), and the sessions then let no message
// through: the server answers 550, the client drops the connection before the dangerous octet is sent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fwmail::mime {

enum class LineEndings {
    keep,     // octet for octet
    to_crlf,  // bare CR and bare LF become CRLF
};

// Message to wire.
class DotStuffer {
  public:
    explicit DotStuffer(LineEndings endings = LineEndings::keep) : endings_(endings) {}

    std::string add(std::string_view octets);
    // The end: `.CRLF`, and before it CRLF if the message does not end in one.
    std::string finish();

    bool has_bare_ending() const { return bare_; }  // there were bare CRs or LFs (converted or not)
    bool dangerous() const { return dangerous_; }
    bool added_line_ending() const { return added_; }  // finish() had to: the message grew by two octets

  private:
    enum class State { line_start, text, cr, bare_start, bare_dot };
    void step(char c, std::string& out);

    LineEndings endings_;
    State state_ = State::line_start;
    bool bare_ = false, dangerous_ = false, added_ = false;
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
