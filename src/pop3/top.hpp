// What TOP shows of a message (RFC 1939 7): the header, the empty line, and so many lines of the body.
#pragma once

#include <cstdint>
#include <string_view>

namespace fwmail::pop3 {

class TopCutter {
  public:
    explicit TopCutter(std::uint64_t lines) : lines_(lines) {}

    // As much of `octets`, from their begin, as belongs to the answer.
    std::string_view take(std::string_view octets);
    bool done() const { return done_; }

  private:
    std::uint64_t lines_;  // of the body, still wanted
    bool in_header_ = true;
    bool empty_ = true;   // the line has nothing but perhaps one CR so far
    bool begun_ = false;  // it has something
    bool done_ = false;
};

}  // namespace fwmail::pop3
