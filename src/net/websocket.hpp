// A WebSocket (RFC 6455) over a Stream: whole binary messages both ways, one subprotocol, no extensions.
//
// Invariants: it is used on the stream's executor only. One coroutine reads and one writes at a time; a ping
// and a close may go beside them. A peer that says nothing for `silence` is gone, which reading finds out:
// whoever holds a WebSocket open keeps reading, and pings.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.hpp"

namespace fwmail::net {

struct WebSocketOptions {
    std::string subprotocol;                    // a token (RFC 6455 1.9); both ends have to name it
    std::size_t max_message = 1024;             // octets of one message that is received
    std::chrono::milliseconds silence{60'000};  // also the longest that 16 KiB may take to go out
};

// Of RFC 6455 7.4.1, those that we say.
enum class CloseCode : std::uint16_t { going_away = 1001, protocol_error = 1002, policy_violation = 1008 };

// Errors are `temporary` (cut, silent, closed), except `protocol`: the peer is no WebSocket, or breaks the
// protocol; `refused`: it answers, but not to this subprotocol.
class WebSocket {
  public:
    // The opening handshake (RFC 6455 4) over a connection that is up, TLS included; by the deadline. A
    // request that is no WebSocket of this subprotocol is answered 426, and one that is too long not at all.
    static Task<Result<std::unique_ptr<WebSocket>>> accept(StreamPtr stream, WebSocketOptions options,
                                                           Deadline deadline);
    // `host` goes into the Host field. The target is `/`.
    static Task<Result<std::unique_ptr<WebSocket>>> connect(StreamPtr stream, std::string host,
                                                            WebSocketOptions options, Deadline deadline);
    ~WebSocket();

    // The connection beneath: for its addresses and bindings.
    const Stream& stream() const;

    // What may come from now on, and no more a deadline for all: a message above it ends the connection
    // (1009).
    void set_max_message(std::size_t octets);
    // Reading and writing end at this time, whatever moves. no_deadline lifts it.
    void set_deadline(Deadline deadline);

    // A part of a message, of at most 64 KiB and perhaps empty. `last`: the message is whole.
    struct Piece {
        std::string octets;
        bool last = false;
    };
    Task<Result<Piece>> read_some();
    // A whole message.
    Task<Result<std::string>> read();
    // In fragments of 16 KiB, so that pings go in between. The octets must outlive it.
    Task<Result<>> write(std::string_view message);
    Task<Result<>> ping();
    // Says why (at most 123 octets of UTF-8; the peer may log it), and closes the connection in three seconds
    // at most.
    Task<> close(CloseCode code, std::string reason);
    // Now; pending operations end with an error.
    void abort();

  private:
    struct Impl;
    explicit WebSocket(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace fwmail::net
