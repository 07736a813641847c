// What a run that was cut short left held, and when it was cut short.
#include "service/releases.hpp"

#include <catch2/catch.hpp>

#include "service/replica.hpp"
#include "store/support.hpp"

namespace fwmail::service {
namespace {

using namespace store::test;
using store::HoldId;
constexpr std::int64_t hour = 3'600'000;

// A data-dir with one user, and bodies that no message holds.
struct Stopped {
    TempDir dir;
    AccountId ann = id_of<AccountId>(1);
    Log log{2, LogLevel::error};
    UnixMillis now = system_clock()();

    Stopped() {
        auto system = must(store::SystemStore::open(dir.path));
        must(system->add_user({ann, "ann", t0}));
        must(store::AccountStore::open(dir.path, ann, t0));
        must(begin_run(*system, dir.path, now, log));
    }
    ObjectId stray(std::uint64_t n, UnixMillis made) {
        auto system = must(store::SystemStore::open(dir.path));
        auto id = id_of<ObjectId>(n);
        must(system->put_object(id, "body", made));
        must(system->add_reference(id, {ann, make_id<store::HoldIdTag>(made)}));
        return id;
    }
    // Nobody has written since.
    void let_time_pass(std::chrono::milliseconds time) {
        for (const char* name : {"system.db", "system.db-wal"})
            if (auto path = dir.path / name; std::filesystem::exists(path))
                std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) - time);
    }
    bool has(ObjectId id) {
        return must(must(store::SystemStore::open(dir.path))->find_object(id)).has_value();
    }
};

}  // namespace

TEST_CASE("what a crash left is looked for at its time, however late the start and whoever came before") {
    for (bool command : {false, true}) {
        CAPTURE(command);
        Stopped node;
        auto young = node.stray(1, UnixMillis{node.now.value - hour});
        auto old = node.stray(2, UnixMillis{node.now.value - 3 * hour});
        node.let_time_pass(std::chrono::hours(1));
        if (command) {
            auto system = must(open_stopped(node.dir.path, node.now));
            must(system->set_setting("something", "written"));
        }
        auto system = must(open_stopped(node.dir.path, node.now));
        must(begin_run(*system, node.dir.path, node.now, node.log));
        system.reset();
        CHECK_FALSE(node.has(young));
        CHECK(node.has(old));
    }
}

// A body may come in a frame before its message's: once that frame is acknowledged nobody sends it again.
TEST_CASE("a crash between a body's hold and its message costs no body that a message waits for") {
    Stopped node;
    std::string sha256(32, 's');
    auto awaited = sealed_object_id(sha256);
    {
        auto system = must(store::SystemStore::open(node.dir.path));
        must(system->put_object(awaited, "body", node.now));
        must(system->add_reference(awaited, {node.ann, make_id<store::HoldIdTag>(node.now)}));
        auto account = must(store::AccountStore::open(node.dir.path, node.ann, t0));
        store::PendingMessage message;
        message.mailbox = must(account->create_mailbox("INBOX", "", t0)).id;
        message.uid = Uid{1};
        message.email_id = id_of<EmailId>(7);
        message.sha256 = sha256;
        message.size = 4;
        message.arrived = node.now;
        CHECK(must(account->insert_pending(message)));
    }
    auto stray = node.stray(1, node.now);
    auto system = must(open_stopped(node.dir.path, node.now));
    must(begin_run(*system, node.dir.path, node.now, node.log));
    CHECK(must(system->check({})).empty());  // nobody holds either
    system.reset();
    CHECK(node.has(awaited));
    CHECK_FALSE(node.has(stray));
}

TEST_CASE("after a clean stop nothing is looked for") {
    Stopped node;
    auto young = node.stray(1, node.now);
    must(note_clean_stop(*must(open_stopped(node.dir.path, node.now))));
    must(begin_run(*must(open_stopped(node.dir.path, node.now)), node.dir.path, node.now, node.log));
    CHECK(node.has(young));
    // That run is cut short.
    must(begin_run(*must(open_stopped(node.dir.path, node.now)), node.dir.path, node.now, node.log));
    CHECK_FALSE(node.has(young));
}

}  // namespace fwmail::service
