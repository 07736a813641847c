#include "service/releases.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/hooks.hpp"

namespace fwmail::service {

net::Task<> drain_releases(Node& node, AccountId account) {
    for (;;) {
        auto load = [](store::AccountStore& store) { return store.load_pending_releases(1000); };
        auto pending = co_await node.read(account, load);
        if (!pending || pending->empty()) co_return;
        auto release = [account, references = *pending](store::SystemStore& system) {
            return system.release_references(account, references);
        };
        auto released = co_await node.write(store::system_file, std::move(release));
        if (!released) co_return;  // they stay in the journal
        crash_point("release.between-files");
        auto forget = [references = *pending](store::AccountStore& store) {
            return store.forget_releases(references);
        };
        auto forgotten = co_await node.write(account, std::move(forget));
        if (!forgotten) co_return;
    }
}

Result<> reconcile_references(store::SystemStore& system, const std::filesystem::path& data_dir,
                              UnixMillis now, Log& log) {
    // What the crash interrupted was young. Older strays may be mail that an account file out of a backup
    // lacks.
    std::error_code error;
    auto age = std::filesystem::file_time_type::clock::now() -
               std::max(std::filesystem::last_write_time(data_dir / "system.db", error),
                        std::filesystem::last_write_time(data_dir / "system.db-wal", error));
    std::int64_t idle =
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(age).count());
    UnixMillis since{now.value - std::min<std::int64_t>(idle, now.value) - 600'000};
    std::size_t released = 0;
    for (const auto& user : TRY(system.load_users())) {
        if (!std::filesystem::exists(store::AccountStore::path_of(data_dir, user.id))) continue;
        auto account = TRY(store::AccountStore::open(data_dir, user.id, now));
        released +=
            TRY(system.reconcile_references(user.id, TRY(account->load_references()).references, since));
    }
    if (released) log.info("recovery", std::to_string(released) + " bodies that no message holds are let go");
    return {};
}

}  // namespace fwmail::service
