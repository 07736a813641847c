#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;
using Clk = std::chrono::steady_clock;

TEST_CASE("octets go both ways and the end is seen") {
    Background b;
    auto listener = listen_for(b, echo);
    CHECK(listener->address().port != 0);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        CHECK(stream->peer_address() == "127.0.0.1");
        CHECK_FALSE(stream->tls());
        std::string octets = random_octets(200'000);
        auto written = co_await stream->write_all(octets, soon());
        REQUIRE(written.has_value());
        std::string back = co_await read_exactly(stream.get(), octets.size());
        CHECK(back == octets);
        auto shut = co_await stream->shutdown(soon());
        CHECK(shut.has_value());
        std::string end = co_await read_exactly(stream.get(), 1);
        CHECK(end.empty());
    };
    b.run(body());
    CHECK(eventually([&] { return listener->connections() == 0; }));
    b.finish();
}

TEST_CASE("a deadline ends one read and nothing else") {
    Background b;
    auto listener = listen_for(b, echo);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        char c;
        auto begin = Clk::now();
        auto late = co_await stream->read_some({&c, 1}, deadline_after(50ms));
        CHECK(Clk::now() - begin < 5s);
        REQUIRE_FALSE(late.has_value());
        CHECK(late.error().kind == ErrorKind::temporary);
        CHECK_THAT(late.error().text, Contains("too long"));
        auto written = co_await stream->write_all("still", soon());
        CHECK(written.has_value());
        std::string back = co_await read_exactly(stream.get(), 5);
        CHECK(back == "still");
        auto past = co_await stream->read_some({&c, 1}, Clk::now() - 1s);
        CHECK_FALSE(past.has_value());
    };
    b.run(body());
    b.finish();
}

namespace {
// Does not read until told.
Task<> sleeper(StreamPtr stream, Notifier* go, std::size_t count, std::atomic<bool>* right) {
    co_await go->wait(soon());
    std::string got = co_await read_exactly(stream.get(), count);
    *right = got == std::string(count, 'x');
    co_await stream->write_all("done", soon());
}
}  // namespace

TEST_CASE("a reader that does not read holds the writer back") {
    Background b;
    constexpr std::size_t much = 64 << 20;
    Notifier go(b.runtime.main_executor());
    std::atomic<bool> right = false;
    auto handler = [&](StreamPtr s) { return sleeper(std::move(s), &go, much, &right); };
    auto listener = listen_for(b, handler);
    SECTION("till the deadline") {
        auto body = [&]() -> Task<> {
            StreamPtr stream = co_await dial(listener->address());
            std::string octets(much, 'x');
            auto written = co_await stream->write_all(octets, deadline_after(100ms));
            REQUIRE_FALSE(written.has_value());
            CHECK_THAT(written.error().text, Contains("writing") && Contains("too long"));
        };
        b.run(body());
        go.notify();
    }
    SECTION("till it reads") {
        std::atomic<bool> written_all = false, written_early = false;
        std::thread teller([&] {
            std::this_thread::sleep_for(200ms);
            written_early = written_all.load();
            go.notify();
        });
        auto body = [&]() -> Task<> {
            StreamPtr stream = co_await dial(listener->address());
            std::string octets(much, 'x');
            auto written = co_await stream->write_all(octets, soon());
            written_all = true;
            CHECK(written.has_value());
            std::string done = co_await read_exactly(stream.get(), 4);
            CHECK(done == "done");
        };
        b.run(body());
        teller.join();
        CHECK_FALSE(written_early);
        CHECK(right);
    }
    b.finish();
}

namespace {
// Sends `count` numbered lines with short breaks, while notifying the peer's notifier in between.
Task<> dribble(StreamPtr stream, Notifier* notifier, int count) {
    for (int i = 0; i < count; ++i) {
        std::string line = std::to_string(i) + "\n";
        auto written = co_await stream->write_all(line, soon());
        if (!written) co_return;
        if (i % 3 == 0) notifier->notify();
        if (i % 7 == 0) co_await sleep_for(1ms);
    }
}

Task<std::string> read_idling(Stream* stream, Notifier* notifier, int* notified) {
    std::string got;
    char buffer[7];
    for (;;) {
        Wake wake = co_await stream->wait_readable(*notifier, soon());
        if (wake == Wake::deadline) co_return "deadline";
        if (wake == Wake::notified) {
            ++*notified;
            continue;
        }
        auto n = co_await stream->read_some(buffer, soon());
        if (!n) co_return n.error().text;
        if (*n == 0) co_return got;
        got.append(buffer, *n);
    }
}
}  // namespace

