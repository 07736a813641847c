// The one Stream there is over sockets, plain and TLS.
#include "net/socket_stream.hpp"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>

#include "base/secret.hpp"
#include "net/dns.hpp"
#include "net/runtime.hpp"
#include "net/tls_channel.hpp"
#include "net/tls_impl.hpp"

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace fwmail::net {
namespace {

// Cancels one operation at its deadline, and only that one: reading and writing have an alarm each. The state
// is shared because a timer's handler may run after its operation has ended; the generation tells that it is
// late.
class Alarm {
  public:
    explicit Alarm(Executor executor) : timer_(std::move(executor)), state_(std::make_shared<State>()) {}

    asio::cancellation_slot arm(Deadline deadline) {
        auto state = state_;
        std::uint64_t generation = ++state->generation;
        state->fired = false;
        if (deadline != no_deadline) {
            timer_.expires_at(deadline);
            timer_.async_wait([state, generation](error_code error) {
                if (error || state->generation != generation) return;
                state->fired = true;
                state->signal.emit(asio::cancellation_type::terminal);
            });
        }
        return state->signal.slot();
    }
    // True: the deadline had passed.
    bool disarm() {
        ++state_->generation;
        timer_.cancel();
        return std::exchange(state_->fired, false);
    }

  private:
    struct State {
        asio::cancellation_signal signal;
        std::uint64_t generation = 0;
        bool fired = false;
    };
    asio::steady_timer timer_;
    std::shared_ptr<State> state_;
};

// Shared, as a wait for octets may outlive the stream's owner.
struct Connection {
    explicit Connection(Socket s) : socket(std::move(s)) {}

    Socket socket;
    std::shared_ptr<ssl::context> context;  // outlives tls
    std::unique_ptr<TlsChannel> tls;

    // For wait_readable: there is something to read, or `ahead_failure` to tell.
    bool ahead_pending = false, ahead_ready = false;
    std::optional<Error> ahead_failure;
    std::optional<Notifier> ahead_waiter;
};

using State = TlsChannel::State;

std::unexpected<Error> network_error(const char* doing, error_code error, bool deadline_passed) {
    if (deadline_passed) return fail(ErrorKind::temporary, std::string(doing) + ": the peer took too long");
    return fail(ErrorKind::temporary, std::string(doing) + ": " + error.message());
}

std::unexpected<Error> tls_error(const char* doing, const Error& error) {
    return fail(error.kind, std::string(doing) + ": " + error.text);
}

class SocketStream final : public Stream {
  public:
    SocketStream(Socket socket, std::string peer)
        : connection_(std::make_shared<Connection>(std::move(socket))),
          executor_(connection_->socket.get_executor()),
          read_alarm_(executor_),
          write_alarm_(executor_),
          peer_(std::move(peer)) {}
    ~SocketStream() override { close(); }

    Task<Result<std::size_t>> read_some(std::span<char> into, Deadline deadline) override;
    Task<Result<>> write_all(std::string_view octets, Deadline deadline) override;
    Task<Wake> wait_readable(Notifier& notifier, Deadline deadline) override;
    Task<Result<>> start_tls_server(std::shared_ptr<TlsServer> tls, Deadline deadline) override;
    Task<Result<>> start_tls_client(std::shared_ptr<TlsClient> tls, std::string host,
                                    Deadline deadline) override;
    bool tls() const override { return connection_->tls != nullptr; }
    std::string tls_summary() const override;
    std::string peer_certificate_sha256() const override;
    std::string channel_binding(ChannelBinding type) const override {
        return connection_->tls ? connection_->tls->channel_binding(type) : std::string();
    }
    std::string peer_address() const override { return peer_; }
    Task<Result<>> shutdown(Deadline deadline) override;
    void close() override;
    bool peer_gone() const override;
    Executor executor() const override { return executor_; }

  private:
    void acknowledge();
    Result<> begin_tls(std::shared_ptr<ssl::context> context, bool server);
    Task<Result<>> handshake(Deadline deadline);
    Task<Result<>> write_tls(std::string_view octets, Deadline deadline);

    std::shared_ptr<Connection> connection_;
    Executor executor_;
    Alarm read_alarm_, write_alarm_;
    std::string peer_;
    bool unanswered_ = false;  // something was read since the last writing
};

// Before waiting for more: what was read called for no answer, so the peer has but a part of what it wants to
// say out, and Nagle's algorithm (RFC 896) holds the rest until TCP acknowledges, which waits 40 ms for an
// answer to travel with. A client that sends a literal and the CRLF behind it apart would wait so long each
// time.
void SocketStream::acknowledge() {
    if (!std::exchange(unanswered_, false)) return;
    error_code ignored;
    connection_->socket.set_option(asio::detail::socket_option::boolean<IPPROTO_TCP, TCP_QUICKACK>(true),
                                   ignored);
}

// Until the socket is ready for what the channel wants.
Task<Result<>> ready(std::shared_ptr<Connection> connection, State wanted, Alarm& alarm, Deadline deadline,
                     const char* doing) {
    auto what = wanted == State::wants_write ? Socket::wait_write : Socket::wait_read;
    auto token = asio::bind_cancellation_slot(alarm.arm(deadline), asio::as_tuple(asio::use_awaitable));
    auto [error] = co_await connection->socket.async_wait(what, token);
    bool late = alarm.disarm();
    if (error || late) co_return network_error(doing, error, late);
    co_return Result<>{};
}

Task<Result<std::size_t>> SocketStream::read_some(std::span<char> into, Deadline deadline) {
    auto connection = connection_;
    if (into.empty()) co_return fail(ErrorKind::internal, "read into nothing");
    if (connection->ahead_pending) {
        connection->ahead_waiter.emplace(executor_);
        Notifier waiter = *connection->ahead_waiter;
        co_await waiter.wait_or(connection->ahead_ready, deadline);
        connection->ahead_waiter.reset();
        if (!connection->ahead_ready) co_return network_error("reading", {}, true);
    }
    bool known_ready = std::exchange(connection->ahead_ready, false);
    if (connection->ahead_failure) co_return std::unexpected(*std::exchange(connection->ahead_failure, {}));
    if (!known_ready) acknowledge();
    while (connection->tls) {
        auto step = connection->tls->read(into);
        unanswered_ = step.count > 0;
        if (step.state == State::done) co_return step.count;
        if (step.state == State::ended) co_return 0;
        if (step.state == State::failed) co_return tls_error("reading", connection->tls->error());
        auto waited = co_await ready(connection, step.state, read_alarm_, deadline, "reading");
        if (!waited) co_return std::unexpected(std::move(waited.error()));
    }
    auto token = asio::bind_cancellation_slot(read_alarm_.arm(deadline), asio::as_tuple(asio::use_awaitable));
    auto buffer = asio::buffer(into.data(), into.size());
    auto [error, count] = co_await connection->socket.async_read_some(buffer, token);
    bool late = read_alarm_.disarm();
    unanswered_ = count > 0;
    if (count > 0) co_return count;
    if (error == asio::error::eof) co_return 0;
    co_return network_error("reading", error, late);
}

Task<Result<>> SocketStream::write_all(std::string_view octets, Deadline deadline) {
    auto connection = connection_;
    if (octets.empty()) co_return Result<>{};
    unanswered_ = false;
    if (connection->tls) co_return co_await write_tls(octets, deadline);
    auto token =
        asio::bind_cancellation_slot(write_alarm_.arm(deadline), asio::as_tuple(asio::use_awaitable));
    auto buffer = asio::buffer(octets.data(), octets.size());
    auto [error, count] = co_await asio::async_write(connection->socket, buffer, token);
    bool late = write_alarm_.disarm();
    if (error) co_return network_error("writing", error, late);
    co_return Result<>{};
}

Task<Result<>> SocketStream::write_tls(std::string_view octets, Deadline deadline) {
    auto connection = connection_;
    while (!octets.empty()) {
        auto step = connection->tls->write(octets);
        octets.remove_prefix(step.count);
        if (step.state == State::done) continue;
        if (step.state == State::ended)
            co_return fail(ErrorKind::temporary, "writing: the peer has ended the connection");
        if (step.state == State::failed) co_return tls_error("writing", connection->tls->error());
        auto waited = co_await ready(connection, step.state, write_alarm_, deadline, "writing");
        if (!waited) co_return waited;
    }
    co_return Result<>{};
}

void wait_ahead(const std::shared_ptr<Connection>& connection);

void on_ahead(const std::shared_ptr<Connection>& connection, error_code error) {
    Connection& c = *connection;
    if (error) {
        c.ahead_failure = network_error("reading", error, false).error();
    } else if (c.tls) {
        // A part of a record, or a session ticket, is nothing to read yet.
        auto step = c.tls->peek();
        if (step.state == State::wants_read) return wait_ahead(connection);
        // wants_write: a key update is to be answered; reading will see to it.
        if (step.state == State::failed) c.ahead_failure = tls_error("reading", c.tls->error()).error();
    }
    c.ahead_pending = false;
    c.ahead_ready = true;
    if (c.ahead_waiter) c.ahead_waiter->poke();
}

void wait_ahead(const std::shared_ptr<Connection>& connection) {
    connection->ahead_pending = true;
    connection->socket.async_wait(Socket::wait_read,
                                  [connection](error_code error) { on_ahead(connection, error); });
}

Task<Wake> SocketStream::wait_readable(Notifier& notifier, Deadline deadline) {
    auto connection = connection_;
    if (connection->ahead_ready) co_return Wake::readable;
    if (!connection->ahead_pending) {
        acknowledge();
        connection->ahead_pending = true;
        if (connection->tls && connection->tls->has_pending())
            on_ahead(connection, {});
        else
            wait_ahead(connection);
    }
    if (connection->ahead_ready) co_return Wake::readable;
    connection->ahead_waiter.emplace(notifier);
    Notifier waiter = notifier;
    bool notified = co_await waiter.wait_or(connection->ahead_ready, deadline);
    connection->ahead_waiter.reset();
    if (notified) co_return Wake::notified;
    co_return connection->ahead_ready ? Wake::readable : Wake::deadline;
}

Result<> SocketStream::begin_tls(std::shared_ptr<ssl::context> context, bool server) {
    if (connection_->tls) return fail(ErrorKind::protocol, "TLS is already on");
    // Come in the clear: to be answered after the handshake it would have to be trusted.
    if (connection_->ahead_ready || connection_->ahead_pending)
        return fail(ErrorKind::protocol, "octets in clear before the TLS handshake");
    error_code error;
    connection_->socket.native_non_blocking(true, error);
    if (error) return network_error("TLS", error, false);
    connection_->context = std::move(context);
    connection_->tls =
        TlsChannel::make(connection_->context->native_handle(), connection_->socket.native_handle(), server);
    if (!connection_->tls) return fail(ErrorKind::internal, "TLS: " + openssl_error());
    return {};
}

Task<Result<>> SocketStream::handshake(Deadline deadline) {
    auto connection = connection_;
    TlsChannel& tls = *connection->tls;
    auto step = tls.handshake();
    while (step.state == State::wants_read || step.state == State::wants_write) {
        auto waited = co_await ready(connection, step.state, read_alarm_, deadline, "TLS handshake");
        if (!waited) co_return waited;
        step = tls.handshake();
    }
    if (step.state == State::done) co_return Result<>{};
    if (step.state == State::ended)
        co_return fail(ErrorKind::temporary, "the peer cut the TLS handshake short");
    SSL* native = tls.native();
    long verdict = SSL_get_verify_result(native);
    if (!SSL_is_server(native) && verdict != X509_V_OK && (SSL_get_verify_mode(native) & SSL_VERIFY_PEER))
        co_return fail(ErrorKind::refused, std::string("the peer's certificate is not accepted: ") +
                                               X509_verify_cert_error_string(verdict));
    co_return tls_error("TLS handshake", tls.error());
}

Task<Result<>> SocketStream::start_tls_server(std::shared_ptr<TlsServer> tls, Deadline deadline) {
    if (auto begun = begin_tls(tls->impl().current(), true); !begun) co_return begun;
    co_return co_await handshake(deadline);
}

Task<Result<>> SocketStream::start_tls_client(std::shared_ptr<TlsClient> tls, std::string host,
                                              Deadline deadline) {
    if (auto begun = begin_tls(tls->impl().context, false); !begun) co_return begun;
    const TlsClientOptions& options = tls->impl().options;
    SSL* native = connection_->tls->native();
    std::string address = numeric_address(host);
    if (!host.empty() && host.back() == '.') host.pop_back();
    bool set = !address.empty() || SSL_set_tlsext_host_name(native, host.c_str());
    if (options.verify == TlsVerify::ca) {
        X509_VERIFY_PARAM* parameters = SSL_get0_param(native);
        X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        // An empty name would switch the check off.
        set = set && !host.empty() &&
              (address.empty() ? X509_VERIFY_PARAM_set1_host(parameters, host.data(), host.size())
                               : X509_VERIFY_PARAM_set1_ip_asc(parameters, address.c_str()));
    }
    if (!set) co_return fail(ErrorKind::usage, "'" + host + "' cannot be a TLS server's name");
    auto shaken = co_await handshake(deadline);
    if (!shaken || options.verify != TlsVerify::pin) co_return shaken;
    if (!equal_constant_time(peer_certificate_sha256(), options.pinned_sha256)) {
        close();
        co_return fail(ErrorKind::refused, "the peer's certificate is not the pinned one");
    }
    co_return Result<>{};
}

std::string SocketStream::tls_summary() const {
    if (!connection_->tls) return {};
    const SSL* native = connection_->tls->native();
    return std::string(SSL_get_version(native)) + " " + SSL_get_cipher_name(native);
}

std::string SocketStream::peer_certificate_sha256() const {
    if (!connection_->tls) return {};
    const SSL* native = connection_->tls->native();
    return certificate_digest(SSL_get0_peer_certificate(native));
}

Task<Result<>> SocketStream::shutdown(Deadline deadline) {
    auto connection = connection_;
    // Whether the peer answers does not matter: close_notify has been sent.
    auto step = connection->tls ? connection->tls->shutdown() : TlsChannel::Step{};
    while (step.state == State::wants_read || step.state == State::wants_write) {
        auto waited = co_await ready(connection, step.state, write_alarm_, deadline, "closing");
        if (!waited) break;
        step = connection->tls->shutdown();
    }
    error_code error;
    connection->socket.shutdown(Socket::shutdown_send, error);
    if (error) co_return network_error("closing", error, false);
    co_return Result<>{};
}

void SocketStream::close() {
    error_code ignored;
    connection_->socket.close(ignored);
}

bool SocketStream::peer_gone() const {
    pollfd state{connection_->socket.native_handle(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0;
}

}  // namespace

StreamPtr make_stream(Socket socket, std::string peer_address) {
    return std::make_unique<SocketStream>(std::move(socket), std::move(peer_address));
}

std::string address_text(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    if (address.is_v6()) {
        asio::ip::address_v6 plain = address.to_v6();
        plain.scope_id(0);
        return plain.to_string();
    }
    return address.to_string();
}

}  // namespace fwmail::net
