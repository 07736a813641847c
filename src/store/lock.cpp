#include "store/lock.hpp"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fwmail::store {
namespace {

Result<void> make_directory(const std::filesystem::path& path) {
    std::error_code code;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), code);
    if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
        if (std::filesystem::is_directory(path, code)) return {};
        return fail(ErrorKind::usage, path.string() + " is not a directory");
    }
    return fail(ErrorKind::usage, "making the directory " + path.string() + " failed: " + strerror(errno));
}

}  // namespace

Result<void> prepare_data_dir(const std::filesystem::path& data_dir) {
    TRY(make_directory(data_dir));
    return make_directory(data_dir / "accounts");
}

Result<Lock> Lock::take(const std::filesystem::path& data_dir) {
    auto path = data_dir / "lock";
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(ErrorKind::usage, "opening " + path.string() + " failed: " + strerror(errno));
    Lock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fail(ErrorKind::internal, "locking " + path.string() + " failed: " + strerror(errno));
        char holder[24] = {};
        ssize_t size = ::pread(fd, holder, sizeof holder - 1, 0);
        std::string who = size > 0 ? " (process " + std::string(holder, strcspn(holder, "\n")) + ")" : "";
        return fail(ErrorKind::temporary, data_dir.string() + " is in use by another fwmail" + who);
    }
    std::string pid = std::to_string(::getpid()) + "\n";
    // For the message above only, so that a failure does not matter.
    if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, pid.data(), pid.size(), 0);
    return lock;
}

Lock& Lock::operator=(Lock&& other) noexcept {
    if (this != &other) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = other.fd_;
        other.fd_ = -1;
    }
    return *this;
}

Lock::~Lock() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace fwmail::store
