// One line of a core, against a remote that is played by the test.
#include "service/dialled_line.hpp"

#include "core_support.hpp"
#include "crypto/openpgp_message.hpp"
#include "sync/frame.hpp"

using namespace fwmail;
using namespace fwmail::service;
using namespace fwmail::service::test;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;
using sync::LineAnswer;
using sync::LineFrame;
using enum sync::LineVerdict;

namespace {

const NodeId remote = id_of<NodeId>(9);

net::WebSocketOptions large() { return {std::string(sync::line_protocol), 16 << 20}; }

net::Task<> say(net::WebSocket& socket, sync::LineMessage message) {
    std::string octets = sync::write_line_message(message);
    (void)co_await socket.write(octets);
}

// As must(), where no assertion may stand: on a thread of the runtime.
template <class T>
T or_throw(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text);
    return std::move(*result);
}

template <class Message>
net::Task<Message> hear(net::WebSocket& socket) {
    auto octets = or_throw(co_await socket.read());
    co_return or_throw(sync::expect_line_message<Message>(octets));
}

// What the remote does. Then it only listens, until the line ends. Catch is of one thread, and this runs on
// another: what it hears is looked at by the test, once it has `played`.
using Script = std::function<net::Task<>(net::WebSocket&)>;

class Opened : public Core {
  public:
    explicit Opened(Script script, std::uint64_t remote_takes = 1 << 20)
        : replica_(node), receiver_(node, node.links, replica_), script_(std::move(script)) {
        link_outside(remote);
        auto listener = listen_for(there_, [this](net::StreamPtr stream) { return play(std::move(stream)); });
        line = run(open(listener->address(), remote_takes));
    }
    ~Opened() {
        line->end("the test is over");
        CHECK(eventually([this] { return !why().empty() && over_; }));
        CHECK(trouble() == "");
        std::weak_ptr<DialledLine> closing = line;
        line.reset();
        CHECK(eventually([&] { return closing.expired(); }));
        there_.finish();
    }

    // A frame from the remote, as it travels: it tells that a number is void.
    std::string frame(std::uint64_t number) {
        sync::Frame frame;
        frame.from = remote;
        frame.to = node.id;
        frame.id = make_id<sync::FrameIdTag>(now);
        frame.created = now;
        sync::AccountSection section;
        section.account = ann;
        section.epoch = {1, 2};
        section.echo = {1, 1};
        section.voids.add(number);
        frame.sections.push_back(std::move(section));
        auto key = crypto::test_key('r');
        crypto::SealOptions options;
        options.seed = Secret(random_octets(crypto::seed_size));
        options.date = now;
        options.signer = &key;
        return must(
            crypto::seal(must(sync::write_frame(frame)), {&node.key.public_key, 1}, std::move(options)));
    }
    bool has_applied(std::uint64_t number) {
        return read([](store::AccountStore& store) { return store.load_applied(remote); }).contains(number);
    }
    Result<> send(std::string sealed) {
        auto answer = std::make_shared<std::promise<Result<>>>();
        auto coming = answer->get_future();
        line->send(std::move(sealed), [answer](Result<> result) { answer->set_value(std::move(result)); });
        return coming.get();
    }
    NodeMailRoom& room() { return receiver_.room(); }
    std::string why() {
        std::lock_guard lock(mutex_);
        return why_;
    }
    // What kept the remote from its script.
    std::string trouble() {
        std::lock_guard lock(mutex_);
        return trouble_;
    }
    std::string ended() {
        CHECK(eventually([this] { return !why().empty(); }));
        return why();
    }

    std::shared_ptr<DialledLine> line;
    std::atomic<bool> played = false;

  private:
    net::Task<> play(net::StreamPtr stream) {
        try {
            auto socket = or_throw(co_await net::WebSocket::accept(std::move(stream), large(), soon()));
            socket->set_deadline(net::no_deadline);
            co_await script_(*socket);
            played = true;
            while (co_await socket->read()) {
            }
        } catch (const std::exception& error) {
            std::lock_guard lock(mutex_);
            trouble_ = error.what();
        }
        over_ = true;
    }
    net::Task<std::shared_ptr<DialledLine>> open(net::HostPort at, std::uint64_t remote_takes) {
        net::Executor executor = co_await boost::asio::this_coro::executor;
        auto stream = co_await dial(at);
        auto socket = must(co_await net::WebSocket::connect(std::move(stream), "x", large(), soon()));
        auto made = std::make_shared<DialledLine>(
            node, receiver_, limits_, LinePeer{node.links.all()->at(0), remote_takes}, std::move(socket));
        node.runtime.spawn_on(executor, "line", keep(made));
        co_return made;
    }
    net::Task<> keep(std::shared_ptr<DialledLine> kept) {
        auto why = co_await kept->run();
        std::lock_guard lock(mutex_);
        why_ = std::move(why);
    }

