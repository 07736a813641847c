#include "service/witness.hpp"

#include <algorithm>
#include <charconv>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "base/replace_file.hpp"
#include "service/disk_file.hpp"
#include "service/epochs.hpp"

namespace fwmail::service {
namespace {

constexpr std::string_view lost_setting = "begin-after-loss";
constexpr std::uint64_t largest = 1ull << 62;

std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    return code == std::errc{} && end == text.data() + text.size() ? number : 0;
}

// 0: there is none.
Result<std::uint64_t> read_number(const std::filesystem::path& file) {
    std::error_code unknown;
    if (!std::filesystem::exists(file, unknown) && !unknown) return 0;
    auto opened = DiskFile::open(file);
    auto line = opened ? (*opened)->read() : Result<std::string>(fail(opened.error()));
    if (!line) return fail(ErrorKind::usage, "the witness: " + line.error().text);
    if (line->ends_with('\n')) line->pop_back();
    std::uint64_t number = number_of(*line);
    if (number == 0 || number > largest)
        return fail(ErrorKind::usage, shown(file) +
                                          " is not a witness: name another file, or remove it if it "
                                          "was damaged");
    return number;
}

Result<> write_number(const std::filesystem::path& file, std::uint64_t number) {
    return replace_file(file, std::to_string(number) + "\n");
}

Result<std::uint64_t> stored_number(store::SystemStore& system) {
    return number_of(TRY(system.setting("witness")).value_or("0"));
}

bool is_within(const std::filesystem::path& file, const std::filesystem::path& folder) {
    auto inner = std::filesystem::weakly_canonical(file.parent_path() / ""),
         outer = std::filesystem::weakly_canonical(folder / "");
    return std::ranges::mismatch(outer, inner).in1 == outer.end() || inner == outer;
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
    if (is_within(file, config.path("data-dir")))
        return fail(ErrorKind::usage,
                    "witness = " + shown(file) +
                        " lies in data-dir and would be restored with it: name a file elsewhere");
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
