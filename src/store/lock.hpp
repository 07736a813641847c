// The data directory: its folders, and the lock that whoever opens it for writing holds.
#pragma once

#include <filesystem>

#include "base/result.hpp"

namespace fwmail::store {

// Makes the directory and its `accounts` folder, 0700.
Result<void> prepare_data_dir(const std::filesystem::path& data_dir);

// Holds `data-dir/lock` by flock(2) until it goes. The kernel lets go of it when the process dies.
class Lock {
  public:
    // Temporary error, with the holder's process id, when another process has it.
    static Result<Lock> take(const std::filesystem::path& data_dir);
    Lock(Lock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Lock& operator=(Lock&& other) noexcept;
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock();

  private:
    explicit Lock(int fd) : fd_(fd) {}
    int fd_ = -1;
};

}  // namespace fwmail::store
