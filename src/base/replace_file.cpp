#include "base/replace_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace fwmail {
namespace {

bool write_all(int fd, std::string_view octets) {
    while (!octets.empty()) {
        ssize_t n = ::write(fd, octets.data(), octets.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fsync(fd) == 0;
}

bool sync_folder(const std::filesystem::path& path) {
    auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool synced = ::fsync(fd) == 0;
    ::close(fd);
    return synced;
}

}  // namespace

Result<> replace_file(const std::filesystem::path& path, std::string_view octets, mode_t mode) {
    auto cannot = [&](ErrorKind kind) {
        return fail(kind, "cannot write " + path.string() + ": " + std::strerror(errno));
    };
    auto beside = path;
    beside += ".new";
    ::unlink(beside.c_str());  // what an interrupted attempt left
    int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) return cannot(ErrorKind::usage);
    bool written = write_all(fd, octets);
    int error = errno;
    ::close(fd);
    errno = error;
    if (!written || ::rename(beside.c_str(), path.c_str()) != 0 || !sync_folder(path))
        return cannot(ErrorKind::temporary);
    return {};
}

}  // namespace fwmail
