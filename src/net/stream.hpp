// A connection as the sessions' drivers see it: octets, deadlines, an upgrade to TLS in place. Neither
// sockets nor OpenSSL show through, which also keeps the coroutines that use it quick to compile.
//
// Invariants: a stream lives on one executor and is used from there only. At most one coroutine reads and one
// writes at a time. Operations are not to be raced with ||, which can lose octets that were read:
// wait_readable is for that. What is passed as span or view must outlive the operation.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::net {

template <class T = void>
using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline no_deadline = Deadline::max();
inline Deadline deadline_after(std::chrono::steady_clock::duration time) {
    return std::chrono::steady_clock::now() + time;
}

class Notifier;   // net/runtime.hpp
class TlsServer;  // net/tls.hpp
class TlsClient;

enum class Wake {
    readable,  // read_some will not wait: octets, the end, or an error
    notified,
    deadline,
};

// What tells one TLS connection from every other (RFC 9266; RFC 5929 4): for SCRAM-SHA-256-PLUS.
enum class ChannelBinding { tls_exporter, tls_server_end_point };

// Errors are `temporary` (cut, refused, deadline passed) except a certificate that is not accepted, which is
// `refused`, and a peer that breaks TLS, which is `protocol`.
class Stream {
  public:
    virtual ~Stream() = default;

    // At least one octet; 0 means the peer has ended, with or without TLS's close_notify: the protocols above
    // frame what they say. A passed deadline is an error; the stream can still be written to afterwards.
    virtual Task<Result<std::size_t>> read_some(std::span<char> into, Deadline deadline) = 0;
    // The deadline is for the whole; after an error the stream is only good for closing.
    virtual Task<Result<>> write_all(std::string_view octets, Deadline deadline) = 0;
    // For IDLE: waits for whichever comes first, and loses nothing. Nothing is read, and no buffer held,
    // meanwhile.
    virtual Task<Wake> wait_readable(Notifier& notifier, Deadline deadline) = 0;

    // STARTTLS. What the caller had already read in clear is the caller's to refuse (RFC 3207 4.2, RFC 9051
    // 6.2.1); the stream itself throws away nothing.
    virtual Task<Result<>> start_tls_server(std::shared_ptr<TlsServer> tls, Deadline deadline) = 0;
    // `host` is sent as SNI and must be in the certificate, if the client verifies names.
    virtual Task<Result<>> start_tls_client(std::shared_ptr<TlsClient> tls, std::string host,
                                            Deadline deadline) = 0;

    virtual bool tls() const = 0;
    // "TLSv1.3 TLS_AES_256_GCM_SHA384", for logs and Received; empty without TLS.
    virtual std::string tls_summary() const = 0;
    // SHA-256 of the peer's certificate (DER), 32 octets; empty if it showed none.
    virtual std::string peer_certificate_sha256() const = 0;

    // Empty without TLS, and where this connection has none of that type.
    virtual std::string channel_binding(ChannelBinding type) const = 0;

    // Numeric, IPv4-mapped addresses as IPv4, without port; "local" for a unix socket.
    virtual std::string peer_address() const = 0;
    // Ends our side in an orderly way: close_notify and FIN. Under TLS it waits for the peer's close_notify
    // till the deadline, without minding if none comes.
    virtual Task<Result<>> shutdown(Deadline deadline) = 0;
    // Pending operations end with an error.
    virtual void close() = 0;
    // Whether the peer has ended its side, octets of it still unread or not. Does not wait.
    virtual bool peer_gone() const = 0;
    virtual Executor executor() const = 0;
};

using StreamPtr = std::unique_ptr<Stream>;

}  // namespace fwmail::net
