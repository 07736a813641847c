// A blocking connection to this machine, for commands that talk to servers as a user's programs do. Servers
// use Stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fwmail::net {

// Errors are `temporary`: not connected, cut, the deadline passed; `protocol`: a line that has no end.
class LineClient {
  public:
    // `patience` is the longest that any later call takes as well.
    static Result<LineClient> connect_loopback(std::uint16_t port, std::chrono::milliseconds patience);
    LineClient(LineClient&& other) noexcept;
    LineClient& operator=(LineClient&& other) noexcept;
    ~LineClient();

    // Without its CRLF or LF; of at most 64 KiB.
    Result<std::string> read_line();
    // Exactly so many, behind the last line read. At most 256 MiB.
    Result<std::string> read_octets(std::size_t count);
    Result<> write(std::string_view octets);

    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  private:
    using Time = std::chrono::steady_clock::time_point;
    LineClient(int fd, std::chrono::milliseconds patience) : fd_(fd), patience_(patience) {}
    Result<> fill(Time deadline);

    int fd_ = -1;
    std::chrono::milliseconds patience_;
    std::string buffer_;  // read, and from used_ on not yet handed out
    std::size_t used_ = 0;
};

// Ports of 127.0.0.1 on which nobody listens now, each a different one. Nothing keeps others from taking
// them.
Result<std::vector<std::uint16_t>> free_loopback_ports(std::size_t count);

}  // namespace fwmail::net
