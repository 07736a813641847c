// Accepting, with limits.
#include "net/listener.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "net/socket_stream.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;
using local = asio::local::stream_protocol;
using boost::system::error_code;

namespace fwmail::net {
namespace {

bool out_of_descriptors(error_code error) {
    return error == boost::system::errc::too_many_files_open ||
           error == boost::system::errc::too_many_files_open_in_system ||
           error == boost::system::errc::no_buffer_space || error == boost::system::errc::not_enough_memory;
}

}  // namespace

struct Listener::Impl {
    Impl(Runtime& r, ListenerOptions o, SessionHandler h)
        : runtime(r), options(std::move(o)), handler(std::move(h)) {}

    Runtime& runtime;
    const ListenerOptions options;
    const SessionHandler handler;
    HostPort bound;
    std::filesystem::path path;      // of a unix socket
    std::optional<UnixSocket> file;  // that is ours to take away
    std::atomic<bool> stopped = false;
    // Of the acceptor in the accept loop, as what lies here may outlive the runtime; on the main executor
    // only, and so is the next one.
    std::function<void()> close_acceptor;
    Deadline quiet_until{};  // that somebody was turned away is in the log

    mutable std::mutex mutex;
    std::size_t count = 0;
    std::unordered_map<std::string, std::size_t> per_address;