    Replica replica_;
    LinkReceiver receiver_;
    MailLimits limits_{node.config};
    std::mutex mutex_;
    std::string why_, trouble_;
    std::atomic<bool> over_ = false;
    Script script_;
    Background there_;
};

// Says these, and what the line is ended for.
std::string ended_by(std::vector<std::string> messages) {
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        for (const auto& message : messages) (void)co_await socket.write(message);
    });
    return opened.ended();
}

// Holds back what is written to the system file, as the notes of refusals, which go before their answers.
class Held {
  public:
    explicit Held(store::Executor& executor) {
        executor.write(
            store::system_file,
            [open = open_.get_future().share()](store::SystemStore&) -> Result<> {
                open.wait();
                return {};
            },
            [](Result<>) {});
    }
    ~Held() { open_.set_value(); }

  private:
    std::promise<void> open_;
};

}  // namespace

TEST_CASE("dialled line: a frame is answered when it is applied, and so when it comes again") {
    std::vector<LineAnswer> answers;
    std::promise<std::string> frame;
    auto made = frame.get_future();
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        std::string sealed = made.get();
        for (std::uint64_t number : {1, 2, 3}) {
            LineFrame next{number, number == 3 ? "not sealed" : sealed};
            co_await say(socket, std::move(next));
            auto answer = co_await hear<LineAnswer>(socket);
            answers.push_back(std::move(answer));
        }
    });
    frame.set_value(opened.frame(1));
    REQUIRE(eventually([&] { return opened.played.load(); }));
    CHECK(answers[0] == LineAnswer{1, applied, ""});
    CHECK(answers[1] == LineAnswer{2, applied, ""});
    CHECK(answers[2].number == 3);
    CHECK(answers[2].verdict == refused);
    CHECK_THAT(answers[2].text, Contains("cannot be opened"));
    CHECK(opened.has_applied(1));
    auto link = *opened.read_system([](store::SystemStore& system) { return system.find_link(remote); });
    CHECK(link.mails_refused == 1);
}

TEST_CASE("dialled line: each frame has the answer that its number has, in whatever order") {
    std::vector<LineFrame> heard;
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        for (std::size_t i = 0; i < sync::line_window; ++i) {
            auto frame = co_await hear<LineFrame>(socket);
            heard.push_back(std::move(frame));
        }
        co_await say(socket, LineAnswer{3, later, "no room"});
        co_await say(socket, LineAnswer{1, applied, ""});
        auto fifth = co_await hear<LineFrame>(socket);  // as the window has moved
        heard.push_back(std::move(fifth));
        co_await say(socket, LineAnswer{5, refused, "not wanted"});
        co_await say(socket, LineAnswer{4, applied, ""});
        co_await say(socket, LineAnswer{2, applied, ""});
    });
    std::vector<std::future<Result<>>> coming;
    for (int i = 1; i <= 5; ++i) {
        auto answer = std::make_shared<std::promise<Result<>>>();
        coming.push_back(answer->get_future());
        opened.line->send("frame " + std::to_string(i),
                          [answer](Result<> result) { answer->set_value(std::move(result)); });
    }
    std::vector<Result<>> results;
    for (auto& future : coming) results.push_back(future.get());
    REQUIRE(eventually([&] { return opened.played.load(); }));
    REQUIRE(heard.size() == 5);
    for (std::uint64_t i = 0; i < 5; ++i) {
        CHECK(heard[i].number == i + 1);
        CHECK(heard[i].sealed == "frame " + std::to_string(i + 1));
    }
    for (int i : {0, 1, 3}) CHECK(results[i].has_value());
    REQUIRE_FALSE(results[2].has_value());
    CHECK(results[2].error().kind == ErrorKind::temporary);
    CHECK(results[2].error().text == "no room");
    REQUIRE_FALSE(results[4].has_value());
    CHECK(results[4].error().kind == ErrorKind::refused);
    CHECK(results[4].error().text == "not wanted");
}

TEST_CASE("dialled line: no more than the window is sent ahead") {
    std::atomic<std::uint64_t> last = 0;
    std::atomic<bool> more_came = false;
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        while (last < sync::line_window) {
            auto frame = co_await hear<LineFrame>(socket);
            last = frame.number;
        }
        socket.set_deadline(net::deadline_after(500ms));
        auto more = co_await socket.read();
        more_came = more.has_value();
    });
    for (int i = 0; i < 10; ++i) opened.line->send("x", [](Result<>) {});
    REQUIRE(eventually([&] { return opened.played.load(); }));
    CHECK_FALSE(more_came);
    CHECK(last == sync::line_window);
}

TEST_CASE("dialled line: what has no answer when it ends may be sent again") {
    Opened opened([](net::WebSocket& socket) -> net::Task<> {
        (void)co_await hear<LineFrame>(socket);
        socket.abort();
    });
    for (int i = 0; i < 3; ++i) {
        auto sent = opened.send("a frame");
        REQUIRE_FALSE(sent.has_value());
        CHECK(sent.error().kind == ErrorKind::temporary);
    }
    CHECK_FALSE(opened.ended().empty());
}

