#include "service/disk_file.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/utf8.hpp"

namespace fwmail::service {

std::string shown(const std::filesystem::path& path) {
    std::string text = path.string();
    if (text.size() > 500) text = "..." + text.substr(text.size() - 500);
    if (is_plain_utf8(text)) return text;
    for (char& c : text)
        if (c < ' ' || c > '~') c = '?';
    return text;
}

Error DiskFile::error(std::string_view what) const {
    return {ErrorKind::refused, "cannot " + std::string(what) + ' ' + shown(path_) + ": " + strerror(errno)};
}

Result<std::shared_ptr<DiskFile>> DiskFile::open(const std::filesystem::path& path) {
    // O_NONBLOCK: a named pipe must not hold us up; it is refused below.
    std::shared_ptr<DiskFile> file(
        new DiskFile(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), path));
    struct stat status{};
    if (file->fd_ < 0 || ::fstat(file->fd_, &status) != 0) return fail(file->error("read"));
    if (!S_ISREG(status.st_mode)) return fail(ErrorKind::refused, shown(path) + " is no file");
    file->changed_ = UnixMillis{status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000};
    return file;
}

Result<std::shared_ptr<DiskFile>> DiskFile::create(const std::filesystem::path& path) {
    std::shared_ptr<DiskFile> file(
        new DiskFile(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), path));
    if (file->fd_ < 0) return fail(file->error("write"));
    return file;
}

DiskFile::~DiskFile() {
    if (fd_ >= 0) ::close(fd_);
}

Result<std::string> DiskFile::read() {
    std::string octets(piece, '\0');
    ssize_t got;
    do got = ::read(fd_, octets.data(), octets.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) return fail(error("read"));
    octets.resize(static_cast<std::size_t>(got));
    return octets;
}

Result<> DiskFile::write(std::string_view octets) {
    while (!octets.empty()) {
        ssize_t put = ::write(fd_, octets.data(), octets.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(error("write"));
        octets.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

Result<> DiskFile::finish(std::optional<UnixMillis> changed) {
    if (changed) {
        timespec time{changed->value / 1000, (changed->value % 1000) * 1'000'000};
        if (time.tv_nsec < 0) time = {time.tv_sec - 1, time.tv_nsec + 1'000'000'000};
        timespec both[2] = {time, time};
        if (::futimens(fd_, both) != 0) return fail(error("date"));
    }
    if (::fsync(fd_) != 0) return fail(error("write"));
    return {};
}

Result<> make_folder(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error || !std::filesystem::is_directory(path, error))
        return fail(ErrorKind::refused, "cannot make the folder " + shown(path));
    return {};
}

}  // namespace fwmail::service
