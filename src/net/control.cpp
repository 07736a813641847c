// The control socket, both ends.
#include "net/control.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <vector>

#include "base/secret.hpp"
#include "net/socket_stream.hpp"
#include "net/unix_socket.hpp"

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;

namespace fwmail::net {

struct ControlServer::Impl {
    Impl(Runtime& r, std::filesystem::path p, ControlHandler h)
        : runtime(r), path(std::move(p)), handler(std::move(h)) {}
    Runtime& runtime;
    const std::filesystem::path path;
    const ControlHandler handler;
    std::atomic<bool> stopped = false;
    std::mutex mutex;
    std::list<Notifier> connections;                // told of the stop
    stream_protocol::acceptor* acceptor = nullptr;  // in the accept loop; main executor only
};

namespace {

constexpr std::size_t max_connections = 64;
constexpr auto write_time = std::chrono::seconds(30);

std::string system_error(const std::filesystem::path& path, const char* what) {
    return path.string() + ": " + what + ": " + std::strerror(errno);
}

bool peer_may_control(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == 0 || peer.uid == ::geteuid();
}

// Takes the first whole line off `pending`; reads as long as there is none. Nothing: the end, the server's
// stop, or too long a line.
Task<std::optional<std::string>> read_line(Stream& stream, Notifier stop, std::string& pending) {
    std::size_t searched = 0;
    std::vector<char> buffer(4096);
    for (;;) {
        if (std::size_t end = pending.find('\n', searched); end != std::string::npos) {
            std::string line = pending.substr(0, end);
            pending.erase(0, end + 1);
            co_return line;
        }
        searched = pending.size();
        if (pending.size() > max_control_line) co_return std::nullopt;
        Wake wake = co_await stream.wait_readable(stop, deadline_after(std::chrono::minutes(5)));
        if (wake != Wake::readable) co_return std::nullopt;
        auto count = co_await stream.read_some(buffer, no_deadline);
        if (!count || *count == 0) co_return std::nullopt;
        pending.append(buffer.data(), *count);
    }
}

Task<Result<>> send_line(Stream* stream, std::string line) {
    if (line.empty() || line.find('\n') != std::string::npos)
        co_return fail(ErrorKind::internal, "a control reply has to be one line");
    line += '\n';
    auto written = co_await stream->write_all(line, deadline_after(write_time));
    wipe(line);  // it may hold a key
    co_return written;
}

// A connection's entry in the server's list.
template <class ServerImpl>
struct Registered {
    ServerImpl& impl;
    Notifier stop;
    std::list<Notifier>::iterator entry;