    bool admit(const std::string& key) {
        std::scoped_lock lock(mutex);
        if (count >= options.max_connections) return false;
        std::size_t& mine = per_address[key];
        if (mine >= options.max_connections_per_address) {
            if (mine == 0) per_address.erase(key);
            return false;
        }
        ++mine;
        ++count;
        return true;
    }
    void leave(const std::string& key) {
        std::scoped_lock lock(mutex);
        --count;
        if (auto it = per_address.find(key); it != per_address.end() && --it->second == 0)
            per_address.erase(it);
    }
};

namespace {

// Counts a connection for as long as it lives, and it lives inside.
template <class ListenerImpl>
struct Admitted {
    std::shared_ptr<ListenerImpl> listener;
    std::string key;
    Admitted(std::shared_ptr<ListenerImpl> l, std::string k) : listener(std::move(l)), key(std::move(k)) {}
    Admitted(Admitted&& other) noexcept = default;
    ~Admitted() {
        if (listener) listener->leave(key);
    }
};

template <class ListenerImpl>
Task<> run_session(Admitted<ListenerImpl> admitted, StreamPtr stream) {
    const ListenerOptions& options = admitted.listener->options;
    if (options.implicit_tls) {
        auto shaken =
            co_await stream->start_tls_server(options.implicit_tls, deadline_after(options.handshake_time));
        if (!shaken) {
            admitted.listener->runtime.log().debug(options.name,
                                                   stream->peer_address() + ": " + shaken.error().text);
            co_return;
        }
    }
    co_await admitted.listener->handler(std::move(stream));
}

// What fits into the socket's buffer is said; nobody waits for whom is turned away.
template <class Accepted>
void turn_away(Accepted& socket, const ListenerOptions& options) {
    error_code ignored;
    socket.non_blocking(true, ignored);
    if (!options.implicit_tls && !options.farewell.empty())
        socket.send(asio::buffer(options.farewell), 0, ignored);
    socket.shutdown(asio::socket_base::shutdown_send, ignored);
    socket.close(ignored);
}

std::string peer_text(const tcp::endpoint& peer) { return address_text(peer.address()); }
std::string peer_text(const local::endpoint&) { return "local"; }

// One line in the log for a while, whoever comes.
template <class ListenerImpl>
void note_turned_away(ListenerImpl& impl, const std::string& peer) {
    if (std::chrono::steady_clock::now() < impl.quiet_until) return;
    impl.runtime.log().warning(impl.options.name, "too many connections: turned away " + peer +
                                                      "; others are not logged for ten minutes");
    impl.quiet_until = deadline_after(std::chrono::minutes(10));
}

template <class ListenerImpl, class Accepted, class Endpoint>
void take_in(const std::shared_ptr<ListenerImpl>& impl, Accepted socket, Endpoint peer_endpoint) {
    std::string peer = peer_text(peer_endpoint);
    std::string key = limited_as(peer);
    if (!impl->admit(key)) {
        note_turned_away(*impl, peer);
        return turn_away(socket, impl->options);
    }
    Admitted<ListenerImpl> admitted(impl, std::move(key));
    error_code ignored;  // a unix socket has neither
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    Executor executor = socket.get_executor();
    StreamPtr stream = make_stream(Socket(std::move(socket)), std::move(peer));
    impl->runtime.spawn_on(executor, impl->options.name, run_session(std::move(admitted), std::move(stream)));
}

template <class ListenerImpl, class Acceptor>
Task<> accept_loop(std::shared_ptr<ListenerImpl> impl, Acceptor acceptor) {
    struct Lent {
        ListenerImpl& impl;
        ~Lent() { impl.close_acceptor = nullptr; }
    } lent{*impl};
    impl->close_acceptor = [&acceptor] {
        error_code ignored;
        acceptor.close(ignored);
    };
    Deadline quiet_until{};
    while (!impl->stopped) {
        typename Acceptor::endpoint_type peer;
        auto [error, socket] = co_await acceptor.async_accept(impl->runtime.next_executor(), peer,
                                                              asio::as_tuple(asio::use_awaitable));
        if (!error) {
            try {
                take_in(impl, std::move(socket), peer);
            } catch (const std::exception& e) {  // no memory: costs this connection only
                impl->runtime.log().error(impl->options.name, std::string("connection lost: ") + e.what());
            }
            continue;
        }
        if (impl->stopped || error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
            break;
        // Out of descriptors: the connection stays in the kernel's queue and the loop would spin (accept(2)).
        if (std::chrono::steady_clock::now() >= quiet_until) {
            impl->runtime.log().warning(impl->options.name, "cannot accept: " + error.message());
            quiet_until = deadline_after(std::chrono::seconds(30));
        }
        if (out_of_descriptors(error)) co_await sleep_for(std::chrono::milliseconds(100));
    }
}

std::unexpected<Error> listen_error(const HostPort& address, const char* what, error_code error) {
    std::string text = "cannot " + std::string(what) + " " + address.text() + ": " + error.message();
    if (error == asio::error::access_denied) text += "; ports below 1024 need CAP_NET_BIND_SERVICE";
    if (error == asio::error::address_in_use) text += "; another program listens there";
    return fail(ErrorKind::usage, text);
}

Result<> open_acceptor(tcp::acceptor& acceptor, const HostPort& at) {
    bool all = at.host == "*" || at.host.empty();
    std::string host = all ? "::" : at.host == "localhost" ? "127.0.0.1" : numeric_address(at.host);
    if (host.empty())
        return fail(ErrorKind::usage,
                    "'" + at.host + "' is not an address to listen on; write it in numbers, or *");
    auto address = asio::ip::make_address(host);
    error_code error;
    acceptor.open(address.is_v6() ? tcp::v6() : tcp::v4(), error);
    if (error && all) {  // a machine without IPv6
        address = asio::ip::address_v4::any();
        acceptor.open(tcp::v4(), error);
    }
    if (error) return listen_error(at, "listen on", error);
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (address.is_v6()) acceptor.set_option(asio::ip::v6_only(!all), error);
    acceptor.bind({address, at.port}, error);
    if (error) return listen_error(at, "bind to", error);
    acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return listen_error(at, "listen on", error);
    return {};
}

// Takes the descriptor over.
template <class ListenerImpl>
Result<> start_unix(const std::shared_ptr<ListenerImpl>& impl, int fd) {
    error_code error;
    local::acceptor acceptor(impl->runtime.main_executor());
    acceptor.assign(local(), fd, error);
    if (error) {
        ::close(fd);
        return fail(ErrorKind::internal, impl->path.string() + ": " + error.message());
    }
    impl->runtime.spawn_on(impl->runtime.main_executor(), impl->options.name + " listener",
                           accept_loop(impl, std::move(acceptor)));
    return {};
}

}  // namespace

Listener::Listener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() { stop(); }

Result<std::shared_ptr<Listener>> Listener::open(Runtime& runtime, HostPort address, ListenerOptions options,
                                                 SessionHandler handler) {
    auto impl = std::make_shared<Impl>(runtime, std::move(options), std::move(handler));
    tcp::acceptor acceptor(runtime.main_executor());
    TRY(open_acceptor(acceptor, address));
    impl->bound = {address.host, acceptor.local_endpoint().port()};
    runtime.spawn_on(runtime.main_executor(), impl->options.name + " listener",
                     accept_loop(impl, std::move(acceptor)));
    return std::shared_ptr<Listener>(new Listener(impl));
}

Result<std::shared_ptr<Listener>> Listener::adopt(Runtime& runtime, int fd, ListenerOptions options,
                                                  SessionHandler handler) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    int listening = 0;
    socklen_t listening_size = sizeof listening;
    bool good =
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0 &&
        (storage.ss_family == AF_INET || storage.ss_family == AF_INET6 || storage.ss_family == AF_UNIX) &&
        ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) == 0 && listening;
    if (!good) {
        ::close(fd);
        return fail(ErrorKind::usage,
                    "socket '" + options.name + "' from the service manager does not listen");
    }
    auto impl = std::make_shared<Impl>(runtime, std::move(options), std::move(handler));
    if (storage.ss_family == AF_UNIX) {
        impl->path = reinterpret_cast<const sockaddr_un&>(storage).sun_path;
        TRY(start_unix(impl, fd));
        return std::shared_ptr<Listener>(new Listener(impl));
    }
    error_code error;
    tcp::acceptor acceptor(runtime.main_executor());
    acceptor.assign(storage.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
    if (error) return fail(ErrorKind::internal, "socket from the service manager: " + error.message());
    tcp::endpoint local = acceptor.local_endpoint();
    impl->bound = {address_text(local.address()), local.port()};
    runtime.spawn_on(runtime.main_executor(), impl->options.name + " listener",
                     accept_loop(impl, std::move(acceptor)));
    return std::shared_ptr<Listener>(new Listener(impl));
}

Result<std::shared_ptr<Listener>> Listener::open_unix(Runtime& runtime, UnixPlace place,
                                                      ListenerOptions options, SessionHandler handler) {
    auto impl = std::make_shared<Impl>(runtime, std::move(options), std::move(handler));
    impl->file = TRY(listen_unix(place));
    impl->path = place.path;
    TRY(start_unix(impl, impl->file->fd));
    return std::shared_ptr<Listener>(new Listener(impl));
}

HostPort Listener::address() const { return impl_->bound; }
std::string Listener::place() const {
    return impl_->path.empty() ? impl_->bound.text() : "unix:" + impl_->path.string();
}
const std::string& Listener::name() const { return impl_->options.name; }

std::size_t Listener::connections() const {
    std::scoped_lock lock(impl_->mutex);
    return impl_->count;
}

void Listener::stop() {
    if (impl_->stopped.exchange(true)) return;
    asio::post(impl_->runtime.main_executor(), [impl = impl_] {
        if (impl->close_acceptor) impl->close_acceptor();
    });
    if (impl_->file) remove_unix(impl_->path, *impl_->file);
}

}  // namespace fwmail::net
