#include "net/line_client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fwmail::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t longest_line = 64 * 1024;
constexpr std::size_t most_octets = 256u << 20;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

std::unexpected<Error> system_failure(const std::string& what) {
    return fail(ErrorKind::temporary, what + ": " + std::strerror(errno));
}

Result<> wait_for(int fd, short events, steady_clock::time_point deadline) {
    while (true) {
        auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
        pollfd wanted{fd, events, 0};
        int ready = ::poll(&wanted, 1, static_cast<int>(std::clamp<long long>(left.count(), 0, 3'600'000)));
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return system_failure("poll");
        if (ready == 0 && steady_clock::now() >= deadline)
            return fail(ErrorKind::temporary, "the server did not answer in time");
    }
}

}  // namespace

LineClient::LineClient(LineClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      patience_(other.patience_),
      buffer_(std::move(other.buffer_)),
      used_(other.used_) {}

LineClient& LineClient::operator=(LineClient&& other) noexcept {
    std::swap(fd_, other.fd_);
    patience_ = other.patience_;
    buffer_ = std::move(other.buffer_);
    used_ = other.used_;
    return *this;
}

LineClient::~LineClient() {
    if (fd_ >= 0) ::close(fd_);
}

Result<LineClient> LineClient::connect_loopback(std::uint16_t port, milliseconds patience) {
    std::string where = "port " + std::to_string(port);
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return system_failure(where);
    LineClient client(fd, patience);
    sockaddr_in address = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return client;
    if (errno != EINPROGRESS) return system_failure(where);
    TRY(wait_for(fd, POLLOUT, steady_clock::now() + patience));
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return system_failure(where);
    errno = error;
    if (error != 0) return system_failure(where);
    return client;
}

Result<> LineClient::fill(Time deadline) {
    if (used_ > 0) {
        buffer_.erase(0, used_);
        used_ = 0;
    }
    while (true) {
        TRY(wait_for(fd_, POLLIN, deadline));
        char piece[16 * 1024];
        ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
        if (got > 0) {
            buffer_.append(piece, static_cast<std::size_t>(got));
            return {};
        }
        if (got == 0) return fail(ErrorKind::temporary, "the server closed the connection");
        if (errno != EAGAIN && errno != EINTR) return system_failure("reading");
    }
}

Result<std::string> LineClient::read_line() {
    auto deadline = steady_clock::now() + patience_;
    std::size_t looked = used_;
    while (true) {
        std::size_t end = buffer_.find('\n', looked);
        if (end != std::string::npos) {
            std::string line = buffer_.substr(used_, end - used_);
            used_ = end + 1;
            if (line.ends_with('\r')) line.pop_back();
            return line;
        }
        if (buffer_.size() - used_ > longest_line)
            return fail(ErrorKind::protocol, "the server sent a line without an end");
        looked = buffer_.size() - used_;  // where fill() moves it to
        TRY(fill(deadline));
    }
}

Result<std::string> LineClient::read_octets(std::size_t count) {
    if (count > most_octets) return fail(ErrorKind::protocol, "the server announced too many octets");
    auto deadline = steady_clock::now() + patience_;
    std::string octets;
    while (true) {
        std::size_t take = std::min(count - octets.size(), buffer_.size() - used_);
        octets.append(buffer_, used_, take);
        used_ += take;
        if (octets.size() == count) return octets;
        TRY(fill(deadline));
    }
}

Result<> LineClient::write(std::string_view octets) {
    auto deadline = steady_clock::now() + patience_;
    while (!octets.empty()) {
        ssize_t put = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (put > 0)
            octets.remove_prefix(static_cast<std::size_t>(put));
        else if (errno == EAGAIN)
            TRY(wait_for(fd_, POLLOUT, deadline));
        else if (errno != EINTR)
            return system_failure("writing");
    }
    return {};
}

Result<std::vector<std::uint16_t>> free_loopback_ports(std::size_t count) {
    // All are bound before the first is let go, or the kernel could give one twice.
    std::vector<int> sockets;
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < count; ++i) {
        int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) break;
        sockets.push_back(fd);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            break;
        ports.push_back(ntohs(address.sin_port));
    }
    int error = errno;
    for (int fd : sockets) ::close(fd);
    if (ports.size() == count) return ports;
    errno = error;
    return system_failure("no free port on 127.0.0.1");
}

}  // namespace fwmail::net
