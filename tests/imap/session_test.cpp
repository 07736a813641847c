// What transcripts cannot say: requests left pending, back-pressure, deadlines.
#include <catch2/catch.hpp>

#include "imap/server_session.hpp"
#include "support/imap_text.hpp"

using namespace fwmail;
using namespace fwmail::imap;

namespace {

ServerSession logged_in() {
    ServerOptions options;
    options.tls_active = true;
    ServerSession session(options);
    session.start();
    session.on_bytes("- LOGIN u p\r\n");
    session.on_reply(Done{});
    return session;
}

ServerSession selected(std::uint32_t messages) {
    ServerSession session = logged_in();
    session.on_bytes("- SELECT INBOX\r\n");
    Selected reply;
    for (std::uint32_t uid = 1; uid <= messages; ++uid) reply.uids.emplace_back(uid);
    session.on_reply(reply);
    return session;
}

std::string sent(const Actions& actions) {
    std::string out;
    for (const auto& action : actions)
        if (auto* send = std::get_if<Send>(&action)) out += send->octets;
    return out;
}

std::size_t requests(const Actions& actions) {
    return static_cast<std::size_t>(
        std::ranges::count_if(actions, [](const auto& a) { return std::holds_alternative<Ask>(a); }));
}

}  // namespace

TEST_CASE("one request at a time, and back-pressure meanwhile") {
    ServerSession session = selected(3);
    CHECK(session.user() == "u");
    Actions actions = session.on_bytes("A NOOP\r\nB NOOP\r\n");
    CHECK(requests(actions) == 1);
    CHECK(session.request_pending());
    CHECK(session.wants_input());
    CHECK(session.on_bytes(std::string(70'000, 'x')).empty());
    CHECK_FALSE(session.wants_input());
    actions = session.on_reply(Changes{});
    CHECK(sent(actions) == "A OK NOOP completed\r\n");
    CHECK(requests(actions) == 1);
    actions = session.on_reply(Changes{});
    CHECK(sent(actions) == "B OK NOOP completed\r\n* BAD command too long\r\n");
    CHECK(session.wants_input());
    CHECK(session.on_reply(Changes{}).empty());  // nobody asked
}

TEST_CASE("changes during IDLE: DONE waits for the news") {
    ServerSession session = selected(3);
    session.on_bytes("A IDLE\r\n");
    CHECK(requests(session.on_mailbox_changed()) == 1);
    CHECK(session.on_bytes("DONE\r\n").empty());
    CHECK(session.on_mailbox_changed().empty());  // remembered
    Changes changes;
    changes.arrived = {Uid(4)};
    Actions actions = session.on_reply(changes);
    CHECK(sent(actions) == "* 4 EXISTS\r\n* 0 RECENT\r\n");
    CHECK(requests(actions) == 1);
    CHECK(sent(session.on_reply(Changes{})) == "A OK IDLE completed\r\n");
}

TEST_CASE("a large mailbox loses all its messages at once") {
    ServerSession session = selected(200'000);
    session.on_bytes("A EXPUNGE\r\n");
    Expunged all;
    for (std::uint32_t uid = 1; uid <= 200'000; ++uid) all.uids.emplace_back(uid);
    std::string text = sent(session.on_reply(all));
    CHECK(text.starts_with("* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"));
    CHECK(text.ends_with("A OK EXPUNGE completed\r\n"));
}

TEST_CASE("deadlines") {
    using namespace std::chrono_literals;
    ServerSession fresh({});
    CHECK(fresh.deadline() == Deadline{Deadline::From::connected, 60s});
    ServerSession session = logged_in();
    CHECK(session.deadline() == Deadline{Deadline::From::last_input, 30min});
    CHECK(session.authenticated());
    CHECK(sent(session.on_deadline()).starts_with("* BYE "));
    CHECK(session.closed());
    CHECK(session.on_deadline().empty());
    CHECK(session.on_bytes("A NOOP\r\n").empty());
    CHECK_FALSE(session.wants_input());
}

TEST_CASE("a reply of the wrong kind is an internal error") {
    ServerSession session = selected(1);
    session.on_bytes("A FETCH 1 FLAGS\r\n");
    CHECK(sent(session.on_reply(Done{})).starts_with("A NO [SERVERBUG]"));
    CHECK(sent(session.on_bytes("B FETCH 1 FROB\r\n")).starts_with("B BAD"));
}

TEST_CASE("hostile text in a refusal cannot forge a response") {
    ServerSession session = selected(1);
    session.on_bytes("A COPY 1 x\r\n");
    CHECK(sent(session.on_reply(Refusal{ErrorKind::refused, "X] y\r\nz", "a\r\nB OK \xff"})) ==
          "A NO [X yz] a??B OK ?\r\n");
}
