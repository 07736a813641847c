// The one Stream there is over sockets, plain and TLS. The only place where Asio's TLS templates are
// instantiated.
#include "net/socket_stream.hpp"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>

#include "base/secret.hpp"
#include "net/dns.hpp"
#include "net/openssl_owned.hpp"
#include "net/runtime.hpp"
#include "net/tls_impl.hpp"

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace fwmail::net {
namespace {

// What is read in advance: little while nothing comes, as thousands of connections are idle; more while each
// read fills what there is.
constexpr std::size_t least_read_ahead = 2048, most_read_ahead = 32 << 10;

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

// Reading done in advance for wait_readable. Shared, as a pending read may outlive the stream's owner.
struct Connection {
    explicit Connection(Socket s) : socket(std::move(s)) {}

    Socket socket;
    std::shared_ptr<ssl::context> context;  // outlives tls
    std::optional<ssl::stream<Socket&>> tls;

    std::unique_ptr<char[]> ahead;
    std::size_t ahead_size = least_read_ahead, ahead_begin = 0, ahead_end = 0;
    bool ahead_pending = false;
    bool ahead_ready = false;  // octets, or ahead_error, not yet given to the reader
    error_code ahead_error;
    std::optional<Notifier> ahead_waiter;
};

// Octets' end, with or without close_notify.
bool is_end(error_code error) { return error == asio::error::eof || error == ssl::error::stream_truncated; }

std::unexpected<Error> network_error(const char* doing, error_code error, bool deadline_passed) {
    if (deadline_passed) return fail(ErrorKind::temporary, std::string(doing) + ": the peer took too long");
    bool tls = error.category() == asio::error::get_ssl_category();
    return fail(tls ? ErrorKind::protocol : ErrorKind::temporary,
                std::string(doing) + ": " + error.message());
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
    bool tls() const override { return connection_->tls.has_value(); }
    std::string tls_summary() const override;
    std::string peer_certificate_sha256() const override;
    std::string peer_address() const override { return peer_; }
    Task<Result<>> shutdown(Deadline deadline) override;
    void close() override;
    Executor executor() const override { return executor_; }

  private:
    void acknowledge();
    void start_ahead();
    Result<std::size_t> take_ahead(std::span<char> into);
    Result<> may_start_tls() const;
    Task<Result<>> handshake(ssl::stream_base::handshake_type type, Deadline deadline);

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
    if (connection->ahead_ready) co_return take_ahead(into);
    acknowledge();
    auto token = asio::bind_cancellation_slot(read_alarm_.arm(deadline), asio::as_tuple(asio::use_awaitable));
    error_code error;
    std::size_t count = 0;
    auto buffer = asio::buffer(into.data(), into.size());
    if (connection->tls)
        std::tie(error, count) = co_await connection->tls->async_read_some(buffer, token);
    else
        std::tie(error, count) = co_await connection->socket.async_read_some(buffer, token);
    bool late = read_alarm_.disarm();
    unanswered_ = count > 0;
    if (count > 0) co_return count;
    if (is_end(error)) co_return 0;
    co_return network_error("reading", error, late);
}

Task<Result<>> SocketStream::write_all(std::string_view octets, Deadline deadline) {
    auto connection = connection_;
    if (octets.empty()) co_return Result<>{};
    unanswered_ = false;
    auto token =
        asio::bind_cancellation_slot(write_alarm_.arm(deadline), asio::as_tuple(asio::use_awaitable));
    error_code error;
    std::size_t count = 0;
    auto buffer = asio::buffer(octets.data(), octets.size());
    if (connection->tls)
        std::tie(error, count) = co_await asio::async_write(*connection->tls, buffer, token);
    else
        std::tie(error, count) = co_await asio::async_write(connection->socket, buffer, token);
    bool late = write_alarm_.disarm();
    if (error) co_return network_error("writing", error, late);
    co_return Result<>{};
}

void SocketStream::start_ahead() {
    auto connection = connection_;
    connection->ahead = std::make_unique_for_overwrite<char[]>(connection->ahead_size);
    connection->ahead_pending = true;
    auto done = [connection](error_code error, std::size_t count) {
        connection->ahead_pending = false;
        connection->ahead_ready = true;
        connection->ahead_error = error;
        connection->ahead_begin = 0;
        connection->ahead_end = count;
        auto& size = connection->ahead_size;
        if (count == size)
            size = std::min(size * 4, most_read_ahead);
        else if (count < size / 4)
            size = least_read_ahead;
        if (connection->ahead_waiter) connection->ahead_waiter->poke();
    };
    auto buffer = asio::buffer(connection->ahead.get(), connection->ahead_size);
    if (connection->tls)
        connection->tls->async_read_some(buffer, done);
    else
        connection->socket.async_read_some(buffer, done);
}

Result<std::size_t> SocketStream::take_ahead(std::span<char> into) {
    Connection& c = *connection_;
    std::size_t count = std::min(into.size(), c.ahead_end - c.ahead_begin);
    std::copy_n(c.ahead.get() + c.ahead_begin, count, into.data());
    c.ahead_begin += count;
    unanswered_ = count > 0;
    if (c.ahead_begin < c.ahead_end) return count;
    c.ahead_ready = false;
    c.ahead.reset();  // thousands of idle connections do without
    if (count > 0) return count;
    error_code error = std::exchange(c.ahead_error, {});
    if (is_end(error)) return 0;
    return network_error("reading", error, false);
}

Task<Wake> SocketStream::wait_readable(Notifier& notifier, Deadline deadline) {
    auto connection = connection_;
    if (connection->ahead_ready) co_return Wake::readable;
    if (!connection->ahead_pending) {
        acknowledge();
        start_ahead();
    }
    connection->ahead_waiter.emplace(notifier);
    Notifier waiter = notifier;
    bool notified = co_await waiter.wait_or(connection->ahead_ready, deadline);
    connection->ahead_waiter.reset();
    if (notified) co_return Wake::notified;
    co_return connection->ahead_ready ? Wake::readable : Wake::deadline;
}

Result<> SocketStream::may_start_tls() const {
    if (connection_->tls) return fail(ErrorKind::protocol, "TLS is already on");
    // Read in the clear: to be answered after the handshake it would have to be trusted.
    if (connection_->ahead_ready || connection_->ahead_pending)
        return fail(ErrorKind::protocol, "octets in clear before the TLS handshake");
    return {};
}

Task<Result<>> SocketStream::handshake(ssl::stream_base::handshake_type type, Deadline deadline) {
    auto connection = connection_;
    auto token = asio::bind_cancellation_slot(read_alarm_.arm(deadline), asio::as_tuple(asio::use_awaitable));
    auto [error] = co_await connection->tls->async_handshake(type, token);
    bool late = read_alarm_.disarm();
    if (!error) co_return Result<>{};
    SSL* native = connection->tls->native_handle();
    long verdict = SSL_get_verify_result(native);
    if (type == ssl::stream_base::client && verdict != X509_V_OK &&
        (SSL_get_verify_mode(native) & SSL_VERIFY_PEER))
        co_return fail(ErrorKind::refused, std::string("the peer's certificate is not accepted: ") +
                                               X509_verify_cert_error_string(verdict));
    if (is_end(error)) co_return fail(ErrorKind::temporary, "the peer cut the TLS handshake short");
    co_return network_error("TLS handshake", error, late);
}

Task<Result<>> SocketStream::start_tls_server(std::shared_ptr<TlsServer> tls, Deadline deadline) {
    if (auto may = may_start_tls(); !may) co_return may;
    connection_->context = tls->impl().current();
    connection_->tls.emplace(connection_->socket, *connection_->context);
    co_return co_await handshake(ssl::stream_base::server, deadline);
}

Task<Result<>> SocketStream::start_tls_client(std::shared_ptr<TlsClient> tls, std::string host,
                                              Deadline deadline) {
    if (auto may = may_start_tls(); !may) co_return may;
    auto connection = connection_;
    const TlsClientOptions& options = tls->impl().options;
    connection->context = tls->impl().context;
    connection->tls.emplace(connection->socket, *connection->context);
    SSL* native = connection->tls->native_handle();
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
    auto shaken = co_await handshake(ssl::stream_base::client, deadline);
    if (!shaken || options.verify != TlsVerify::pin) co_return shaken;
    if (!equal_constant_time(peer_certificate_sha256(), options.pinned_sha256)) {
        close();
        co_return fail(ErrorKind::refused, "the peer's certificate is not the pinned one");
    }
    co_return Result<>{};
}

std::string SocketStream::tls_summary() const {
    if (!connection_->tls) return {};
    const SSL* native = const_cast<ssl::stream<Socket&>&>(*connection_->tls).native_handle();
    return std::string(SSL_get_version(native)) + " " + SSL_get_cipher_name(native);
}

std::string SocketStream::peer_certificate_sha256() const {
    if (!connection_->tls) return {};
    const SSL* native = const_cast<ssl::stream<Socket&>&>(*connection_->tls).native_handle();
    return certificate_digest(SSL_get0_peer_certificate(native));
}

Task<Result<>> SocketStream::shutdown(Deadline deadline) {
    auto connection = connection_;
    if (connection->tls && !connection->ahead_pending) {
        auto token =
            asio::bind_cancellation_slot(write_alarm_.arm(deadline), asio::as_tuple(asio::use_awaitable));
        // Whether the peer answers does not matter: close_notify has been sent.
        co_await connection->tls->async_shutdown(token);
        write_alarm_.disarm();
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
