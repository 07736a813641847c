#include "roles/demo_children.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace fwmail::roles {
namespace {

using std::chrono::steady_clock;

std::unexpected<Error> system_failure(const std::string& what) {
    return fail(ErrorKind::temporary, what + ": " + std::strerror(errno));
}

void pause_for(Milliseconds time) { ::usleep(static_cast<useconds_t>(time.count()) * 1000); }

// Behind the fork: the child's side.
[[noreturn]] void become(pid_t parent, const char* program, char* const* words, int out_fd, int error_fd) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // it died before prctl
    ::setpgid(0, 0);
    ::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    int in_fd = ::open("/dev/null", O_RDONLY);
    if (in_fd < 0 || ::dup2(in_fd, 0) < 0 || ::dup2(out_fd, 1) < 0 || ::dup2(error_fd, 2) < 0) ::_exit(127);
    ::execvp(program, words);
    ::_exit(127);
}

std::string read_fd(int fd) {
    std::string octets;
    char piece[64 * 1024];
    for (ssize_t got; (got = ::pread(fd, piece, sizeof piece, static_cast<off_t>(octets.size()))) > 0;)
        octets.append(piece, static_cast<std::size_t>(got));
    return octets;
}

class Fd {
  public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(const Fd&) = delete;
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

  private:
    int fd_;
};

}  // namespace

HeldSignals::HeldSignals() {
    ::sigemptyset(&held_);
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&held_, number);
    ::sigprocmask(SIG_BLOCK, &held_, &before_);
    ::signal(SIGPIPE, SIG_IGN);  // a reader of what is printed may go away
}

HeldSignals::~HeldSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

bool HeldSignals::wait(Milliseconds time) {
    if (came_) return true;
    timespec left{time.count() / 1000, (time.count() % 1000) * 1'000'000};
    came_ = ::sigtimedwait(&held_, nullptr, &left) > 0;
    return came_;
}

Result<Child> Child::start(const std::string& program, const Arguments& words, int out_fd, int error_fd) {
    std::vector<char*> arguments;
    std::string name = program == own_executable ? "fwmail" : program;
    arguments.push_back(name.data());
    Arguments copies = words;
    for (auto& word : copies) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t parent = ::getpid();
    pid_t pid = ::fork();
    if (pid < 0) return system_failure("cannot start " + name);
    if (pid == 0) become(parent, program.c_str(), arguments.data(), out_fd, error_fd);
    Child child;
    child.pid_ = pid;
    return child;
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

Child& Child::operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    status_ = other.status_;
    return *this;
}

Child::~Child() {
    if (!running()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Child::running() { return !wait(Milliseconds(0)); }

bool Child::wait(Milliseconds time) {
    auto deadline = steady_clock::now() + time;
    while (pid_ > 0) {
        int how = 0;
        if (::waitpid(pid_, &how, WNOHANG) == pid_) {
            status_ = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
            pid_ = -1;
        } else if (steady_clock::now() >= deadline) {
            return false;
        } else {
            pause_for(Milliseconds(5));
        }
    }
    return true;
}

bool Child::stop(Milliseconds time) {
    if (!running()) return true;
    ::kill(pid_, SIGTERM);
    if (wait(time)) return true;
    ::kill(pid_, SIGKILL);
    wait(Milliseconds(5000));
    return false;
}

Result<Finished> run_program(const std::string& program, const Arguments& words, Milliseconds time) {
    // In memory: what comes out may be a key.
    Fd out(::memfd_create("out", MFD_CLOEXEC)), error(::memfd_create("error", MFD_CLOEXEC));
    if (out.get() < 0 || error.get() < 0) return system_failure("memfd_create");
    auto child = TRY(Child::start(program, words, out.get(), error.get()));
    std::string name = words.empty() ? program : program + " " + words.front();
    if (!child.wait(time)) return fail(ErrorKind::temporary, name + " did not end in time");
    return Finished{child.status(), read_fd(out.get()), read_fd(error.get())};
}

Result<Finished> run_fwmail(const Arguments& words) {
    auto done = TRY(run_program(own_executable, words, Milliseconds(15'000)));
    if (done.status == 0) return done;
    while (done.error.ends_with('\n')) done.error.pop_back();
    std::string command;
    for (const auto& word : words) command += " " + word;
    return fail(ErrorKind::refused,
                "fwmail" + command + " ended with " + std::to_string(done.status) + ": " + done.error);
}

Result<TemporaryFolder> TemporaryFolder::make(const std::string& prefix) {
    std::error_code error;
    auto base = std::filesystem::temp_directory_path(error);
    if (error) return fail(ErrorKind::usage, "no folder for temporary files: set TMPDIR to one");
    std::string path = (base / (prefix + "XXXXXX")).string();
    if (!::mkdtemp(path.data())) return system_failure("cannot make a folder in " + base.string());
    return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty() && !keep_) std::filesystem::remove_all(path_, ignored);
}

Result<> write_private_file(const std::filesystem::path& path, std::string_view octets) {
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return system_failure(path.string());
    while (!octets.empty()) {
        ssize_t put = ::write(file.get(), octets.data(), octets.size());
        if (put < 0) return system_failure(path.string());
        octets.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

Result<std::string> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorKind::temporary, "cannot read " + path.string());
    return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace fwmail::roles
