// Beast's WebSocket over our Stream. The only file that sees Beast, which costs a minute to compile.
#include "net/websocket.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <optional>
#include <utility>

#include "base/utf8.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

namespace fwmail::net {
namespace {

constexpr std::size_t header_limit = 4096;
constexpr std::size_t piece_size = 64 * 1024;
constexpr std::size_t fragment_size = 16 * 1024;
constexpr std::size_t longest_reason = 123;  // RFC 6455 5.5: 125 octets with the code
constexpr auto closing_time = std::chrono::seconds(3);

// Shared with operations that are under way when the WebSocket goes.
struct Connection {
    Connection(StreamPtr s, std::chrono::milliseconds silent) : stream(std::move(s)), silence(silent) {}

    StreamPtr stream;
    const std::chrono::milliseconds silence;
    Deadline until = no_deadline;
    std::optional<Error> error = {};  // the first: says more than an error_code does

    Deadline deadline() const { return std::min(until, deadline_after(silence)); }
    error_code note(Error what) {
        if (!error) error = std::move(what);
        return asio::error::connection_aborted;
    }
};
using Moved = std::pair<error_code, std::size_t>;

Task<Moved> read_into(std::shared_ptr<Connection> connection, asio::mutable_buffer into) {
    if (into.size() == 0) co_return Moved{};
    std::span<char> octets(static_cast<char*>(into.data()), into.size());
    auto got = co_await connection->stream->read_some(octets, connection->deadline());
    if (!got) co_return Moved{connection->note(std::move(got.error())), 0};
    if (*got == 0) co_return Moved{asio::error::eof, 0};
    co_return Moved{error_code(), *got};
}

Task<Moved> write_out(std::shared_ptr<Connection> connection, std::string octets) {
    auto written = co_await connection->stream->write_all(octets, connection->deadline());
    if (!written) co_return Moved{connection->note(std::move(written.error())), 0};
    co_return Moved{error_code(), octets.size()};
}

// What Beast takes for a socket. Its timers stay off: every read and write has a deadline here.
class Layer {
  public:
    using executor_type = Executor;

    explicit Layer(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

    executor_type get_executor() const { return connection_->stream->executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        asio::mutable_buffer first;
        for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it)
            if (first.size() == 0) first = *it;
        return start(read_into(connection_, first), std::forward<Token>(token));
    }
    // A frame's header and what it holds go out as one.
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        std::string octets;
        for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it) {
            asio::const_buffer part = *it;
            octets.append(static_cast<const char*>(part.data()),
                          std::min(part.size(), piece_size - octets.size()));
        }
        return start(write_out(connection_, std::move(octets)), std::forward<Token>(token));
    }

    friend void beast_close_socket(Layer& layer) { layer.connection_->stream->close(); }
    // The close frames have been said; nothing more is to come.
    template <class Handler>
    friend void async_teardown(beast::role_type, Layer& layer, Handler&& handler) {
        layer.connection_->stream->close();
        asio::post(layer.get_executor(),
                   [handler = std::forward<Handler>(handler)]() mutable { handler(error_code()); });
    }

  private:
    template <class Token>
    auto start(Task<Moved> task, Token&& token) {
        auto initiate = [executor = get_executor()](auto handler, Task<Moved> moving) {
            asio::co_spawn(executor, std::move(moving),
                           [handler = std::move(handler)](std::exception_ptr failed, Moved moved) mutable {
                               if (failed) moved = {asio::error::no_memory, 0};
                               std::move(handler)(moved.first, moved.second);
                           });
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(initiate, token, std::move(task));
    }

    std::shared_ptr<Connection> connection_;
};

using Socket = websocket::stream<Layer, false>;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// Whether a list of tokens (RFC 6455 11.3.4) has this one.
bool names(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        auto comma = list.find(',');
        auto word = list.substr(0, comma);
        auto first = word.find_first_not_of(" \t"), last = word.find_last_not_of(" \t");
        if (first != std::string_view::npos && word.substr(first, last - first + 1) == token) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
    return false;
}

std::string_view field(const auto& message, http::field name) {
    auto value = message[name];
    return {value.data(), value.size()};
}

}  // namespace

struct WebSocket::Impl {
    Impl(StreamPtr stream, const WebSocketOptions& options)
        : connection(std::make_shared<Connection>(std::move(stream), options.silence)), socket(connection) {
        socket.binary(true);
        socket.auto_fragment(true);
        socket.write_buffer_bytes(fragment_size);
        socket.read_message_max(options.max_message);
    }

    Error error_of(error_code code, const char* doing) {
        if (connection->error) return *connection->error;
        if (code == websocket::error::closed) {
            std::string text = "the peer has closed the WebSocket";
            auto why = socket.reason();
            std::string said(why.reason.data(), why.reason.size());
            if (!is_plain_utf8(said)) said.clear();  // it ends up on a terminal
            if (why.code) text += " (" + std::to_string(why.code) + (said.empty() ? "" : " " + said) + ")";
            return {ErrorKind::temporary, text};
        }
        if (code == websocket::error::message_too_big)
            return {ErrorKind::protocol, "the peer sent a message above the limit"};
        bool cut = code == asio::error::eof || code == asio::error::operation_aborted ||
                   code == asio::error::connection_aborted;
        if (cut) return {ErrorKind::temporary, "the connection was cut"};
        return {ErrorKind::protocol, std::string(doing) + ": " + code.message()};
    }