TEST_CASE("waiting for octets or a notice loses neither") {
    Background b;
    bool tls = GENERATE(false, true);
    ListenerOptions options;
    auto pair = make_self_signed({"localhost"});
    REQUIRE(pair.has_value());
    if (tls) options.implicit_tls = *TlsServer::from_pem(*pair);
    Notifier notifier(b.runtime.main_executor());
    constexpr int lines = 2000;
    auto handler = [&](StreamPtr s) { return dribble(std::move(s), &notifier, lines); };
    auto listener = listen_for(b, handler, options);
    std::string expected;
    for (int i = 0; i < lines; ++i) expected += std::to_string(i) + "\n";
    int notified = 0;
    auto client = TlsClient::make({.verify = TlsVerify::none});
    REQUIRE(client.has_value());
    // On the notifier's executor.
    std::promise<std::string> result;
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        if (tls) co_await stream->start_tls_client(*client, "localhost", soon());
        result.set_value(co_await read_idling(stream.get(), &notifier, &notified));
    };
    b.runtime.spawn_on(b.runtime.main_executor(), "reader", body());
    CHECK(result.get_future().get() == expected);
    CHECK(notified > 0);
    b.finish();
}

TEST_CASE("wait_readable: deadline, notice, then octets that came meanwhile") {
    Background b(1);
    Notifier go(b.runtime.main_executor());
    auto handler = [&](StreamPtr s) -> Task<> {
        StreamPtr stream = std::move(s);
        co_await go.wait(soon());
        co_await stream->write_all("late", soon());
    };
    auto listener = listen_for(b, handler);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        Notifier notifier(stream->executor());
        Wake wake = co_await stream->wait_readable(notifier, deadline_after(20ms));
        CHECK(wake == Wake::deadline);
        notifier.notify();
        wake = co_await stream->wait_readable(notifier, soon());
        CHECK(wake == Wake::notified);
        go.notify();
        // A read is pending from the first wait: a plain read has to take it over.
        std::string got = co_await read_exactly(stream.get(), 4);
        CHECK(got == "late");
        wake = co_await stream->wait_readable(notifier, soon());
        CHECK(wake == Wake::readable);
        char c;
        auto end = co_await stream->read_some({&c, 1}, soon());
        CHECK(end == 0u);
    };
    b.run(body());
    b.finish();
}

TEST_CASE("a thousand connections, all at once and gone again") {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
    setrlimit(RLIMIT_NOFILE, &limit);
    REQUIRE(limit.rlim_cur >= 2200);
    Background b;
    ListenerOptions options;
    options.max_connections = options.max_connections_per_address = 1000;
    auto listener = listen_for(b, echo, options);
    auto body = [&]() -> Task<int> {
        std::vector<StreamPtr> streams;
        for (int i = 0; i < 1000; ++i) streams.push_back(co_await dial(listener->address()));
        int good = 0;
        for (auto& stream : streams) co_await stream->write_all("hello", soon());
        for (auto& stream : streams) {
            std::string back = co_await read_exactly(stream.get(), 5);
            good += back == "hello";
        }
        co_return good;
    };
    CHECK(b.run(body()) == 1000);
    CHECK(eventually([&] { return listener->connections() == 0; }));
    CHECK(b.run(body()) == 1000);
    b.finish();
}

