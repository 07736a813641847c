// Files of import and export: opened, read and written on store threads, so that no I/O thread waits for the
// disk.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "service/node.hpp"

namespace fwmail::service {

// Runs `job`, a Result<T>(), on a store thread.
template <class Job>
auto on_disk(Node& node, Job job) {
    auto run = [job = std::move(job)](store::SystemStore&) mutable { return job(); };
    return node.read(store::system_file, std::move(run));
}

class DiskFile {
  public:
    static constexpr std::size_t piece = 256 * 1024;

    // Regular files only.
    static Result<std::shared_ptr<DiskFile>> open(const std::filesystem::path& path);
    // A new file, 0600; refused when there is one.
    static Result<std::shared_ptr<DiskFile>> create(const std::filesystem::path& path);
    ~DiskFile();

    // At most `piece` octets; empty at the end.
    Result<std::string> read();
    Result<> write(std::string_view octets);
    // Durable, with this time of change where it is given.
    Result<> finish(std::optional<UnixMillis> changed);
    UnixMillis changed() const { return changed_; }

  private:
    DiskFile(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
    Error error(std::string_view what) const;
    int fd_;
    std::filesystem::path path_;
    UnixMillis changed_;
};

// Text out of a path, for messages: plain, and bounded.
std::string shown(const std::filesystem::path& path);
Result<> make_folder(const std::filesystem::path& path);

}  // namespace fwmail::service
