// Group commit, isolation of failures, parallel reads, the cap on open files.
#include <atomic>
#include <future>
#include <mutex>

#include "store/database.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

std::unique_ptr<Executor> open_executor(const TempDir& dir, std::size_t accounts = 256,
                                        unsigned threads = 4) {
    ExecutorOptions options;
    options.data_dir = dir.path;
    options.threads = threads;
    options.open_accounts = accounts;
    return must(Executor::open(std::move(options)));
}

// Posts a job and waits for its result.
template <class T, class Key, class Job>
Result<T> write_wait(Executor& executor, Key key, Job job) {
    std::promise<Result<T>> promise;
    executor.write(key, std::move(job), [&](Result<T> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
}

// Holds the system file's queue until release() is called, so that jobs gather behind it.
class Gate {
  public:
    explicit Gate(Executor& executor) {
        executor.write(
            system_file,
            [this](SystemStore&) -> Result<void> {
                entered_.set_value();
                open_.get_future().wait();
                return {};
            },
            [](Result<void>) {});
        entered_.get_future().wait();
    }
    void release() { open_.set_value(); }

  private:
    std::promise<void> entered_, open_;
};

}  // namespace

TEST_CASE("jobs that wait are committed together, and one that fails spoils nothing") {
    TempDir dir;
    auto executor = open_executor(dir);
    Gate gate(*executor);
    std::mutex mutex;
    std::vector<int> order;
    int failures = 0;
    for (int i = 0; i < 100; ++i) {
        executor->write(
            system_file,
            [i](SystemStore& s) -> Result<int> {
                TRY(s.set_setting("n" + std::to_string(i), "x"));
                if (i % 10 == 3) return fail(ErrorKind::refused, "on purpose");
                if (i % 10 == 4) throw std::runtime_error("a bug");
                return i;
            },
            [&](Result<int> r) {
                std::lock_guard guard(mutex);
                if (r)
                    order.push_back(*r);
                else
                    ++failures;
            });
    }
    gate.release();
    executor.reset();  // runs everything that was posted
    CHECK(failures == 20);
    CHECK(order.size() == 80);
    CHECK(std::ranges::is_sorted(order));
    auto store = must(SystemStore::open(dir.path));
    for (int i = 0; i < 100; ++i)
        CHECK(must(store->setting("n" + std::to_string(i))).has_value() == (i % 10 != 3 && i % 10 != 4));
}

TEST_CASE("a job that is alone in its commit and fails leaves nothing, and the next one runs") {
    TempDir dir;
    auto executor = open_executor(dir);
    auto failing = write_wait<int>(*executor, system_file, [](SystemStore& s) -> Result<int> {
        TRY(s.set_setting("failed", "x"));
        return fail(ErrorKind::refused, "on purpose");
    });
    REQUIRE_FALSE(failing);
    CHECK(failing.error().kind == ErrorKind::refused);
    auto throwing = write_wait<int>(*executor, system_file, [](SystemStore& s) -> Result<int> {
        TRY(s.set_setting("thrown", "x"));
        throw std::runtime_error("a bug");
    });
    REQUIRE_FALSE(throwing);
    CHECK(throwing.error().kind == ErrorKind::internal);
    CHECK(
        write_wait<void>(*executor, system_file, [](SystemStore& s) { return s.set_setting("kept", "x"); }));
    executor.reset();
    auto store = must(SystemStore::open(dir.path));
    CHECK_FALSE(must(store->setting("failed")));
    CHECK_FALSE(must(store->setting("thrown")));
    CHECK(must(store->setting("kept")));
}

TEST_CASE("batches are bounded by jobs and by octets") {
    TempDir dir;
    auto executor = open_executor(dir);
    auto commits_of = [&](std::size_t jobs, std::size_t octets) {
        std::promise<void> all;
        std::atomic<std::size_t> left = jobs, good = 0;
        auto before = executor->counters().commits;
        {
            Gate gate(*executor);
            for (std::size_t i = 0; i < jobs; ++i)
                executor->write(
                    system_file, [](SystemStore& s) { return s.set_setting("a", "b"); },
                    [&](Result<void> r) {
                        good += r.has_value();
                        if (--left == 0) all.set_value();
                    },
                    octets);
            gate.release();
            all.get_future().wait();
        }
        // The last batch is counted after its completions.
        while (executor->counters().waiting) std::this_thread::yield();
        CHECK(good == jobs);
        return executor->counters().commits - before - 1;
    };
    CHECK(commits_of(128, 0) == 2);
    CHECK(commits_of(65, 0) == 2);
    CHECK(commits_of(10, 3 << 20) == 10);
    CHECK(commits_of(10, 2 << 20) == 5);
}

TEST_CASE("when the transaction is lost under way, its jobs fail and the rest goes on") {
    TempDir dir;
    auto executor = open_executor(dir);
    Gate gate(*executor);
    std::vector<std::promise<bool>> good(4);
    for (std::size_t i = 0; i < 4; ++i)
        executor->write(
            system_file,
            [i](SystemStore& s) -> Result<void> {
                TRY(s.set_setting("n" + std::to_string(i), "x"));
                // As SQLite does itself when the disk is full.
                if (i == 1) TRY(s.database().execute("ROLLBACK"));
                return {};
            },
            [&good, i](Result<void> r) { good[i].set_value(r.has_value()); });
    gate.release();
    std::vector<bool> results;
    for (auto& g : good) results.push_back(g.get_future().get());
    CHECK(results == std::vector<bool>{false, false, true, true});
    executor.reset();
    auto store = must(SystemStore::open(dir.path));
    CHECK(!must(store->setting("n0")));
    CHECK(must(store->setting("n2")));
}

TEST_CASE("a full disk is a temporary error with a clear text") {
    TempDir dir;
    auto executor = open_executor(dir);
    auto result = write_wait<void>(*executor, system_file, [](SystemStore& s) -> Result<void> {
        TRY(s.database().execute("PRAGMA max_page_count=60"));
        return s.put_object(id_of<ObjectId>(1), random_octets(chunk_size), t0);
    });
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::temporary);
    CHECK(result.error().text.find("disk is full") != std::string::npos);
    CHECK(write_wait<void>(*executor, system_file, [](SystemStore& s) -> Result<void> {
              TRY(s.database().execute("PRAGMA max_page_count=1000000"));
              return s.put_object(id_of<ObjectId>(1), random_octets(chunk_size), t0);
          }).has_value());
}

