// Takes connections in, within limits; makes connections out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "config/host_port.hpp"
#include "net/dns.hpp"
#include "net/runtime.hpp"
#include "net/stream.hpp"
#include "net/tls.hpp"
#include "net/unix_socket.hpp"

namespace fwmail::net {

using config::HostPort;

struct ListenerOptions {
    std::string name = {};                         // "imap": for the log and for socket activation
    std::shared_ptr<TlsServer> implicit_tls = {};  // handshake before the session; null: plain at first
    std::size_t max_connections = 1000;
    std::size_t max_connections_per_address = 50;  // IPv6: per /64
    // Said to whom is turned away, "* BYE Too many connections\r\n"; nothing under implicit TLS.
    std::string farewell = {};
    std::chrono::seconds handshake_time{30};
};

// Owns the stream; runs on the stream's executor. When it ends the connection is closed and no longer
// counted.
using SessionHandler = std::function<Task<>(StreamPtr)>;

// Destroy it before the runtime.
class Listener {
  public:
    // Address: numeric, "localhost" (127.0.0.1), or "*" for all of IPv6 and IPv4; "::" is IPv6 only. Port 0:
    // any.
    static Result<std::shared_ptr<Listener>> open(Runtime& runtime, HostPort address, ListenerOptions options,
                                                  SessionHandler handler);
    // A socket that listens already (systemd's), TCP or unix. Takes the descriptor over.
    static Result<std::shared_ptr<Listener>> adopt(Runtime& runtime, int fd, ListenerOptions options,
                                                   SessionHandler handler);
    // On a unix socket. Its file goes with the listener.
    static Result<std::shared_ptr<Listener>> open_unix(Runtime& runtime, UnixPlace place,
                                                       ListenerOptions options, SessionHandler handler);
    ~Listener();

    // As bound, with the port that was found; of a unix socket nothing.
    HostPort address() const;
    // For people: "127.0.0.1:143", "unix:/run/fwmail/lmtp".
    std::string place() const;
    const std::string& name() const;
    std::size_t connections() const;
    // From any thread. No more is accepted; sessions go on.
    void stop();

  private:
    struct Impl;
    explicit Listener(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

// On the calling coroutine's executor. Tries every address that the name has, each within a fair part of what
// time is left. The error is the last address's.
Task<Result<StreamPtr>> connect(const Resolver& resolver, HostPort to, Deadline deadline);

// systemd socket activation (sd_listen_fds(3)) and notification (sd_notify(3)), without libsystemd. At start,
// before threads.
struct ActivatedSocket {
    std::string name;  // LISTEN_FDNAMES; "unknown" without
    int fd;
};
// The environment variables are taken away, so that children do not see them.
std::vector<ActivatedSocket> take_activated_sockets();
// "READY=1\nSTATUS=..."; nothing happens without NOTIFY_SOCKET.
Result<> notify_service_manager(std::string_view state);

}  // namespace fwmail::net
