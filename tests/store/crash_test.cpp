// kill -9 at random: what was reported durable is there, and nothing is in disorder.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <set>
#include <thread>

#include "base/hooks.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

const AccountId accounts[] = {id_of<AccountId>(1), id_of<AccountId>(2)};

// What the child reports: one octet of kind, eight of number, in one write(2).
struct Report {
    char kind;  // S spooled, D delivered, E about to be expunged
    std::uint64_t number;
};
void tell(int fd, char kind, std::uint64_t number) {
    char line[9] = {kind};
    memcpy(line + 1, &number, 8);
    if (write(fd, line, sizeof line) != sizeof line) _exit(3);
}

SpoolRequest request(std::uint64_t n) {
    SpoolRequest r;
    r.object = id_of<ObjectId>(n);
    r.content = "number " + std::to_string(n) + std::string(n % 7 * 3000, 'x');
    r.digest = id_of<ObjectId>(n).octets();
    r.now = t0;
    r.repeat_since = t0;
    SpoolRow row;
    row.delivery = id_of<DeliveryId>(n);
    row.account = accounts[n % 2];
    row.email_id = id_of<EmailId>(n);
    row.received = t0;
    row.size = r.content->size();
    r.rows = {row};
    return r;
}

std::uint64_t number_of(const HoldId& id) {
    std::uint64_t n = 0;
    for (std::size_t i = 8; i < 16; ++i) n = n << 8 | id.bytes[i];
    return n;
}

// Posts a write and waits for its commit.
template <class Key, class Job>
auto run(Executor& executor, Key key, Job job) {
    using Store = std::conditional_t<std::is_same_v<Key, AccountId>, AccountStore, SystemStore>;
    std::promise<void> done;
    std::optional<std::invoke_result_t<Job&, Store&>> result;
    executor.write(key, std::move(job), [&](auto r) {
        result.emplace(std::move(r));
        done.set_value();
    });
    done.get_future().wait();
    return std::move(*result);
}

Result<Mailbox> open_inbox(AccountStore& account) {
    auto inbox = TRY(account.find_mailbox("INBOX"));
    if (inbox) return *inbox;
    return account.create_mailbox("INBOX", "", t0, id_of<MailboxId>(1));
}

Result<std::vector<Delivered>> deliver(AccountStore& account, const std::vector<SpoolRow>& rows) {
    auto inbox = TRY(open_inbox(account));
    std::vector<NewMessage> messages;
    for (const auto& row : rows) {
        NewMessage m;
        m.mailbox = inbox.id;
        m.hold = row.delivery;
        m.email_id = row.email_id;
        m.object = row.object;
        m.size = row.size;
        messages.push_back(m);
    }
    return account.deliver(messages);
}

