// Threads, signals, Notifier.
#include "net/runtime.hpp"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <mutex>
#include <thread>
#include <vector>

namespace asio = boost::asio;

namespace fwmail::net {

// The timer lies in the waiting coroutine, so that copies may outlive the runtime; `timer` is touched on the
// executor only. What both sides see is under the mutex.
struct Notifier::State {
    explicit State(Executor e) : executor(std::move(e)) {}
    const Executor executor;
    asio::steady_timer* timer = nullptr;
    std::mutex mutex;
    bool notified = false;
    bool waiting = false;

    // True: notified already, do not wait.
    bool take_or_begin() {
        std::scoped_lock lock(mutex);
        waiting = !notified;
        return std::exchange(notified, false);
    }
    void wake() {
        if (timer) timer->cancel();
    }
};

namespace {

constexpr bool never = false;

// Also when the coroutine is destroyed while it waits.
template <class State>
struct Waiting {
    State& state;
    Waiting(State& s, asio::steady_timer& timer) : state(s) { state.timer = &timer; }
    ~Waiting() {
        state.timer = nullptr;
        std::scoped_lock lock(state.mutex);
        state.waiting = false;
    }
};

}  // namespace

Notifier::Notifier(Executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

void Notifier::notify() {
    {
        std::scoped_lock lock(state_->mutex);
        if (std::exchange(state_->notified, true) || !state_->waiting) return;
    }
    asio::post(state_->executor, [state = state_] { state->wake(); });
}

void Notifier::poke() { state_->wake(); }

Task<bool> Notifier::wait(Deadline deadline) { return wait_or(never, deadline); }

Task<bool> Notifier::wait_or(const bool& done, Deadline deadline) {
    auto state = state_;
    asio::steady_timer timer(state->executor, deadline);
    Waiting<State> waiting(*state, timer);
    for (;;) {
        if (state->take_or_begin()) co_return true;
        if (done || std::chrono::steady_clock::now() >= deadline) co_return false;
        // A wake-up posted for an earlier wait may come to this one: hence the loop.
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

Task<> sleep_until(Deadline deadline) {
    asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
    co_await timer.async_wait(asio::use_awaitable);
}

Task<> sleep_for(std::chrono::steady_clock::duration time) { return sleep_until(deadline_after(time)); }

struct Runtime::Impl {
    struct Thread {
        asio::io_context context{1};
        asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
        std::thread thread;
    };

    explicit Impl(Log& l) : log(l) {}

    Log& log;
    std::vector<std::unique_ptr<Thread>> threads;
    std::atomic<std::size_t> next = 0;
    std::atomic<std::size_t> live = 0;
    std::atomic<bool> stopping = false;
    std::unique_ptr<asio::signal_set> signals;
    std::unique_ptr<asio::steady_timer> drain;
    Deadline drain_until = no_deadline;
    std::chrono::steady_clock::duration drain_time{};
    std::vector<std::function<void()>> stop_callbacks, reload_callbacks;

    void run_thread(Thread& thread) {
        for (;;) {
            try {
                thread.context.run();
                return;
            } catch (const std::exception& e) {
                log.error("runtime", std::string("exception outside of any session: ") + e.what());
            } catch (...) {
                log.error("runtime", "unknown exception outside of any session");
            }
        }
    }

    void call(const std::vector<std::function<void()>>& callbacks) {
        for (const auto& callback : callbacks) {
            try {
                callback();
            } catch (const std::exception& e) {
                log.error("runtime", std::string("exception in a callback: ") + e.what());
            }
        }
    }

    void finish() {
        for (auto& thread : threads) {
            thread->work.reset();
            thread->context.stop();
        }
    }

    // Looks every so often rather than at each end of a coroutine, which may happen on any thread.
    void drain_step() {
        if (live.load() == 0 || std::chrono::steady_clock::now() >= drain_until) {
            if (std::size_t left = live.load())
                log.warning("runtime",
                            std::to_string(left) + " sessions were cut at the end of the drain time");
            return finish();
        }
        drain->expires_after(std::chrono::milliseconds(10));
        drain->async_wait([this](boost::system::error_code) { drain_step(); });
    }

    void begin_stop() {
        if (drain) return;
        drain = std::make_unique<asio::steady_timer>(threads[0]->context);
        drain_until = deadline_after(drain_time);
        call(stop_callbacks);
        drain_step();
    }

    void wait_signal() {
        signals->async_wait([this](boost::system::error_code error, int number) {
            if (error) return;
            if (number == SIGHUP) {
                call(reload_callbacks);
            } else if (stopping.exchange(true)) {
                drain_until = {};
            } else {
                begin_stop();
            }
            wait_signal();
        });
    }
};

Runtime::Runtime(Log& log, unsigned threads) : impl_(std::make_unique<Impl>(log)) {
    if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) {
        impl_->threads.push_back(std::make_unique<Impl::Thread>());
        // A context opens its epoll descriptors at first use. That must not be when a connection comes in and
        // no descriptor is left.
        asio::steady_timer first_use(impl_->threads.back()->context);
    }
}

Runtime::~Runtime() {
    impl_->finish();
    for (auto& thread : impl_->threads)
        if (thread->thread.joinable()) thread->thread.join();
    impl_->signals.reset();
    impl_->drain.reset();
    // The first context's acceptors hold sockets of the others: it goes first.
    for (auto& thread : impl_->threads) thread.reset();
}

Executor Runtime::main_executor() { return impl_->threads[0]->context.get_executor(); }

Executor Runtime::next_executor() {
    return impl_->threads[impl_->next++ % impl_->threads.size()]->context.get_executor();
}

unsigned Runtime::threads() const { return static_cast<unsigned>(impl_->threads.size()); }
std::size_t Runtime::live() const { return impl_->live; }
Log& Runtime::log() { return impl_->log; }

void Runtime::spawn(std::string name, Task<> task) {
    spawn_on(next_executor(), std::move(name), std::move(task));
}

void Runtime::spawn_on(Executor executor, std::string name, Task<> task) {
    ++impl_->live;
    asio::co_spawn(executor, std::move(task),
                   [impl = impl_.get(), name = std::move(name)](std::exception_ptr e) {
                       --impl->live;
                       if (!e) return;
                       try {
                           std::rethrow_exception(e);
                       } catch (const std::exception& exception) {
                           impl->log.error(name, std::string("ended by an exception: ") + exception.what());
                       } catch (...) {
                           impl->log.error(name, "ended by an unknown exception");
                       }
                   });
}

void Runtime::on_stop(std::function<void()> callback) {
    impl_->stop_callbacks.push_back(std::move(callback));
}
void Runtime::on_reload(std::function<void()> callback) {
    impl_->reload_callbacks.push_back(std::move(callback));
}

void Runtime::catch_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    impl_->signals = std::make_unique<asio::signal_set>(impl_->threads[0]->context, SIGTERM, SIGINT, SIGHUP);
    impl_->wait_signal();
}

void Runtime::request_stop() {
    if (impl_->stopping.exchange(true)) return;
    asio::post(main_executor(), [impl = impl_.get()] { impl->begin_stop(); });
}

void Runtime::request_reload() {
    asio::post(main_executor(), [impl = impl_.get()] { impl->call(impl->reload_callbacks); });
}

void Runtime::run(std::chrono::steady_clock::duration drain) {
    impl_->drain_time = drain;
    for (std::size_t i = 1; i < impl_->threads.size(); ++i) {
        auto& thread = *impl_->threads[i];
        thread.thread = std::thread([impl = impl_.get(), &thread] { impl->run_thread(thread); });
    }
    impl_->run_thread(*impl_->threads[0]);
    for (auto& thread : impl_->threads)
        if (thread->thread.joinable()) thread->thread.join();
}

}  // namespace fwmail::net
