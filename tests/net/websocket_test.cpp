#include "net/websocket.hpp"

#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;
using Opened = Result<std::unique_ptr<WebSocket>>;

namespace {

WebSocketOptions options_of(std::size_t max_message = 1 << 20, std::chrono::milliseconds silence = 20s) {
    return {"test.1", max_message, silence};
}

// What became of the sessions, each until its error.
class Ends {
  public:
    void add(Error error) {
        std::lock_guard lock(mutex_);
        errors_.push_back(std::move(error));
    }
    std::size_t count() const {
        std::lock_guard lock(mutex_);
        return errors_.size();
    }
    // For the test's own thread.
    Error last() const {
        CHECK(eventually([this] { return count() > 0; }));
        std::lock_guard lock(mutex_);
        return errors_.empty() ? Error{} : errors_.back();
    }

  private:
    mutable std::mutex mutex_;
    std::vector<Error> errors_;
};

// Sends back each message.
Task<> echo_messages(StreamPtr stream, WebSocketOptions options, std::chrono::milliseconds patience,
                     Ends* ends) {
    auto socket = co_await WebSocket::accept(std::move(stream), options, deadline_after(patience));
    if (!socket) {
        ends->add(socket.error());
        co_return;
    }
    (*socket)->set_deadline(no_deadline);
    for (;;) {
        auto message = co_await (*socket)->read();
        if (!message) {
            ends->add(message.error());
            co_await (*socket)->close(CloseCode::going_away, {});
            co_return;
        }
        auto written = co_await (*socket)->write(*message);
        if (!written) co_return;
    }
}

std::shared_ptr<Listener> echo_server(Background& b, Ends& ends, WebSocketOptions options = options_of(),
                                      std::chrono::milliseconds patience = 20s) {
    return listen_for(b, [=, &ends](StreamPtr stream) {
        return echo_messages(std::move(stream), options, patience, &ends);
    });
}

Task<Opened> open_to(HostPort at, WebSocketOptions options = options_of()) {
    StreamPtr stream = co_await dial(at);
    co_return co_await WebSocket::connect(std::move(stream), at.text(), options, soon());
}

Task<std::string> answer_to(HostPort at, std::string request) {
    StreamPtr stream = co_await dial(at);
    auto written = co_await stream->write_all(request, soon());
    if (!written) co_return "<not written>";
    co_return co_await read_exactly(stream.get(), 4096);
}

constexpr const char* request =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

}  // namespace

TEST_CASE("WebSocket: messages of every size go both ways, pings between them") {
    auto [reason, heard] = GENERATE(table<std::string, std::string>(
        {{"enough", "(1008 enough)"},
         {"", "(1008)"},
         {"cut\xff", "(1008 cut)"},
         {std::string(122, 'x') + "\xc3\xa9", "(1008 " + std::string(122, 'x') + ")"},
         {"\x1b[2J", "(1008)"}}));
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends);
    auto body = [&]() -> Task<> {
        auto opened = co_await open_to(listener->address());
        REQUIRE(opened.has_value());
        auto& socket = **opened;
        CHECK(socket.stream().peer_address() == "127.0.0.1");
        for (std::size_t size : {0, 1, 125, 126, 16 * 1024, 65'535, 65'536, 200'000, 1 << 20}) {
            std::string message = random_octets(size);
            auto written = co_await socket.write(message);
            REQUIRE(written.has_value());
            auto pinged = co_await socket.ping();
            CHECK(pinged.has_value());
            auto back = co_await socket.read();
            REQUIRE(back.has_value());
            CHECK(*back == message);
        }
        co_await socket.close(CloseCode::policy_violation, reason);
    };
    b.run(body());
    auto end = ends.last();
    CHECK(end.kind == ErrorKind::temporary);
    CHECK_THAT(end.text, Catch::EndsWith(heard));
    b.finish();
}

TEST_CASE("WebSocket: a message above the limit ends the connection") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends, options_of(1000));
    auto body = [&](std::size_t size) -> Task<Result<std::string>> {
        auto opened = co_await open_to(listener->address());
        if (!opened) co_return fail(opened.error());
        std::string message(size, 'x');
        auto written = co_await (*opened)->write(message);
        if (!written) co_return fail(written.error());
        co_return co_await (*opened)->read();
    };
    CHECK(b.run(body(1000)).has_value());
    CHECK(eventually([&] { return ends.count() == 1; }));  // as the client has gone
    for (std::size_t size : {1001, 100'000}) {
        auto before = ends.count();
        auto back = b.run(body(size));
        REQUIRE_FALSE(back.has_value());
        CHECK(eventually([&] { return ends.count() > before; }));
        auto end = ends.last();
        CHECK(end.kind == ErrorKind::protocol);
        CHECK_THAT(end.text, Contains("above the limit"));
    }
    b.finish();
}

TEST_CASE("WebSocket: a silent peer is gone, a pinging one is not") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends, options_of(1000, 300ms));
    auto body = [&]() -> Task<> {
        auto opened = co_await open_to(listener->address());
        REQUIRE(opened.has_value());
        for (int i = 0; i < 12; ++i) {
            co_await sleep_for(50ms);
            auto pinged = co_await (*opened)->ping();
            REQUIRE(pinged.has_value());
        }
        CHECK(ends.count() == 0);
        co_await sleep_for(900ms);
    };
    b.run(body());
    auto end = ends.last();
    CHECK(end.kind == ErrorKind::temporary);
    CHECK_THAT(end.text, Contains("took too long"));
    b.finish();
}

