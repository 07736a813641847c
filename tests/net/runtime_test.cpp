#include "net/runtime.hpp"

#include <csignal>

#include "base/co_try.hpp"
#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;

TEST_CASE("a notifier keeps its notice, forgets it when taken, and obeys the deadline") {
    Background b;
    auto body = [&]() -> Task<> {
        Notifier notifier(co_await boost::asio::this_coro::executor);
        notifier.notify();
        notifier.notify();
        bool notified = co_await notifier.wait();
        CHECK(notified);
        notified = co_await notifier.wait(deadline_after(10ms));
        CHECK_FALSE(notified);
        notified = co_await notifier.wait(Deadline{});
        CHECK_FALSE(notified);
        notifier.notify();
        notified = co_await notifier.wait(Deadline{});
        CHECK(notified);
    };
    b.run(body());
}

TEST_CASE("notices from many threads are never missed") {
    Background b;
    constexpr int threads = 4, each = 5000;
    std::atomic<int> sent = 0;
    auto body = [&]() -> Task<int> {
        Notifier notifier(co_await boost::asio::this_coro::executor);
        std::vector<std::thread> senders;
        for (int t = 0; t < threads; ++t)
            senders.emplace_back([notifier, &sent]() mutable {
                for (int i = 0; i < each; ++i) {
                    ++sent;
                    notifier.notify();
                    if (i % 64 == 0) std::this_thread::yield();
                }
            });
        // As a queue is drained: whoever sees all of them was woken for the last.
        int rounds = 0;
        while (sent < threads * each) {
            bool notified = co_await notifier.wait(soon());
            if (!notified) co_return -1;
            ++rounds;
        }
        for (auto& sender : senders) sender.join();
        co_return rounds;
    };
    CHECK(b.run(body()) > 0);
}

TEST_CASE("a copy of a notifier may outlive the runtime") {
    std::optional<Notifier> copy;
    {
        Background b;
        copy.emplace(b.runtime.main_executor());
        b.runtime.spawn_on(b.runtime.main_executor(), "waits",
                           [](Notifier n) -> Task<> { co_await n.wait(deadline_after(30ms)); }(*copy));
    }
    copy->notify();
}

TEST_CASE("work done by other threads comes back to the coroutine's own") {
    Background b;
    std::vector<std::thread> workers;
    auto body = [&]() -> Task<int> {
        auto home = std::this_thread::get_id();
        int sum = 0;
        for (int i = 0; i < 200; ++i) {
            std::function<void(std::function<void(std::string)>)> start =
                [&](std::function<void(std::string)> done) {
                    workers.emplace_back([done, i] { done(std::to_string(i)); });
                };
            std::string text = co_await async_from_callback<std::string>(start);
            sum += std::stoi(text);
            if (std::this_thread::get_id() != home) co_return -1;
        }
        std::function<void(std::function<void(int)>)> at_once = [](std::function<void(int)> done) {
            done(1);
        };
        int one = co_await async_from_callback<int>(at_once);
        co_return sum + one;
    };
    CHECK(b.run(body()) == 199 * 200 / 2 + 1);
    for (auto& worker : workers) worker.join();
}

TEST_CASE("stop calls back, waits for sessions, and cuts what does not end") {
    Log log(2, LogLevel::error);
    Runtime runtime(log, 2);
    bool stopped = false;
    std::atomic<bool> ended = false;
    Notifier stop(runtime.main_executor());
    runtime.on_stop([&] {
        stopped = true;
        stop.notify();
    });
    auto polite = [](Notifier notifier, std::atomic<bool>* end) -> Task<> {
        co_await notifier.wait();
        co_await sleep_for(50ms);
        *end = true;
    };
    auto stubborn = []() -> Task<> { co_await sleep_for(1h); };
    runtime.spawn_on(runtime.main_executor(), "polite", polite(stop, &ended));
    bool cut = GENERATE(false, true);
    if (cut) runtime.spawn("stubborn", stubborn());
    auto begin = std::chrono::steady_clock::now();
    std::thread stopper([&] {
        std::this_thread::sleep_for(20ms);
        runtime.request_stop();
    });
    runtime.run(400ms);
    stopper.join();
    auto took = std::chrono::steady_clock::now() - begin;
    CHECK(stopped);
    CHECK(ended);
    CHECK(runtime.live() == (cut ? 1u : 0u));
    CHECK(took >= (cut ? 400ms : 60ms));
    if (!cut) CHECK(took < 400ms);
}

TEST_CASE("signals stop and reload") {
    Log log(2, LogLevel::error);
    Runtime runtime(log, 1);
    int reloads = 0, stops = 0;
    runtime.on_reload([&] {
        ++reloads;
        std::raise(SIGTERM);
    });
    runtime.on_stop([&] { ++stops; });
    runtime.catch_signals();
    std::raise(SIGHUP);
    runtime.run(1s);
    CHECK(reloads == 1);
    CHECK(stops == 1);
}

namespace {
Task<Result<std::string>> half(std::string text) {
    co_await sleep_for(1ms);
    if (text.size() % 2) co_return fail(ErrorKind::refused, "odd: " + text);
    co_return text.substr(text.size() / 2);
}
Task<Result<std::string>> quarter(std::string text) {
    std::string once = CO_TRY(co_await half(std::move(text)));
    std::string twice = CO_TRY(co_await half(once));
    co_return once + twice;
}
}  // namespace

TEST_CASE("CO_TRY gives the value or ends with the error") {
    Background b;
    CHECK(b.run(quarter("a long text that is on the heap, 40 chars")).error().text.starts_with("odd"));
    CHECK(b.run(quarter("abcdefgh")) == "efghgh");
    CHECK(b.run(quarter("abcdef")).error().text == "odd: def");
}
