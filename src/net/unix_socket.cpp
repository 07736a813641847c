#include "net/unix_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

namespace fwmail::net {
namespace {

std::string system_error(const std::filesystem::path& path, const char* what) {
    return path.string() + ": " + what + ": " + std::strerror(errno);
}

// From /etc/group itself: getgrnam(3) loads shared objects, which a static executable must not.
Result<gid_t> group_id(const std::string& name) {
    gid_t id = 0;
    auto number = [&](std::string_view text) {
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
        return error == std::errc() && end == text.data() + text.size() && !text.empty();
    };
    if (number(name)) return id;
    std::ifstream file("/etc/group");
    for (std::string line; std::getline(file, line);) {  // name:password:id:members
        if (!line.starts_with(name + ":")) continue;
        std::size_t begin = line.find(':', name.size() + 1);
        if (begin == std::string::npos) continue;
        if (number(std::string_view(line).substr(begin + 1, line.find(':', begin + 1) - begin - 1)))
            return id;
    }
    return fail(ErrorKind::usage, "there is no group '" + name + "' in /etc/group");
}

bool answers(const sockaddr_un& address) {
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    // EAGAIN: its queue is full.
    bool there =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
    ::close(fd);
    return there;
}

Result<> make_way(const std::filesystem::path& path, const sockaddr_un& address) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode)) return fail(ErrorKind::usage, path.string() + " is there and is no socket");
    if (answers(address)) return fail(ErrorKind::usage, path.string() + ": another program listens there");
    ::unlink(path.c_str());
    return {};
}

}  // namespace

Result<sockaddr_un> unix_address(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& text = path.native();
    if (text.empty() || text.size() >= sizeof address.sun_path)
        return fail(ErrorKind::usage, "'" + text + "' is too long for a unix socket; use a shorter path");
    std::memcpy(address.sun_path, text.data(), text.size());
    return address;
}

Result<UnixSocket> listen_unix(const UnixPlace& place) {
    sockaddr_un address = TRY(unix_address(place.path));
    gid_t group = place.group.empty() ? static_cast<gid_t>(-1) : TRY(group_id(place.group));
    TRY(make_way(place.path, address));
    UnixSocket out;
    out.fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out.fd < 0) return fail(ErrorKind::internal, system_error(place.path, "socket"));
    // Linux gives the file the mode of the socket, less the umask; it listens last.
    const char* path = place.path.c_str();
    bool good = ::fchmod(out.fd, 0600) == 0 &&
                ::bind(out.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                (place.group.empty() || ::lchown(path, static_cast<uid_t>(-1), group) == 0) &&
                ::chmod(path, place.mode) == 0 && ::lstat(path, &out.file) == 0 &&
                ::listen(out.fd, SOMAXCONN) == 0;
    if (good) return out;
    auto error = fail(ErrorKind::usage, system_error(place.path, "cannot listen"));
    ::close(out.fd);
    return error;
}

void remove_unix(const std::filesystem::path& path, const UnixSocket& socket) {
    struct stat now{};
    if (::lstat(path.c_str(), &now) == 0 && now.st_dev == socket.file.st_dev &&
        now.st_ino == socket.file.st_ino)
        ::unlink(path.c_str());
}

}  // namespace fwmail::net
