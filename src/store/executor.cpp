#include "store/executor.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "store/database.hpp"

namespace fwmail::store {
namespace {

// One connection, of either kind of file.
struct Handle {
    std::unique_ptr<SystemStore> system;
    std::unique_ptr<AccountStore> account;
    std::unique_ptr<SearchStore> search;
    explicit operator bool() const { return system || account || search; }
    void* store() {
        return system    ? static_cast<void*>(system.get())
               : account ? static_cast<void*>(account.get())
                         : search.get();
    }
    Database& database() {
        return system ? system->database() : account ? account->database() : search->database();
    }
};

struct WriteItem {
    std::unique_ptr<Executor::Work> work;
    std::size_t octets = 0;
};

// One database file. `outstanding`, `writes`, `writing` and `idle` belong to the executor's mutex; the writer
// to the one thread that has the channel's write task, once it is open.
struct Channel {
    std::optional<AccountId> account;
    bool search = false;  // the account's search index
    std::deque<WriteItem> writes;
    bool writing = false;         // a write task is queued or runs
    std::size_t outstanding = 0;  // jobs that were posted and are not finished
    std::vector<Handle> idle;     // read connections
    std::mutex opening;           // guards the making of `writer`
    Handle writer;
};

struct Task {
    Channel* channel;
    std::unique_ptr<Executor::Work> read;  // null: a write task
};

Error thrown(const std::exception& e) {
    return {ErrorKind::internal, std::string("a store job threw: ") + e.what()};
}

// What became of a job: nothing to add to its own result, or an error instead of it.
using Outcome = std::optional<Error>;

// Runs one job in a savepoint, or in a transaction of its own where none is open. False: it failed and was
// undone.
bool run_step(Handle& handle, Executor::Work& work, Outcome& outcome) {
    auto step = Transaction::begin_step(handle.database());
    if (!step) {
        outcome = step.error();
        return false;
    }
    try {
        if (!work.run(handle.store())) return false;
    } catch (const std::exception& e) {
        outcome = thrown(e);
        return false;
    }
    if (auto kept = step->commit(); !kept) outcome = kept.error();
    return !outcome;
}

}  // namespace

struct Executor::Impl {
    ExecutorOptions options;
    mutable std::mutex mutex;
    std::condition_variable wake;
    // Long work of one kind leaves a thread for the other: a commit must not wait for a mailbox to be read.
    std::deque<Task> reads, writes;
    std::size_t reading = 0, writing = 0;
    Channel system;
    std::list<std::unique_ptr<Channel>> accounts;  // the latest used in front
    std::map<File, std::list<std::unique_ptr<Channel>>::iterator> by_id;
    Counters counters;
    std::map<AccountId, std::uint64_t> versions;
    bool stopping = false;
    std::vector<std::thread> threads;

    explicit Impl(ExecutorOptions o) : options(std::move(o)) {}

