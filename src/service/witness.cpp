#include "service/witness.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "service/disk_file.hpp"
#include "service/epochs.hpp"

namespace fwmail::service {
namespace {

constexpr std::string_view lost_setting = "begin-after-loss";

Error cannot(std::string_view what, const std::filesystem::path& file) {
    return {ErrorKind::usage,
            "the witness " + file.string() + " cannot be " + std::string(what) + ": " + std::strerror(errno)};
}

std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    return code == std::errc{} && end == text.data() + text.size() ? number : 0;
}

// 0: there is none.
Result<std::uint64_t> read_number(const std::filesystem::path& file) {
    int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return 0;
    if (fd < 0) return fail(cannot("read", file));
    char text[32];
    ssize_t size = ::read(fd, text, sizeof text);
    int error = errno;
    ::close(fd);
    errno = error;
    if (size < 0) return fail(cannot("read", file));
    std::string_view line(text, static_cast<std::size_t>(size));
    if (line.ends_with('\n')) line.remove_suffix(1);
    std::uint64_t number = number_of(line);
    if (number == 0 || number > (1ull << 62))
        return fail(ErrorKind::usage, file.string() +
                                          " is not a witness: name another file, or remove it if "
                                          "it was damaged");
    return number;
}

Result<> write_number(const std::filesystem::path& file, std::uint64_t number) {
    auto fresh = file;
    fresh += ".new";
    std::string line = std::to_string(number) + "\n";
    int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return fail(cannot("written", file));
    bool good =
        ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(fd) == 0;
    int error = errno;
    good = ::close(fd) == 0 && good;
    errno = error;
    if (!good || ::rename(fresh.c_str(), file.c_str()) != 0) return fail(cannot("written", file));
    auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return fail(cannot("written", file));
    good = ::fsync(dir) == 0;
    ::close(dir);
    if (!good) return fail(cannot("written", file));
    return {};
}

Result<std::uint64_t> stored_number(store::SystemStore& system) {
    return number_of(TRY(system.setting("witness")).value_or("0"));
}

// Repeatable: `loss` names this one.
Result<> begin_all(store::SystemStore& system, const config::Config& config, const LinkTable& links,
                   NodeRole role, const std::string& loss, UnixMillis now) {
    auto all = links.all();
    for (const auto& user : TRY(system.load_users())) {
        auto account = TRY(store::AccountStore::open(config.path("data-dir"), user.id, now));
        if (TRY(account->value("begun-after-loss")) == loss) continue;
        std::vector<EpochTurn> turns;
        for (const auto& link : *all) turns.push_back(epoch_turn(link, role == NodeRole::core, config, now));
        TRY(begin_after_loss(*account, turns));
        TRY(account->set_value("begun-after-loss", loss));
    }
    return {};
}

}  // namespace

net::Task<Result<>> raise_witness(Node& node, std::filesystem::path file) {
    auto raise = [](store::SystemStore& system) -> Result<std::uint64_t> {
        std::uint64_t number = TRY(stored_number(system)) + 1;
        TRY(system.set_setting("witness", std::to_string(number)));
        return number;
    };
    std::uint64_t number = CO_TRY(co_await node.write(store::system_file, raise));
    co_return co_await on_disk(node, [file, number] { return write_number(file, number); });
}

Result<> question_witness(store::SystemStore& system, const config::Config& config, const LinkTable& links,
                          NodeRole role, Log& log, UnixMillis now) {
    auto file = config.path("witness");
    std::uint64_t told = TRY(read_number(file)), stored = TRY(stored_number(system));
    if (told == 0 && stored > 0)
        log.warning("witness", file.string() +
                                   " is not there any more and is made anew: whether a backup was "
                                   "restored cannot be told this time");
    if (told > stored) TRY(system.set_setting(lost_setting, std::to_string(told)));
    if (auto loss = TRY(system.setting(lost_setting))) {
        log.warning("witness",
                    "what is stored here is older than " + file.string() +
                        " knows of, so a backup was restored: all accounts are compared with the other side");
        TRY(begin_all(system, config, links, role, *loss, now));
        crash_point("witness.begun");
    }
    std::uint64_t next = std::max(told, stored) + 1;
    TRY(system.set_setting("witness", std::to_string(next)));
    TRY(system.remove_setting(lost_setting));
    crash_point("witness.stored");
    return write_number(file, next);
}

}  // namespace fwmail::service
