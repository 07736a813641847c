// systemd's two small protocols: sd_listen_fds(3), sd_notify(3).
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "net/listener.hpp"

namespace fwmail::net {
namespace {

constexpr int first_fd = 3;  // SD_LISTEN_FDS_START
constexpr int max_fds = 256;

int number_from(const char* name) {
    const char* text = std::getenv(name);
    int value = -1;
    if (text) std::from_chars(text, text + std::strlen(text), value);
    return value;
}

}  // namespace

std::vector<ActivatedSocket> take_activated_sockets() {
    std::vector<ActivatedSocket> sockets;
    int count = number_from("LISTEN_FDS");
    if (number_from("LISTEN_PID") == getpid() && count > 0 && count <= max_fds) {
        const char* given = std::getenv("LISTEN_FDNAMES");
        std::string_view names = given ? given : "";
        for (int fd = first_fd; fd < first_fd + count; ++fd) {
            std::string_view name = names.substr(0, names.find(':'));
            names.remove_prefix(std::min(name.size() + 1, names.size()));
            if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) continue;
            sockets.push_back({name.empty() ? "unknown" : std::string(name), fd});
        }
    }
    for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
    return sockets;
}

Result<> notify_service_manager(std::string_view state) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (!path || !*path) return {};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::size_t length = std::strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path)
        return fail(ErrorKind::usage, "NOTIFY_SOCKET is not a socket's path");
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail(ErrorKind::internal, std::string("NOTIFY_SOCKET: ") + std::strerror(errno));
    ssize_t sent =
        ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
    int error = errno;
    ::close(fd);
    if (sent < 0) return fail(ErrorKind::internal, std::string("NOTIFY_SOCKET: ") + std::strerror(error));
    return {};
}

}  // namespace fwmail::net