TEST_CASE("too many connections are turned away with a word") {
    Background b;
    ListenerOptions options;
    options.farewell = "* BYE Too many connections\r\n";
    SECTION("per address") { options.max_connections_per_address = 2; }
    SECTION("in all") { options.max_connections = 2; }
    auto listener = listen_for(b, echo, options);
    auto body = [&]() -> Task<> {
        StreamPtr one = co_await dial(listener->address());
        StreamPtr two = co_await dial(listener->address());
        StreamPtr three = co_await dial(listener->address());
        std::string word = co_await read_exactly(three.get(), 1000);
        CHECK(word == options.farewell);
        co_await one->write_all("x", soon());
        std::string back = co_await read_exactly(one.get(), 1);
        CHECK(back == "x");
        one->close();
    };
    b.run(body());
    REQUIRE(eventually([&] { return listener->connections() == 0; }));
    auto again = [&]() -> Task<std::string> {
        StreamPtr stream = co_await dial(listener->address());
        co_await stream->write_all("x", soon());
        co_return co_await read_exactly(stream.get(), 1);
    };
    CHECK(b.run(again()) == "x");
    b.finish();
}

TEST_CASE("out of descriptors the listener waits and goes on") {
    Background b;
    auto listener = listen_for(b, echo);
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(listener->address().port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rlimit none{3, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    int connected = ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
    std::this_thread::sleep_for(250ms);
    std::size_t during = listener->connections();
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK(connected == 0);
    CHECK(during == 0);
    REQUIRE(::send(fd, "ok", 2, 0) == 2);
    char back[2] = {};
    CHECK(::recv(fd, back, 2, MSG_WAITALL) == 2);
    CHECK(std::string_view(back, 2) == "ok");
    ::close(fd);
    b.finish();
}

TEST_CASE("an exception ends one session, not the others") {
    Background b;
    auto handler = [](StreamPtr s) -> Task<> {
        StreamPtr stream = std::move(s);
        char c;
        auto n = co_await stream->read_some({&c, 1}, soon());
        if (n && c == '!') throw std::logic_error("on purpose, by the test");
        co_await stream->write_all("alive", soon());
    };
    auto listener = listen_for(b, handler);
    auto body = [&](std::string what) -> Task<std::string> {
        StreamPtr stream = co_await dial(listener->address());
        co_await stream->write_all(what, soon());
        co_return co_await read_exactly(stream.get(), 5);
    };
    CHECK(b.run(body("!")).empty());
    CHECK(b.run(body("?")) == "alive");
    CHECK(eventually([&] { return listener->connections() == 0; }));
    b.finish();
}

TEST_CASE("listening: addresses, conflicts, stop, and nobody there") {
    Background b;
    auto listener = listen_for(b, echo);
    HostPort at = listener->address();
    auto taken = Listener::open(b.runtime, at, {.name = "t"}, echo);
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().kind == ErrorKind::usage);
    CHECK_THAT(taken.error().text, Contains("another program"));
    CHECK_FALSE(Listener::open(b.runtime, {"mail.example", 0}, {.name = "t"}, echo).has_value());
    auto all = Listener::open(b.runtime, {"*", 0}, {.name = "t"}, echo);
    REQUIRE(all.has_value());
    auto peer = [&](std::string host) -> Task<std::string> {
        StreamPtr stream = co_await dial({host, (*all)->address().port});
        co_return stream->peer_address();
    };
    CHECK(b.run(peer("127.0.0.1")) == "127.0.0.1");
    listener->stop();
    auto refused = [&]() -> Task<Result<StreamPtr>> {
        Resolver resolver;
        co_return co_await connect(resolver, at, soon());
    };
    CHECK(eventually([&] { return !b.run(refused()).has_value(); }));
    auto error = b.run(refused()).error();
    CHECK(error.kind == ErrorKind::temporary);
    CHECK_THAT(error.text, Contains(at.text()));
    b.finish();
}

TEST_CASE("a peer that has gone is seen behind octets that nobody has read") {
    Background b;
    Notifier seen(b.runtime.main_executor());
    std::atomic<bool> before = true, after = false;
    auto look = [&](StreamPtr stream) -> Task<> {
        before = stream->peer_gone();
        co_await stream->write_all("!", soon());
        for (int i = 0; i < 1000 && !after; ++i) {
            co_await sleep_for(10ms);
            after = stream->peer_gone();
        }
        seen.notify();
    };
    auto listener = listen_for(b, look);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        std::string mark = co_await read_exactly(stream.get(), 1);
        CHECK(mark == "!");
        co_await stream->write_all("unread", soon());
        stream->close();
        co_await sleep_for(1ms);
    };
    b.run(body());
    CHECK(eventually([&] { return after.load(); }));
    CHECK_FALSE(before);
    b.finish();
}
