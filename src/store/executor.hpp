// Runs store work on a pool of threads, so that no I/O thread waits for the disk.
//
// Writes: one serial queue a database file. Jobs that wait there run together in one transaction (group
// commit), each in a savepoint if there are several: one that fails is undone alone. Completions are called
// after the commit is durable, in order. Reads: in parallel, each on a read connection with a snapshot of its
// own. A read that is posted after a write's completion sees that write.
//
// A job is any `Result<T>(SystemStore&)`, `Result<T>(AccountStore&)` or `Result<T>(SearchStore&)`, its
// completion any `void(Result<T>)`. The completion is called exactly once, from a store thread, and must only
// hand the result on (post it to its owner's io_context). Jobs hold no references to what may go before they
// run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.hpp"
#include "store/account_store.hpp"
#include "store/search_store.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {

struct SystemFile {};
// Names system.db where an AccountId names an account's file.
inline constexpr SystemFile system_file{};
// The account's search index.
struct SearchFile {
    AccountId account;
};

// What a job says that it writes for each message it changes: a page. With a thousand of them it is alone in
// its transaction, and has no savepoint, in which it would take ever longer.
inline constexpr std::size_t octets_a_message = 4096;
// Likewise, where that may be all messages of a mailbox.
inline constexpr std::size_t octets_a_mailbox = octets_a_message << 20;

struct ExecutorOptions {
    std::filesystem::path data_dir;  // prepared, and its Lock held by the caller
    unsigned threads = 4;
    std::size_t open_accounts = 256;     // files that are kept open; about 6 descriptors each
    std::size_t batch_jobs = 64;         // in one transaction
    std::size_t batch_octets = 4 << 20;  // of what the jobs say they write
    Clock clock = system_clock();
    sync::Life life = {};
};

class Executor {
  public:
    static Result<std::unique_ptr<Executor>> open(ExecutorOptions options);
    // Runs everything that was posted, then ends the threads. Completions may not post any more by then.
    ~Executor();

    // `octets`: about how much the job writes; it bounds the batch. An account's file is made when it is
    // missing.
    template <class Job, class Done>
    void write(SystemFile, Job job, Done done, std::size_t octets = 0) {
        post({}, false, make_work<SystemStore>(std::move(job), std::move(done)), octets);
    }
    template <class Job, class Done>
    void write(AccountId account, Job job, Done done, std::size_t octets = 0) {
        post({account}, false, make_work<AccountStore>(std::move(job), std::move(done)), octets);
    }
    template <class Job, class Done>
    void read(SystemFile, Job job, Done done) {
        post({}, true, make_work<SystemStore>(std::move(job), std::move(done)), 0);
    }
    template <class Job, class Done>
    void read(AccountId account, Job job, Done done) {
        post({account}, true, make_work<AccountStore>(std::move(job), std::move(done)), 0);
    }
    template <class Job, class Done>
    void write(SearchFile file, Job job, Done done, std::size_t octets = 0) {
        post({file.account, true}, false, make_work<SearchStore>(std::move(job), std::move(done)), octets);
    }
    template <class Job, class Done>
    void read(SearchFile file, Job job, Done done) {
        post({file.account, true}, true, make_work<SearchStore>(std::move(job), std::move(done)), 0);
    }

    struct Counters {
        std::uint64_t writes = 0, commits = 0, reads = 0, failed = 0, waiting = 0, open_accounts = 0;
    };
    Counters counters() const;
    // Rises with every commit of the account's file, before its completions are called: what was read after
    // the same number was given is still so.
    std::uint64_t version(AccountId account) const;
    // The account's file was written by a connection that is not the executor's.
    void raise_version(AccountId account);

    // A job with its type gone. run() keeps the result; finish() hands it, or `error` instead of it, to the
    // completion.
    class Work {
      public:
        virtual ~Work() = default;
        virtual bool run(void* store) = 0;  // false: failed, to be undone
        virtual void finish(const std::optional<Error>& error) = 0;
    };

  private:
    template <class Store, class Job, class Done>
    class TypedWork final : public Work {
      public:
        TypedWork(Job job, Done done) : job_(std::move(job)), done_(std::move(done)) {}
        bool run(void* store) override {
            result_.emplace(job_(*static_cast<Store*>(store)));
            return result_->has_value();
        }
        void finish(const std::optional<Error>& error) override {
            if (error || !result_)
                done_(R(std::unexpected(
                    error.value_or(Error{ErrorKind::internal, "a store job gave no result"}))));
            else
                done_(std::move(*result_));
        }

      private:
        using R = std::invoke_result_t<Job&, Store&>;
        Job job_;
        Done done_;
        std::optional<R> result_;
    };
    template <class Store, class Job, class Done>
    static std::unique_ptr<Work> make_work(Job job, Done done) {
        return std::make_unique<TypedWork<Store, Job, Done>>(std::move(job), std::move(done));
    }

    // A database file: system.db, an account's, or an account's search index.
    struct File {
        std::optional<AccountId> account = {};
        bool search = false;
        auto operator<=>(const File&) const = default;
    };

    explicit Executor(ExecutorOptions options);
    void post(File file, bool read, std::unique_ptr<Work> work, std::size_t octets);

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fwmail::store
