// Transcripts of SMTP and POP3 dialogues, for both sessions, and their replay.
//
//   # comment            O: option=value (of the session's configuration)
//   C: line              what the client says, CRLF added; `C~ text` adds nothing
//   S: line              what the server says, likewise
//   X: words             what the session asks of its owner
//   R: words             what the owner answers or does
//
// Escapes in texts: \r \n \t \0 \\ \xNN
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fwmail::testing {

struct Line {
    char kind;         // C S X R O
    std::string text;  // unescaped; of C and S with the CRLF
    int number;
};

struct Transcript {
    std::string name;
    std::vector<Line> lines;
    std::string option(std::string_view name) const;  // "" if not given
    bool has_option(std::string_view name) const { return !option(name).empty(); }
};

// Those in tests/transcripts/`folder` whose names begin with `prefix`.
std::vector<Transcript> load_transcripts(std::string_view folder, std::string_view prefix);

std::string escape(std::string_view octets);

// What a session did, one line an action, in a form that does not depend on how the input was cut up.
class Trace {
  public:
    explicit Trace(char peer) : peer_(peer) {}
    void octets(std::string_view sent);  // as lines of `peer`
    void chunk(std::string_view octets);
    void action(std::string_view words);
    const std::string& text() const { return text_; }

  private:
    char peer_;
    std::string text_;
    std::size_t chunk_start_ = 0;
    bool in_chunk_ = false, in_line_ = false;
};

// The expected trace up to (not including) line `end` of the transcript. `peer` is the kind that the session
// writes.
std::string expected_trace(const Transcript& transcript, char peer, std::size_t end);

}  // namespace fwmail::testing