TEST_CASE("a read sees every write that was completed before it, and cannot write") {
    TempDir dir;
    auto executor = open_executor(dir);
    auto account = id_of<AccountId>(1);
    for (int i = 0; i < 50; ++i) {
        std::string name = "m" + std::to_string(i);
        REQUIRE(write_wait<Mailbox>(*executor, account,
                                    [=](AccountStore& s) { return s.create_mailbox(name, "", t0); }));
        std::promise<bool> found;
        executor->read(
            account, [=](AccountStore& s) { return s.find_mailbox(name); },
            [&](Result<std::optional<Mailbox>> r) { found.set_value(r && r->has_value()); });
        CHECK(found.get_future().get());
    }
    std::promise<bool> wrote;
    executor->read(
        system_file, [](SystemStore& s) { return s.set_setting("a", "b"); },
        [&](Result<void> r) { wrote.set_value(r.has_value()); });
    CHECK(!wrote.get_future().get());
}

TEST_CASE("a version rises with each commit of the account's file, whoever made it") {
    TempDir dir;
    auto executor = open_executor(dir);
    auto ann = id_of<AccountId>(1), bob = id_of<AccountId>(2);
    auto touch = [](AccountStore&) -> Result<void> { return {}; };
    auto before = executor->version(ann);
    must(write_wait<void>(*executor, ann, touch));
    auto after = executor->version(ann);
    CHECK(after > before);
    must(write_wait<void>(*executor, SearchFile{ann}, [](SearchStore&) -> Result<void> { return {}; }));
    must(write_wait<void>(*executor, bob, touch));
    CHECK(executor->version(ann) == after);
    executor->raise_version(ann);
    CHECK(executor->version(ann) > after);
}

TEST_CASE("many accounts share few open files") {
    TempDir dir;
    auto executor = open_executor(dir, 4);
    constexpr std::uint64_t accounts = 20;
    std::atomic<int> good = 0;
    for (int round = 0; round < 5; ++round)
        for (std::uint64_t n = 1; n <= accounts; ++n) {
            executor->write(
                id_of<AccountId>(n),
                [=](AccountStore& s) { return s.create_mailbox("m" + std::to_string(round), "", t0); },
                [&](Result<Mailbox> r) { good += r.has_value(); });
            executor->read(
                id_of<AccountId>(n), [](AccountStore& s) { return s.load_mailboxes(); },
                [&](Result<std::vector<Mailbox>> r) { good += r.has_value(); });
        }
    while (executor->counters().waiting) std::this_thread::yield();
    CHECK(good == 200);
    CHECK(executor->counters().open_accounts <= 4);
    executor.reset();
    for (std::uint64_t n = 1; n <= accounts; ++n) {
        auto store = must(AccountStore::open(dir.path, id_of<AccountId>(n), t0));
        CHECK(must(store->load_mailboxes()).size() == 5);
    }
}

TEST_CASE("an account whose file cannot be opened fails alone") {
    TempDir dir;
    auto executor = open_executor(dir);
    auto bad = id_of<AccountId>(1), good = id_of<AccountId>(2);
    FILE* file = fopen(AccountStore::path_of(dir.path, bad).c_str(), "w");
    for (int i = 0; i < 1000; ++i) fputs("no database at all ", file);
    fclose(file);
    auto make = [](AccountStore& s) { return s.create_mailbox("INBOX", "", t0); };
    CHECK(error_of(write_wait<Mailbox>(*executor, bad, make)) == ErrorKind::internal);
    CHECK(write_wait<Mailbox>(*executor, good, make).has_value());
}