    std::shared_ptr<Connection> connection;
    Socket socket;
};

WebSocket::WebSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WebSocket::~WebSocket() { abort(); }

Task<Result<std::unique_ptr<WebSocket>>> WebSocket::accept(StreamPtr stream, WebSocketOptions options,
                                                           Deadline deadline) {
    auto impl = std::make_unique<Impl>(std::move(stream), options);
    auto& connection = *impl->connection;
    connection.until = deadline;
    auto buffer = std::make_unique<beast::flat_static_buffer<header_limit>>();
    http::request_parser<http::empty_body> parser;
    parser.header_limit(header_limit);
    auto [unread, read] =
        co_await http::async_read_header(impl->socket.next_layer(), *buffer, parser, as_result);
    if (unread) co_return fail(impl->error_of(unread, "WebSocket request"));
    const auto& request = parser.get();
    bool wanted = websocket::is_upgrade(request) && buffer->size() == 0 &&
                  names(field(request, http::field::sec_websocket_protocol), options.subprotocol);
    if (!wanted) {
        std::string refusal =
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n";
        (void)co_await connection.stream->write_all(refusal, connection.deadline());
        (void)co_await connection.stream->shutdown(connection.deadline());
        co_return fail(ErrorKind::refused, "the request is not for a WebSocket of " + options.subprotocol);
    }
    impl->socket.set_option(websocket::stream_base::decorator(
        [protocol = options.subprotocol](websocket::response_type& response) {
            response.set(http::field::server, "fwmail");  // without, Beast would tell its version
            response.set(http::field::sec_websocket_protocol, protocol);
        }));
    auto [unaccepted] = co_await impl->socket.async_accept(request, as_result);
    if (unaccepted) co_return fail(impl->error_of(unaccepted, "WebSocket"));
    co_return std::unique_ptr<WebSocket>(new WebSocket(std::move(impl)));
}

Task<Result<std::unique_ptr<WebSocket>>> WebSocket::connect(StreamPtr stream, std::string host,
                                                            WebSocketOptions options, Deadline deadline) {
    auto impl = std::make_unique<Impl>(std::move(stream), options);
    impl->connection->until = deadline;
    impl->socket.set_option(
        websocket::stream_base::decorator([protocol = options.subprotocol](websocket::request_type& request) {
            request.set(http::field::user_agent, "fwmail");
            request.set(http::field::sec_websocket_protocol, protocol);
        }));
    websocket::response_type response;
    auto [failed] = co_await impl->socket.async_handshake(response, host, "/", as_result);
    if (failed == websocket::error::upgrade_declined)
        co_return fail(ErrorKind::refused, "the peer answers " + std::to_string(response.result_int()) +
                                               " to a WebSocket of " + options.subprotocol);
    if (failed) co_return fail(impl->error_of(failed, "WebSocket"));
    if (field(response, http::field::sec_websocket_protocol) != options.subprotocol)
        co_return fail(ErrorKind::refused, "the peer has a WebSocket, but not of " + options.subprotocol);
    co_return std::unique_ptr<WebSocket>(new WebSocket(std::move(impl)));
}

const Stream& WebSocket::stream() const { return *impl_->connection->stream; }

void WebSocket::set_max_message(std::size_t octets) { impl_->socket.read_message_max(octets); }

void WebSocket::set_deadline(Deadline deadline) { impl_->connection->until = deadline; }

Task<Result<WebSocket::Piece>> WebSocket::read_some() {
    auto& impl = *impl_;
    Piece piece;
    piece.octets.resize(piece_size);
    auto into = asio::buffer(piece.octets);
    auto [failed, count] = co_await impl.socket.async_read_some(into, as_result);
    if (failed) co_return fail(impl.error_of(failed, "WebSocket"));
    if (!impl.socket.got_binary())
        co_return fail(ErrorKind::protocol, "the peer sent text where octets are expected");
    piece.octets.resize(count);
    piece.last = impl.socket.is_message_done();
    co_return piece;
}

Task<Result<std::string>> WebSocket::read() {
    std::string message;
    for (;;) {
        auto piece = co_await read_some();
        if (!piece) co_return std::unexpected(std::move(piece.error()));
        message += piece->octets;
        if (piece->last) co_return message;
    }
}

Task<Result<>> WebSocket::write(std::string_view message) {
    auto octets = asio::buffer(message.data(), message.size());
    auto [failed, count] = co_await impl_->socket.async_write(octets, as_result);
    if (failed) co_return fail(impl_->error_of(failed, "WebSocket"));
    co_return Result<>{};
}

Task<Result<>> WebSocket::ping() {
    auto [failed] = co_await impl_->socket.async_ping({}, as_result);
    if (failed) co_return fail(impl_->error_of(failed, "WebSocket"));
    co_return Result<>{};
}

Task<> WebSocket::close(CloseCode code, std::string reason) {
    reason.resize(std::min(reason.size(), longest_reason));
    while (!is_utf8(reason)) reason.pop_back();
    auto connection = impl_->connection;
    asio::steady_timer timer(connection->stream->executor(), closing_time);
    timer.async_wait([connection](error_code error) {
        if (!error) connection->stream->close();
    });
    websocket::close_reason why(static_cast<websocket::close_code>(code), reason);
    (void)co_await impl_->socket.async_close(why, as_result);
    timer.cancel();
    connection->stream->close();
}

void WebSocket::abort() { impl_->connection->stream->close(); }

}  // namespace fwmail::net
