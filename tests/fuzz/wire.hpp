// What a session sends, held to its protocol's lines.
#pragma once

#include <algorithm>

#include "fuzz/fuzz.hpp"

namespace fwmail::fuzz {

// Lines end in CRLF and hold neither CR nor LF; NUL only where a message with one may be among them.
inline void check_lines(std::string_view sent, bool has_message = false) {
    std::string_view foreign("\r\n\0", has_message ? 2 : 3);
    require(sent.empty() || sent.ends_with("\r\n"), "what is sent are whole lines");
    for (std::size_t at = 0; at < sent.size();) {
        std::size_t end = sent.find("\r\n", at);
        require(end != std::string_view::npos, "a line ends in CRLF");
        require(sent.substr(at, end - at).find_first_of(foreign) == std::string_view::npos,
                "no bare CR or LF in a line, and no NUL");
        at = end + 2;
    }
}

// The same for IMAP, which has literals: they are passed over by their counts. What comes from elsewhere (an
// object) must lie within one.
class ImapLines {
  public:
    // Octets of a literal may be anything but NUL, unless it is `binary`.
    void add(std::string_view octets, bool object = false) {
        while (!octets.empty()) {
            if (literal_ > 0) {
                auto part = octets.substr(0, std::min<std::uint64_t>(literal_, octets.size()));
                literal_ -= part.size();
                octets.remove_prefix(part.size());
                continue;
            }
            require(!object, "an object is sent within a literal only");
            char c = octets.front();
            octets.remove_prefix(1);
            if (cr_) {
                require(c == '\n', "no bare CR in a line");
                cr_ = false;
                end_line();
            } else if (c == '\r') {
                cr_ = true;
            } else {
                require(c != '\n' && c != '\0', "no bare LF or NUL in a line");
                if (tail_.size() >= 40) tail_.erase(0, 20);
                tail_ += c;
            }
        }
    }
    bool between_lines() const { return literal_ == 0 && !cr_ && tail_.empty() && !in_response_; }
    std::uint64_t literal() const { return literal_; }
    // The other side does not want the one that was announced.
    void refuse_literal() { literal_ = 0; }

  private:
    void end_line() {
        std::size_t open = tail_.rfind('{');
        in_response_ = false;
        if (tail_.ends_with('}') && open != std::string::npos) {
            std::string number = tail_.substr(open + 1, tail_.size() - open - 2);
            if (number.ends_with('+')) number.pop_back();
            if (!number.empty() && number.size() < 15 &&
                std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; })) {
                literal_ = std::stoull(number);
                in_response_ = true;
            }
        }
        tail_.clear();
    }

    std::uint64_t literal_ = 0;
    std::string tail_;  // of the line
    bool cr_ = false, in_response_ = false;
};

}  // namespace fwmail::fuzz