    Registered(ServerImpl& i, Executor executor) : impl(i), stop(std::move(executor)) {
        std::scoped_lock lock(impl.mutex);
        entry = impl.connections.insert(impl.connections.end(), stop);
    }
    ~Registered() {
        std::scoped_lock lock(impl.mutex);
        impl.connections.erase(entry);
    }
};

template <class ServerImpl>
bool is_full(ServerImpl& impl) {
    std::scoped_lock lock(impl.mutex);
    return impl.connections.size() >= max_connections;
}

template <class ServerImpl>
Task<> serve(std::shared_ptr<ServerImpl> impl, StreamPtr stream) {
    Registered<ServerImpl> registered(*impl, stream->executor());
    std::string pending;
    ControlReply reply = [s = stream.get()](std::string line) { return send_line(s, std::move(line)); };
    while (!impl->stopped) {
        std::optional<std::string> line = co_await read_line(*stream, registered.stop, pending);
        if (!line) co_return;
        co_await impl->handler(std::move(*line), reply);
        auto ended = co_await stream->write_all("\n", deadline_after(write_time));
        if (!ended) co_return;
    }
}

template <class ServerImpl>
Task<> accept_loop(std::shared_ptr<ServerImpl> impl, stream_protocol::acceptor acceptor) {
    struct Lent {
        ServerImpl& impl;
        ~Lent() { impl.acceptor = nullptr; }
    } lent{*impl};
    impl->acceptor = &acceptor;
    Deadline quiet_until{};
    while (!impl->stopped) {
        auto [error, socket] = co_await acceptor.async_accept(impl->runtime.next_executor(),
                                                              asio::as_tuple(asio::use_awaitable));
        if (impl->stopped) break;
        if (error) {
            if (std::chrono::steady_clock::now() >= quiet_until) {
                impl->runtime.log().warning("control", "cannot accept: " + error.message());
                quiet_until = deadline_after(std::chrono::seconds(30));
            }
            co_await sleep_for(std::chrono::milliseconds(100));
            continue;
        }
        if (!peer_may_control(socket.native_handle()) || is_full(*impl)) continue;
        Executor executor = socket.get_executor();
        StreamPtr stream = make_stream(Socket(std::move(socket)), "local");
        impl->runtime.spawn_on(executor, "control", serve(impl, std::move(stream)));
    }
}

// A descriptor that closes itself, for the blocking end.
struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

Result<> send_request(int fd, std::string_view text, const std::filesystem::path& path) {
    while (!text.empty()) {
        ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(ErrorKind::temporary, system_error(path, "cannot be written to"));
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<std::size_t> receive(int fd, std::span<char> into, const std::filesystem::path& path,
                            std::chrono::milliseconds idle) {
    for (;;) {
        pollfd waiting{fd, POLLIN, 0};
        int ready = ::poll(&waiting, 1, static_cast<int>(std::min<long long>(idle.count(), 1 << 30)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0)
            return fail(ErrorKind::temporary, path.string() + ": the running role does not answer");
        ssize_t n = ::recv(fd, into.data(), into.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(ErrorKind::temporary, system_error(path, "cannot be read"));
        return static_cast<std::size_t>(n);
    }
}

}  // namespace

ControlServer::ControlServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() { stop(); }

Result<std::shared_ptr<ControlServer>> ControlServer::open(Runtime& runtime, std::filesystem::path path,
                                                           ControlHandler handler) {
    int fd = TRY(listen_unix({path})).fd;
    stream_protocol::acceptor acceptor(runtime.main_executor());
    error_code error;
    acceptor.assign(stream_protocol(), fd, error);
    if (error) {
        ::close(fd);
        return fail(ErrorKind::internal, path.string() + ": " + error.message());
    }
    auto impl = std::make_shared<Impl>(runtime, std::move(path), std::move(handler));
    runtime.spawn_on(runtime.main_executor(), "control", accept_loop(impl, std::move(acceptor)));
    return std::shared_ptr<ControlServer>(new ControlServer(impl));
}

void ControlServer::stop() {
    if (impl_->stopped.exchange(true)) return;
    ::unlink(impl_->path.c_str());
    {
        std::scoped_lock lock(impl_->mutex);
        for (auto& connection : impl_->connections) connection.notify();
    }
    asio::post(impl_->runtime.main_executor(), [impl = impl_] {
        error_code ignored;
        if (impl->acceptor) impl->acceptor->close(ignored);
    });
}

Result<> control_request(const std::filesystem::path& path, std::string_view request,
                         const std::function<bool(std::string_view)>& on_line,
                         std::chrono::milliseconds idle) {
    if (request.empty() || request.find('\n') != std::string_view::npos || request.size() > max_control_line)
        return fail(ErrorKind::internal, "a control request has to be one line");
    sockaddr_un address = TRY(unix_address(path));
    Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (socket.fd < 0) return fail(ErrorKind::internal, system_error(path, "socket"));
    if (::connect(socket.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return fail(ErrorKind::refused, path.string() + ": no running role answers here");
        return fail(ErrorKind::temporary, system_error(path, "cannot connect"));
    }
    TRY(send_request(socket.fd, std::string(request) + "\n", path));
    std::string pending;
    std::vector<char> buffer(65536);
    for (std::size_t searched = 0;;) {
        std::size_t end = pending.find('\n', searched);
        if (end == std::string::npos) {
            searched = pending.size();
            std::size_t count = TRY(receive(socket.fd, buffer, path, idle));
            if (count == 0) return fail(ErrorKind::temporary, path.string() + ": the running role hung up");
            pending.append(buffer.data(), count);
            continue;
        }
        std::string line = pending.substr(0, end);
        pending.erase(0, end + 1);
        searched = 0;
        if (line.empty() || !on_line(line)) return {};
    }
}

}  // namespace fwmail::net