TEST_CASE("WebSocket: another subprotocol is refused, by both ends") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends);
    auto other = options_of();
    other.subprotocol = "test.2";
    auto opened = b.run(open_to(listener->address(), other));
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::refused);
    CHECK_THAT(opened.error().text, Contains("426"));
    CHECK(ends.last().kind == ErrorKind::refused);

    std::string upgrade = request;
    auto missing = b.run(answer_to(listener->address(), upgrade + "\r\n"));
    CHECK_THAT(missing, Catch::StartsWith("HTTP/1.1 426 "));
    auto near =
        b.run(answer_to(listener->address(), upgrade + "Sec-WebSocket-Protocol: test.11, xtest.1\r\n\r\n"));
    CHECK_THAT(near, Catch::StartsWith("HTTP/1.1 426 "));
    b.finish();
}

namespace {
// Talks to a server that takes a list of subprotocols, then sends a frame of its own making.
Task<std::string> send_raw(HostPort at, std::string frame) {
    StreamPtr stream = co_await dial(at);
    std::string octets = std::string(request) + "Sec-WebSocket-Protocol: test.0 ,\ttest.1\r\n\r\n";
    (void)co_await stream->write_all(octets, soon());
    std::string answer;
    while (!answer.ends_with("\r\n\r\n")) answer += co_await read_exactly(stream.get(), 1);
    (void)co_await stream->write_all(frame, soon());
    co_return answer + co_await read_exactly(stream.get(), 100);
}
}  // namespace

TEST_CASE("WebSocket: a peer that breaks RFC 6455 is sent away") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends);
    // Text; not masked; a reserved bit; a continuation of nothing; a ping of 126 octets.
    for (std::string frame : {std::string("\x81\x81"
                                          "mask"
                                          "\x15",
                                          7),
                              std::string("\x82\x01x", 3),
                              std::string("\xc2\x81"
                                          "mask"
                                          "\x15",
                                          7),
                              std::string("\x80\x81"
                                          "mask"
                                          "\x15",
                                          7),
                              std::string("\x89\xfe\x00\x7e"
                                          "mask",
                                          8)}) {
        auto before = ends.count();
        auto answer = b.run(send_raw(listener->address(), frame));
        CHECK_THAT(answer, Contains("HTTP/1.1 101 ") && Contains("Sec-WebSocket-Protocol: test.1\r\n") &&
                               !Contains("xtension") && !Contains("Beast"));
        CHECK(eventually([&] { return ends.count() > before; }));
        INFO(ends.last().text);
        CHECK(ends.last().kind == ErrorKind::protocol);
    }
    b.finish();
}

TEST_CASE("WebSocket: what is no request is not served") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends, options_of(), 400ms);
    std::string whole = std::string(request) + "Sec-WebSocket-Protocol: test.1\r\n\r\n";
    std::string with_more = whole + "\x82", plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    CHECK_THAT(b.run(answer_to(listener->address(), with_more)), Catch::StartsWith("HTTP/1.1 426 "));
    CHECK_THAT(b.run(answer_to(listener->address(), plain)), Catch::StartsWith("HTTP/1.1 426 "));
    std::string long_header = "GET / HTTP/1.1\r\nX: " + std::string(5000, 'x') + "\r\n\r\n";
    for (std::string octets : {std::string("nonsense\r\n\r\n"), std::string(16, '\0'), long_header,
                               std::string("EHLO x\r\n"), whole.substr(0, whole.size() - 2)}) {
        auto before = ends.count();
        auto answer = b.run(answer_to(listener->address(), octets));
        CHECK(answer.find("HTTP/1.1") == std::string::npos);
        CHECK(eventually([&] { return ends.count() > before; }));
    }
    b.finish();
}

TEST_CASE("WebSocket: a server that is none is an error") {
    Background b;
    auto listener = listen_for(b, echo);
    auto opened = b.run(open_to(listener->address()));
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().kind == ErrorKind::protocol);
    b.finish();
}

TEST_CASE("WebSocket: the deadline holds for the whole handshake") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends, options_of(), 300ms);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        for (char c : std::string_view("GET / HTTP/1.1")) {  // an octet now and then
            auto written = co_await stream->write_all({&c, 1}, soon());
            if (!written) co_return;
            co_await sleep_for(50ms);
        }
    };
    b.run(body());
    CHECK_THAT(ends.last().text, Contains("took too long"));
    b.finish();
}

TEST_CASE("WebSocket: who goes away in the middle is noticed") {
    Background b;
    Ends ends;
    auto listener = echo_server(b, ends);
    auto body = [&]() -> Task<> {
        auto opened = co_await open_to(listener->address());
        REQUIRE(opened.has_value());
        (*opened)->abort();
    };
    b.run(body());
    CHECK_THAT(ends.last().text, Contains("cut"));
    b.finish();
}
