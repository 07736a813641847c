#include "service/releases.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <limits>
#include <set>

#include "base/hooks.hpp"
#include "service/replica.hpp"

namespace fwmail::service {

std::chrono::milliseconds release_grace(const Node& node) {
    return node.config.duration("limits.keep-expunged");
}

net::Task<> drain_releases(Node& node, AccountId account) {
    return drain_releases(node, account, release_grace(node));
}

net::Task<> drain_releases(Node& node, AccountId account, std::chrono::milliseconds grace) {
    auto look = [](store::AccountStore& store) { return store.releases_waiting(); };
    auto waiting = co_await node.read(account, look);
    if (!waiting || waiting->all == 0) co_return;
    node.hub.wait_for_releases(account);  // what is left is looked at again
    UnixMillis now = node.clock();
    if (waiting->undated > 0) {
        auto date = [now](store::AccountStore& store) { return store.date_releases(now); };
        auto dated = co_await node.write(account, std::move(date));
        if (!dated) co_return;
    }
    UnixMillis before{now.value - grace.count()};
    for (;;) {
        auto load = [before](store::AccountStore& store) {
            return store.load_pending_releases(1000, before);
        };
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

net::Task<> give_back(Node& node, AccountId account, std::vector<store::Reference> references, Error error) {
    if (error.kind != ErrorKind::refused) {
        node.references_in_doubt = true;
        co_return;
    }
    auto release = [account, references](store::SystemStore& system) {
        return system.release_references(account, references);
    };
    auto released = co_await node.write(store::system_file, std::move(release));
    if (!released) node.references_in_doubt = true;
}

namespace {

// "yes", "no" while a node runs, or, once the file of one that was cut short has been opened again, when it
// was last written to.
constexpr std::string_view stopped_cleanly = "stopped-cleanly";

UnixMillis last_written(const std::filesystem::path& data_dir, UnixMillis now) {
    std::error_code error;
    auto age = std::filesystem::file_time_type::clock::now() -
               std::max(std::filesystem::last_write_time(data_dir / "system.db", error),
                        std::filesystem::last_write_time(data_dir / "system.db-wal", error));
    auto idle = std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
    return UnixMillis{now.value - std::clamp<std::int64_t>(idle, 0, now.value)};
}

Result<> reconcile(store::SystemStore& system, const std::filesystem::path& data_dir, UnixMillis cut,
                   UnixMillis now, Log& log) {
    // What was interrupted was young. Older strays may be mail that an account file out of a backup lacks.
    UnixMillis since{cut.value - 600'000};
    std::size_t released = 0;
    for (const auto& user : TRY(system.load_users())) {
        if (!std::filesystem::exists(store::AccountStore::path_of(data_dir, user.id))) continue;
        auto account = TRY(store::AccountStore::open(data_dir, user.id, now));
        std::set<ObjectId> awaited;
        for (const auto& message :
             TRY(account->load_pending(store::BodyState::missing, std::numeric_limits<std::int64_t>::max())))
            awaited.insert(sealed_object_id(message.sha256));
        auto known = TRY(account->load_references()).references;
        released += TRY(system.reconcile_references(user.id, known, awaited, since));
    }
    if (released) log.info("recovery", std::to_string(released) + " bodies that no message holds are let go");
    return {};
}

}  // namespace

Result<std::unique_ptr<store::SystemStore>> open_stopped(const std::filesystem::path& data_dir,
                                                         UnixMillis now) {
    UnixMillis cut = last_written(data_dir, now);
    auto system = TRY(store::SystemStore::open(data_dir));
    if (TRY(system->setting(stopped_cleanly)) == "no")
        TRY(system->set_setting(stopped_cleanly, std::to_string(cut.value)));
    return system;
}

Result<> begin_run(store::SystemStore& system, const std::filesystem::path& data_dir, UnixMillis now,
                   Log& log) {
    auto state = TRY(system.setting(stopped_cleanly));  // none before the first run
    if (state && *state != "yes") {
        log.info("recovery", "the last stop was not a clean one: looking for what it left half done");
        UnixMillis cut = now;
        std::from_chars(state->data(), state->data() + state->size(), cut.value);
        TRY(reconcile(system, data_dir, cut, now, log));
    }
    return system.set_setting(stopped_cleanly, "no");
}

Result<> note_clean_stop(store::SystemStore& system) { return system.set_setting(stopped_cleanly, "yes"); }

}  // namespace fwmail::service