TEST_CASE("dialled line: what is larger than the peer takes is refused here") {
    Opened opened(
        [](net::WebSocket& socket) -> net::Task<> {
            (void)co_await hear<LineFrame>(socket);
            co_await say(socket, LineAnswer{1, applied, ""});
        },
        1000);
    auto large = opened.send(std::string(1001, 'x'));
    REQUIRE_FALSE(large.has_value());
    CHECK(large.error().kind == ErrorKind::refused);
    CHECK_THAT(large.error().text,
               Contains("1001 octets") && Contains("takes 1000") && Contains("max-mail-size"));
    CHECK(opened.send(std::string(1000, 'x')).has_value());
}

TEST_CASE("dialled line: a peer that breaks the protocol ends it") {
    auto write = [](sync::LineMessage message) { return sync::write_line_message(message); };
    std::string frame = write(LineFrame{1, "x"});
    CHECK_THAT(ended_by({"\x63"}), Contains("damaged: of no known kind"));
    CHECK_THAT(ended_by({""}), Contains("damaged: cut short"));
    CHECK_THAT(ended_by({write(LineFrame{2, "x"})}), Contains("not in order"));
    CHECK_THAT(ended_by({frame, frame}), Contains("not in order"));
    CHECK_THAT(ended_by({write(LineFrame{0, "x"})}), Contains("not in order"));
    CHECK_THAT(ended_by({write(LineAnswer{1, applied, ""})}), Contains("not sent"));
    CHECK_THAT(ended_by({write(sync::LineOpen{})}), Contains("handshake of the line is over"));
    CHECK_THAT(ended_by({write(sync::LineChallenge{})}), Contains("handshake of the line is over"));
    std::string above = write(LineFrame{1, std::string((8 << 20) + sync::line_frame_overhead, 'x')});
    CHECK_THAT(ended_by({above}), Contains("above the limit"));
}

TEST_CASE("dialled line: more frames without an answer than the window end it") {
    std::atomic<bool> go = false, one_more = false;
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        while (!go) co_await net::sleep_for(5ms);
        for (std::uint64_t number = 1; number <= sync::line_window + 1; ++number) {
            while (number > sync::line_window && !one_more) co_await net::sleep_for(5ms);
            co_await say(socket, LineFrame{number, std::string(100'000, 'x')});
        }
    });
    Held held(opened.node.executor);
    go = true;
    // Each of them waits to be opened, or to be noted as refused.
    auto all_in_hand = [&] { return opened.node.executor.counters().waiting == 1 + sync::line_window; };
    CHECK(eventually(all_in_hand));
    CHECK(opened.why() == "");
    one_more = true;
    CHECK_THAT(opened.ended(), Contains("more frames without an answer"));
}

TEST_CASE("dialled line: without room for node mail a frame is to come again") {
    std::vector<LineAnswer> answers;
    std::promise<std::string> frame;
    auto made = frame.get_future();
    std::atomic<bool> refused_once = false, room_again = false;
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        std::string sealed = made.get();
        for (std::uint64_t number : {1, 2}) {
            co_await say(socket, LineFrame{number, sealed});
            auto answer = co_await hear<LineAnswer>(socket);
            answers.push_back(std::move(answer));
            refused_once = true;
            while (!room_again) co_await net::sleep_for(5ms);
        }
    });
    {
        NodeMailRoom::Share others;
        REQUIRE(others.grow(opened.room(), 192 << 20));
        frame.set_value(opened.frame(1));
        CHECK(eventually([&] { return refused_once.load(); }));
        CHECK_FALSE(opened.has_applied(1));
    }
    room_again = true;
    REQUIRE(eventually([&] { return opened.played.load(); }));
    CHECK(answers[0] == LineAnswer{1, later, "too much node mail is under way, try again later"});
    CHECK(answers[1] == LineAnswer{2, applied, ""});
    CHECK(opened.has_applied(1));
    // All that was taken has been given back.
    CHECK(eventually([&] {
        NodeMailRoom::Share whole;
        return whole.grow(opened.room(), 192 << 20);
    }));
}

TEST_CASE("dialled line: it ends when the server stops, and takes nothing more") {
    std::string heard;
    Opened opened([&](net::WebSocket& socket) -> net::Task<> {
        auto end = co_await socket.read();
        heard = end ? "a message" : end.error().text;
    });
    opened.node.stopping = true;
    opened.node.hub.stop_all();
    CHECK(opened.ended() == "this server stops");
    auto late = opened.send("a frame");
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().kind == ErrorKind::temporary);
    REQUIRE(eventually([&] { return opened.played.load(); }));
    CHECK_THAT(heard, Contains("(1001 this server stops)"));
    opened.node.stopping = false;
}