// Every 16th message goes again.
Result<std::vector<Reference>> expunge_some(AccountStore& account, int fd) {
    auto inbox = TRY(open_inbox(account));
    for (auto& m : TRY(account.load_messages(inbox.id, range(1, 0xffffffff), column_identity, 100'000))) {
        if (m.uid.value % 16 != 0) continue;
        tell(fd, 'E', number_of(m.hold));
        TRY(account.expunge_any(inbox.id, uids({m.uid.value})));
    }
    return account.load_pending_releases(100);
}

// One turn of an account: take up the spool, expunge a little, hand the releases on.
Result<void> take_up(Executor& executor, AccountId id, int fd) {
    auto rows = TRY(run(executor, system_file, [=](SystemStore& s) { return s.load_spool(id, 20); }));
    std::vector<DeliveryId> ids;
    for (auto& row : rows) ids.push_back(row.delivery);
    TRY(run(executor, id, [=](AccountStore& s) { return deliver(s, rows); }));
    for (auto& delivery : ids) tell(fd, 'D', number_of(delivery));
    TRY(run(executor, system_file, [=](SystemStore& s) { return s.delete_spool(ids); }));
    TRY(run(executor, id, [=](AccountStore& s) { return s.forget_deliveries(ids); }));
    auto releases = TRY(run(executor, id, [=](AccountStore& s) { return expunge_some(s, fd); }));
    TRY(run(executor, system_file, [=](SystemStore& s) { return s.release_references(id, releases); }));
    return run(executor, id, [=](AccountStore& s) { return s.forget_releases(releases); });
}

[[noreturn]] void child(const std::filesystem::path& dir, std::uint64_t start, int fd) {
    ExecutorOptions options;
    options.data_dir = dir;
    options.threads = 2;
    auto executor = Executor::open(std::move(options));
    if (!executor) _exit(4);
    std::thread taking([&] {
        for (;;)
            for (auto id : accounts)
                if (!take_up(**executor, id, fd)) _exit(7);
    });
    for (std::uint64_t n = start;; ++n) {
        (*executor)->write(
            system_file, [n](SystemStore& s) { return s.spool_message(request(n)); },
            [n, fd](Result<Spooled> r) {
                if (r) tell(fd, 'S', n);
            });
        while ((*executor)->counters().waiting > 40) usleep(100);
    }
}

std::vector<Report> read_reports(int fd) {
    std::vector<Report> out;
    char line[9];
    while (read(fd, line, sizeof line) == sizeof line) {
        Report r{line[0], 0};
        memcpy(&r.number, line + 1, 8);
        out.push_back(r);
    }
    return out;
}

struct Reported {
    std::set<std::uint64_t> spooled, delivered, expunging;
};

// Everything in order; every message that was reported is in the spool or in its mailbox, unless it was
// expunged; what was reported as delivered is in its mailbox.
void check_all(const std::filesystem::path& dir, const Reported& reported) {
    auto system = must(SystemStore::open(dir));
    std::vector<AccountReferences> references;
    std::set<HoldId> in_mailbox, in_spool;
    for (auto id : accounts) {
        auto account = must(AccountStore::open(dir, id, t0));
        auto problems = must(account->check([&](ObjectId o) { return must(system->object_complete(o)); }));
        CAPTURE(problems);
        REQUIRE(problems.empty());
        references.push_back(must(account->load_references()));
        for (const auto& r : references.back().references) REQUIRE(in_mailbox.insert(r.hold).second);
        for (const auto& row : must(system->load_spool(id, 1'000'000))) in_spool.insert(row.delivery);
    }
    auto problems = must(system->check(references));
    CAPTURE(problems);
    REQUIRE(problems.empty());
    for (auto n : reported.spooled) {
        CAPTURE(n);
        if (reported.expunging.contains(n)) continue;
        auto hold = id_of<HoldId>(n);
        REQUIRE((in_mailbox.contains(hold) || in_spool.contains(hold)));
        if (reported.delivered.contains(n)) REQUIRE(in_mailbox.contains(hold));
        REQUIRE(must(system->read_object(id_of<ObjectId>(n), 0, 1 << 20)) == *request(n).content);
    }
}

}  // namespace

TEST_CASE("kill -9 at random moments loses nothing that was reported", "[crash]") {
    TempDir dir;
    Reported reported;
    std::uint64_t start = 1;
    std::uint32_t seed = static_cast<std::uint32_t>(getpid());
    CAPTURE(seed);
    for (int round = 0; round < 30; ++round) {
        int fds[2];
        REQUIRE(pipe(fds) == 0);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            close(fds[0]);
            child(dir.path, start, fds[1]);
        }
        close(fds[1]);
        seed = seed * 1664525 + 1013904223;
        bool at_work = round % 2;  // else perhaps while it opens its files
        std::thread killer([&] {
            pollfd first{fds[0], POLLIN, 0};
            if (at_work) poll(&first, 1, 60'000);
            usleep(20'000 + (seed >> 8) % 180'000);
            kill(pid, SIGKILL);
        });
        auto reports = read_reports(fds[0]);
        killer.join();
        close(fds[0]);
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        REQUIRE(WIFSIGNALED(status));
        for (const auto& r : reports) {
            (r.kind == 'S'   ? reported.spooled
             : r.kind == 'D' ? reported.delivered
                             : reported.expunging)
                .insert(r.number);
            start = std::max(start, r.number + 1000);
        }
        check_all(dir.path, reported);
    }
    CHECK(reported.spooled.size() > 100);
    CHECK(reported.delivered.size() > 10);
}

// Run by the next test only: the crash points are chosen when a process starts.
TEST_CASE("spools one message and waits", "[.child]") {
    const char* dir = getenv("FWMAIL_TEST_DIR");
    REQUIRE(dir);
    ExecutorOptions options;
    options.data_dir = dir;
    auto executor = must(Executor::open(std::move(options)));
    executor->write(
        system_file, [](SystemStore& s) { return s.spool_message(request(1)); },
        [](Result<Spooled>) { _exit(5); });
    for (;;) pause();
}

TEST_CASE("killed just before a commit nothing is there, just after it everything", "[crash]") {
    if (!has_test_hooks()) {
        WARN("needs a build with test hooks");
        return;
    }
    for (bool after : {false, true}) {
        TempDir dir;
        must(SystemStore::open(dir.path));
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            setenv("FWMAIL_CRASH", after ? "store.after-commit" : "store.before-commit", 1);
            setenv("FWMAIL_TEST_DIR", dir.path.c_str(), 1);
            execl("/proc/self/exe", "test_store", "[.child]", nullptr);
            _exit(6);
        }
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        REQUIRE(WIFSIGNALED(status));
        auto store = must(SystemStore::open(dir.path));
        CHECK(must(store->accounts_with_spool()).size() == (after ? 1 : 0));
        CHECK(must(store->find_object(id_of<ObjectId>(1))).has_value() == after);
    }
}