    Channel& channel(const File& file);
    Result<Handle> open(const Channel& channel, Access access);
    Result<void> ensure_writer(Channel& channel);
    void work();
    std::deque<Task>* next_queue();
    void run_writes(Channel& channel);
    void raise_version(AccountId account) {
        std::lock_guard guard(mutex);
        ++versions[account];
    }
    std::vector<WriteItem> take_batch(Channel& channel);
    // The outcomes of the first items; fewer than the batch has when the transaction was lost under way.
    std::vector<Outcome> run_batch(Channel& channel, std::vector<WriteItem>& batch);
    void run_read(Channel& channel, Work& work);
    Outcome read_with(Handle& handle, Work& work);
    std::vector<std::unique_ptr<Channel>> settle(Channel& channel, std::size_t jobs);
};

// Under the mutex.
Channel& Executor::Impl::channel(const File& file) {
    if (!file.account) return system;
    auto it = by_id.find(file);
    if (it == by_id.end()) {
        accounts.push_front(std::make_unique<Channel>());
        accounts.front()->account = file.account;
        accounts.front()->search = file.search;
        it = by_id.emplace(file, accounts.begin()).first;
    }
    accounts.splice(accounts.begin(), accounts, it->second);
    return *accounts.front();
}

Result<Handle> Executor::Impl::open(const Channel& channel, Access access) {
    Handle handle;
    if (!channel.account)
        handle.system = TRY(SystemStore::open(options.data_dir, access));
    else if (channel.search)
        handle.search = TRY(SearchStore::open(options.data_dir, *channel.account, access));
    else
        handle.account = TRY(
            AccountStore::open(options.data_dir, *channel.account, options.clock(), access, options.life));
    return handle;
}

Result<void> Executor::Impl::ensure_writer(Channel& channel) {
    std::lock_guard guard(channel.opening);
    if (!channel.writer) channel.writer = TRY(open(channel, Access::read_write));
    return {};
}

std::vector<WriteItem> Executor::Impl::take_batch(Channel& channel) {
    std::lock_guard guard(mutex);
    std::vector<WriteItem> batch;
    std::size_t octets = 0;
    while (!channel.writes.empty() && batch.size() < options.batch_jobs) {
        octets += channel.writes.front().octets;
        if (!batch.empty() && octets > options.batch_octets) break;
        batch.push_back(std::move(channel.writes.front()));
        channel.writes.pop_front();
    }
    return batch;
}

std::vector<Outcome> Executor::Impl::run_batch(Channel& channel, std::vector<WriteItem>& batch) {
    auto all = [](std::size_t count, const Error& error) { return std::vector<Outcome>(count, error); };
    if (auto ready = ensure_writer(channel); !ready) return all(batch.size(), ready.error());
    std::vector<Outcome> outcomes;
    // One alone needs no savepoint, which would make it slow.
    if (batch.size() == 1) {
        run_step(channel.writer, *batch.front().work, outcomes.emplace_back());
        return outcomes;
    }
    Database& db = channel.writer.database();
    auto transaction = Transaction::begin(db);
    if (!transaction) return all(batch.size(), transaction.error());
    for (auto& item : batch) {
        outcomes.emplace_back();
        bool good = run_step(channel.writer, *item.work, outcomes.back());
        // SQLite undoes everything on a full disk or an I/O error. What ran before fails with it, what has
        // not run yet is tried again.
        if (!db.in_transaction()) {
            Outcome last = outcomes.back();
            outcomes =
                all(outcomes.size(), {ErrorKind::temporary, "the transaction was undone: is the disk full?"});
            if (!good) outcomes.back() = last;  // it knows best what happened
            return outcomes;
        }
    }
    auto kept = transaction->commit();
    if (!kept)
        for (auto& outcome : outcomes)
            if (!outcome) outcome = kept.error();
    return outcomes;
}

void Executor::Impl::run_writes(Channel& channel) {
    auto batch = take_batch(channel);
    auto outcomes = run_batch(channel, batch);
    if (channel.account && !channel.search) raise_version(*channel.account);
    std::uint64_t failed = 0;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        batch[i].work->finish(outcomes[i]);
        if (outcomes[i]) ++failed;
        batch[i].work.reset();
    }
    std::vector<std::unique_ptr<Channel>> closing;
    std::lock_guard guard(mutex);
    ++counters.commits;
    counters.writes += outcomes.size();
    counters.failed += failed;
    for (std::size_t i = batch.size(); i-- > outcomes.size();) channel.writes.push_front(std::move(batch[i]));
    channel.writing = !channel.writes.empty();
    if (channel.writing) {
        writes.push_back({&channel, nullptr});
        wake.notify_one();
    }
    closing = settle(channel, outcomes.size());
}

Outcome Executor::Impl::read_with(Handle& handle, Work& work) {
    auto transaction = Transaction::begin_reading(handle.database());
    if (!transaction) return transaction.error();
    Outcome outcome;
    try {
        work.run(handle.store());
    } catch (const std::exception& e) {
        outcome = thrown(e);
    }
    return outcome;
}

