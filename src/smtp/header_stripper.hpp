// Removes header fields whose name begins with a prefix (`FWMail-`) from a message that streams by.
//
// All else goes through octet for octet; a removed field takes its folded lines with it. A line ends with LF;
// after a bare CR a name is looked for as well, since some readers end lines there. The header ends at the
// first empty line that ends in LF; a bare CR never ends it. A field that began after a bare CR leaves an
// empty `X-Removed:` behind, so that this CR cannot join with what follows and shift the end of the header.
// Holds back no more than the prefix's length.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace fwmail::smtp {

class HeaderFieldStripper {
  public:
    explicit HeaderFieldStripper(std::string prefix = "FWMail-") : prefix_(std::move(prefix)) {}

    std::string add(std::string_view octets);
    // What was held back.
    std::string finish();
    std::size_t removed() const { return removed_; }

  private:
    enum class State { line_start, line_start_cr, matching, in_line, body };
    void step(char c, std::string& out);
    void begin_line(char c, std::string& out);
    void match(char c, std::string& out);
    void in_line(char c, std::string& out);

    std::string prefix_;
    State state_ = State::line_start;
    std::string held_;            // start of a line that may yet turn out to be a field to remove
    bool dropping_ = false;       // the field that the current line belongs to is being removed
    bool after_bare_cr_ = false;  // how the current line began
    bool last_was_cr_ = false;    // within a line
    std::size_t removed_ = 0;
};

}  // namespace fwmail::smtp
