// The programs that the demo runs, and the signals that end it.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "roles/command.hpp"

namespace fwmail::roles {

using Milliseconds = std::chrono::milliseconds;

// SIGINT, SIGTERM and SIGHUP wait until they are asked for, so that nothing is left behind.
class HeldSignals {
  public:
    HeldSignals();
    ~HeldSignals();
    HeldSignals(const HeldSignals&) = delete;
    HeldSignals& operator=(const HeldSignals&) = delete;
    // Waits so long at most. True, now and ever after, once one has come.
    bool wait(Milliseconds time);

  private:
    sigset_t held_, before_;
    bool came_ = false;
};

// A process that does not outlive the demo, in a process group of its own, so that Ctrl-C is the demo's
// alone. The program is looked for in PATH if it has no '/'. Exit status 127: it could not be run.
class Child {
  public:
    Child() = default;
    static Result<Child> start(const std::string& program, const Arguments& words, int out_fd, int error_fd);
    Child(Child&& other) noexcept;
    Child& operator=(Child&& other) noexcept;
    ~Child();  // kills it

    bool running();
    // The exit status, or 128 and the signal; only once it no longer runs.
    int status() const { return status_; }
    // Waits for its end; false: it still runs.
    bool wait(Milliseconds time);
    // SIGTERM, and SIGKILL when that does not do. False: it had to be killed.
    bool stop(Milliseconds time);
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;  // -1: none, or ended
    int status_ = 0;
};

struct Finished {
    int status = 0;
    std::string out, error;
};
// Runs a program to its end, without input. An error only when that takes longer than `time`.
Result<Finished> run_program(const std::string& program, const Arguments& words, Milliseconds time);

// Our own executable, even if its file has been replaced since.
inline constexpr const char* own_executable = "/proc/self/exe";
// A fwmail command: what it prints, or an error with what it said.
Result<Finished> run_fwmail(const Arguments& words);

// A folder of mode 0700 that goes with the object, unless it is kept.
class TemporaryFolder {
  public:
    static Result<TemporaryFolder> make(const std::string& prefix);
    TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)), keep_(other.keep_) {
        other.path_.clear();
    }
    TemporaryFolder& operator=(TemporaryFolder&&) = delete;
    ~TemporaryFolder();
    const std::filesystem::path& path() const { return path_; }
    void keep() { keep_ = true; }

  private:
    explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
    bool keep_ = false;
};

Result<> write_private_file(const std::filesystem::path& path, std::string_view octets);
Result<std::string> read_file(const std::filesystem::path& path);

}  // namespace fwmail::roles
