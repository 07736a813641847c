// A runtime in the background, and coroutines run in it from a test.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "net/listener.hpp"

namespace fwmail::net::test {

using namespace std::chrono_literals;

class Background {
  public:
    explicit Background(unsigned threads = 2) : log_(2, LogLevel::error), runtime(log_, threads) {
        thread_ = std::thread([this] { runtime.run(2s); });
    }
    ~Background() { finish(); }

    // Sessions end here: call it before what they refer to goes.
    void finish() {
        if (!thread_.joinable()) return;
        for (auto& listener : listeners) listener->stop();
        runtime.request_stop();
        thread_.join();
        listeners.clear();
    }

    // Blocks until the coroutine has ended; what it throws is thrown here.
    template <class T>
    T run(Task<T> task) {
        auto promise = std::make_shared<std::promise<T>>();
        auto future = promise->get_future();
        runtime.spawn("test", fulfil(std::move(task), promise));
        if (future.wait_for(60s) != std::future_status::ready) {
            std::fputs("a coroutine of the test hangs\n", stderr);
            std::abort();
        }
        return future.get();
    }

  private:
    template <class T>
    static Task<> fulfil(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
        try {
            if constexpr (std::is_void_v<T>) {
                co_await std::move(task);
                promise->set_value();
            } else {
                promise->set_value(co_await std::move(task));
            }
        } catch (...) {
            promise->set_exception(std::current_exception());
        }
    }

    Log log_;

  public:
    Runtime runtime;
    std::vector<std::shared_ptr<Listener>> listeners;

  private:
    std::thread thread_;
};

inline Deadline soon() { return deadline_after(20s); }

// Reads until `count` octets are there or the peer ends; an error is shown as "<text>".
inline Task<std::string> read_exactly(Stream* stream, std::size_t count, Deadline deadline = soon()) {
    std::string got;
    std::vector<char> buffer(65536);
    while (got.size() < count) {
        auto n = co_await stream->read_some(
            std::span(buffer).first(std::min(buffer.size(), count - got.size())), deadline);
        if (!n) co_return got + "<" + n.error().text + ">";
        if (*n == 0) break;
        got.append(buffer.data(), *n);
    }
    co_return got;
}

// Sends back whatever comes, until the end.
inline Task<> echo(StreamPtr stream) {
    std::vector<char> buffer(16384);
    for (;;) {
        auto n = co_await stream->read_some(buffer, soon());
        if (!n || *n == 0) co_return;
        auto written = co_await stream->write_all({buffer.data(), *n}, soon());
        if (!written) co_return;
    }
}

inline std::shared_ptr<Listener> listen_for(Background& b, SessionHandler handler,
                                            ListenerOptions options = {}) {
    if (options.name.empty()) options.name = "test";
    options.max_connections_per_address = std::max<std::size_t>(options.max_connections_per_address, 1);
    auto listener = Listener::open(b.runtime, {"127.0.0.1", 0}, options, std::move(handler));
    if (!listener) FAIL(listener.error().text);
    b.listeners.push_back(*listener);
    return *listener;
}

inline Task<StreamPtr> dial(HostPort to) {
    Resolver resolver;
    auto stream = co_await connect(resolver, to, soon());
    if (!stream) throw std::runtime_error(stream.error().text);
    co_return std::move(*stream);
}

// Removed with all that is in it.
class Folder {
  public:
    Folder() : path("/tmp/fwmail-net-" + hex_encode(random_octets(6))) {
        std::filesystem::create_directory(path);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
    std::filesystem::path file(const std::string& name, std::string_view text = {}) const {
        if (!text.empty()) std::ofstream(path / name, std::ios::binary) << text;
        return path / name;
    }
};

// True as soon as `condition` is; false when it has not become so in ten seconds.
template <class Condition>
bool eventually(Condition condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return condition();
}

}  // namespace fwmail::net::test
