// Threads, signals, and what coroutines wait for. One io_context per core of the machine, each run by one
// thread; a coroutine spawned on an executor stays on that thread, so its data needs no lock.
//
// Order of destruction: what coroutines refer to must outlive the Runtime; threads that notify or complete
// (the store's) must have stopped before it goes.
#pragma once

#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "net/stream.hpp"

namespace fwmail::net {

// A condition to wait for. Copies are the same condition, so that the notifying side may outlive the waiting
// one. It stays notified until a wait takes it. One coroutine waits at a time, on the executor given.
class Notifier {
  public:
    explicit Notifier(Executor executor);

    // From any thread. Several before a wait are one.
    void notify();
    // True: notified (and reset). False: the deadline passed.
    Task<bool> wait(Deadline deadline = no_deadline);

    // For Stream: wakes the waiting coroutine without counting as notified. On the executor only.
    void poke();
    // As wait(), but ends early, false, when `done` becomes true and poke() is called.
    Task<bool> wait_or(const bool& done, Deadline deadline);

  private:
    struct State;
    std::shared_ptr<State> state_;
};

Task<> sleep_until(Deadline deadline);
Task<> sleep_for(std::chrono::steady_clock::duration time);

// Awaits work done elsewhere. `start` gets a completion that may be called once, from any thread; the
// coroutine goes on on its own executor. A completion that is never called leaves the coroutine waiting until
// the runtime goes, so whoever drops jobs has to complete them with an error.
template <class T>
Task<T> async_from_callback(std::function<void(std::function<void(T)>)> start) {
    struct State {
        explicit State(Executor executor) : done(std::move(executor)) {}
        Notifier done;
        std::optional<T> value;
    };
    Executor executor = co_await boost::asio::this_coro::executor;
    auto state = std::make_shared<State>(std::move(executor));
    start([state](T value) {
        state->value.emplace(std::move(value));
        state->done.notify();
    });
    bool done = false;
    while (!done) done = co_await state->done.wait();
    co_return std::move(*state->value);
}

class Runtime {
  public:
    // threads = 0: one per core of the machine.
    explicit Runtime(Log& log, unsigned threads = 0);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    Executor main_executor();
    // Round robin over the threads.
    Executor next_executor();
    unsigned threads() const;

    // From any thread. An exception ends the coroutine and is logged under `name`.
    void spawn(std::string name, Task<> task);  // on next_executor()
    void spawn_on(Executor executor, std::string name, Task<> task);
    // How many spawned coroutines have not ended.
    std::size_t live() const;

    // Called on the main executor, before run(). On stop the role closes its listeners and wakes its
    // sessions.
    void on_stop(std::function<void()> callback);
    void on_reload(std::function<void()> callback);

    // SIGTERM and SIGINT are request_stop(), SIGHUP is request_reload(); a second SIGTERM or SIGINT ends at
    // once. SIGPIPE is ignored. Not for tests that run several.
    void catch_signals();
    // From any thread.
    void request_stop();
    void request_reload();

    // Runs until request_stop(), then until no coroutine is live or `drain` has passed. The calling thread is
    // one of the threads. May be called once.
    void run(std::chrono::steady_clock::duration drain = std::chrono::seconds(10));

    Log& log();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fwmail::net