void Executor::Impl::run_read(Channel& channel, Work& work) {
    Handle handle;
    {
        std::lock_guard guard(mutex);
        if (!channel.idle.empty()) {
            handle = std::move(channel.idle.back());
            channel.idle.pop_back();
        }
    }
    Outcome outcome;
    if (!handle) {
        auto made = ensure_writer(channel);
        Result<Handle> opened = made ? open(channel, Access::read_only) : fail(made.error());
        if (opened)
            handle = std::move(*opened);
        else
            outcome = opened.error();
    }
    if (!outcome) outcome = read_with(handle, work);
    work.finish(outcome);
    std::vector<std::unique_ptr<Channel>> closing;
    std::lock_guard guard(mutex);
    ++counters.reads;
    if (outcome) ++counters.failed;
    std::size_t keep = channel.account ? 1 : options.threads;
    if (!outcome && handle && channel.idle.size() < keep) channel.idle.push_back(std::move(handle));
    closing = settle(channel, 1);
}

// Under the mutex: these jobs are finished. Returns the files to close, which is done without the mutex
// because it may write the WAL back.
std::vector<std::unique_ptr<Channel>> Executor::Impl::settle(Channel& channel, std::size_t jobs) {
    channel.outstanding -= jobs;
    counters.waiting -= jobs;
    if (counters.waiting == 0 && stopping) wake.notify_all();
    std::vector<std::unique_ptr<Channel>> closing;
    for (auto it = accounts.end(); it != accounts.begin() && accounts.size() > options.open_accounts;) {
        --it;
        if ((*it)->outstanding > 0) continue;
        closing.push_back(std::move(*it));
        by_id.erase({closing.back()->account, closing.back()->search});
        it = accounts.erase(it);
    }
    return closing;
}

// Under the mutex: where a thread finds work now, writes first. Null: it has to wait.
std::deque<Task>* Executor::Impl::next_queue() {
    std::size_t most = std::max(options.threads, 2u) - 1;
    if (!writes.empty() && writing < most) return &writes;
    if (!reads.empty() && reading < most) return &reads;
    return nullptr;
}

void Executor::Impl::work() {
    std::unique_lock lock(mutex);
    for (;;) {
        std::deque<Task>* queue = nullptr;
        wake.wait(lock, [&] { return (queue = next_queue()) || (stopping && counters.waiting == 0); });
        if (!queue) return;
        Task task = std::move(queue->front());
        queue->pop_front();
        bool read = task.read != nullptr;
        ++(read ? reading : writing);
        // Whoever was woken for more may have found no room then.
        if (next_queue()) wake.notify_one();
        lock.unlock();
        if (read)
            run_read(*task.channel, *task.read);
        else
            run_writes(*task.channel);
        task.read.reset();
        lock.lock();
        --(read ? reading : writing);
    }
}

Executor::Executor(ExecutorOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Result<std::unique_ptr<Executor>> Executor::open(ExecutorOptions options) {
    options.threads = std::max(options.threads, 1u);
    options.batch_jobs = std::max<std::size_t>(options.batch_jobs, 1);
    std::unique_ptr<Executor> executor(new Executor(std::move(options)));
    Impl& impl = *executor->impl_;
    TRY(impl.ensure_writer(impl.system));  // whatever is wrong with system.db is told at once
    for (unsigned i = 0; i < impl.options.threads; ++i) impl.threads.emplace_back([&impl] { impl.work(); });
    return executor;
}

Executor::~Executor() {
    {
        std::lock_guard guard(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->wake.notify_all();
    for (auto& thread : impl_->threads) thread.join();
}

void Executor::post(File file, bool read, std::unique_ptr<Work> work, std::size_t octets) {
    std::lock_guard guard(impl_->mutex);
    Channel& channel = impl_->channel(file);
    ++channel.outstanding;
    ++impl_->counters.waiting;
    if (read)
        impl_->reads.push_back({&channel, std::move(work)});
    else {
        channel.writes.push_back({std::move(work), octets});
        if (channel.writing) return;  // its task will come to it
        channel.writing = true;
        impl_->writes.push_back({&channel, nullptr});
    }
    impl_->wake.notify_one();
}

void Executor::raise_version(AccountId account) { impl_->raise_version(account); }

std::uint64_t Executor::version(AccountId account) const {
    std::lock_guard guard(impl_->mutex);
    auto it = impl_->versions.find(account);
    return it == impl_->versions.end() ? 0 : it->second;
}

Executor::Counters Executor::counters() const {
    std::lock_guard guard(impl_->mutex);
    Counters counters = impl_->counters;
    counters.open_accounts = impl_->accounts.size();
    return counters;
}

}  // namespace fwmail::store
