// One TLS connection over a socket that never blocks: OpenSSL without Asio's buffers around it. While nothing
// is being read or written it holds none of its own either (SSL_MODE_RELEASE_BUFFERS): thousands of
// connections are idle. Which side waits, and until when, is the stream's matter. For net's own .cpp files.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/openssl_owned.hpp"
#include "net/stream.hpp"

namespace fwmail::net {

class TlsChannel {
  public:
    // What has to come before it can go on; `ended`: the peer has, with or without close_notify.
    enum class State { done, wants_read, wants_write, ended, failed };
    struct Step {
        State state = State::done;
        std::size_t count = 0;  // octets read or written
    };

    // `socket` must not block, and must outlive this. Null if there is no memory.
    static std::unique_ptr<TlsChannel> make(SSL_CTX* context, int socket, bool server);

    Step handshake();
    Step read(std::span<char> into);
    // Whether read() would give something; takes nothing.
    Step peek();
    // After `wants_…` with the same octets again.
    Step write(std::string_view octets);
    // close_notify; done when the peer's has come, too.
    Step shutdown();
    // Octets that have left the socket and were not read yet.
    bool has_pending() const { return SSL_has_pending(ssl_.get()) == 1; }

    // Of the last failure: `protocol` when the peer broke TLS, `temporary` when the connection was cut.
    const Error& error() const { return error_; }
    std::string channel_binding(ChannelBinding type) const;
    SSL* native() const { return ssl_.get(); }

  private:
    Step step(int result, std::size_t count);

    Owned<SSL, SSL_free> ssl_;
    Error error_;
};

}  // namespace fwmail::net
