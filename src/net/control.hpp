// The control socket: how commands talk to the running role. One line a request, lines in reply, an empty
// line ends the reply. What is in the lines (JSON) is the caller's.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/runtime.hpp"
#include "net/stream.hpp"

namespace fwmail::net {

inline constexpr std::size_t max_control_line = 1 << 20;

// Sends one reply line, without its newline and not empty. An error means that the client has gone: stop.
using ControlReply = std::function<Task<Result<>>(std::string line)>;
// Runs on some executor of the runtime; may reply any number of times before it ends.
using ControlHandler = std::function<Task<>(std::string request, ControlReply reply)>;

// Destroy it before the runtime.
class ControlServer {
  public:
    // Whoever opens it holds the data-dir's lock: a socket left over by a crash is replaced. Mode 0600, and
    // the peer must run as our user or as root.
    static Result<std::shared_ptr<ControlServer>> open(Runtime& runtime, std::filesystem::path path,
                                                       ControlHandler handler);
    ~ControlServer();
    // From any thread: no more requests; the socket file goes.
    void stop();

  private:
    struct Impl;
    explicit ControlServer(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

// Blocking, for commands. `on_line` gets each reply line; returning false stops early, without error. `idle`
// is the longest wait for the next line. `refused`: no role is running here.
Result<> control_request(const std::filesystem::path& path, std::string_view request,
                         const std::function<bool(std::string_view)>& on_line,
                         std::chrono::milliseconds idle = std::chrono::seconds(60));

}  // namespace fwmail::net
