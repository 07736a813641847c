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
    for (std::uint32_t uid = 1; uid <= messages; ++uid) reply.uids.append(Uid{uid});
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
    // What has begun must end, however often an octet of it comes.
    auto progress = session.progress();
    session.on_bytes("A LOG");
    CHECK(session.deadline() == Deadline{Deadline::From::progress, 10min});
    CHECK(session.progress() == progress);
    session.on_bytes("IN\r\n");
    CHECK(session.progress() > progress);
    CHECK(session.deadline() == Deadline{Deadline::From::last_input, 30min});
    session.on_bytes("A APPEND INBOX {100}\r\n");
    session.on_reply(Done{});
    CHECK(session.deadline() == Deadline{Deadline::From::progress, 60min});
    progress = session.progress();
    session.on_bytes("Subject: ");
    CHECK(session.progress() == progress);
    CHECK(session.deadline() == Deadline{Deadline::From::progress, 60min});
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

TEST_CASE("batches of UIDs, from the highest down") {
    ServerSession session = logged_in();
    session.on_bytes("- SELECT INBOX\r\n");
    Selected reply;  // every third number, 1200 messages
    for (std::uint32_t i = 1; i <= 1200; ++i) reply.uids.append(Uid{3 * i});
    session.on_reply(reply);
    CHECK(sent(session.on_bytes("A UIDBATCHES 500\r\n")) ==
          "* UIDBATCHES (TAG \"A\") 3600:2103,2100:603,600:3\r\nA OK UIDBATCHES completed\r\n");
    CHECK(sent(session.on_bytes("A UIDBATCHES 500 2:9\r\n")) ==
          "* UIDBATCHES (TAG \"A\") 2100:603,600:3\r\nA OK UIDBATCHES completed\r\n");
    CHECK(sent(session.on_bytes("A UIDBATCHES 1199 2:2\r\n")) ==
          "* UIDBATCHES (TAG \"A\") 3:3\r\nA OK UIDBATCHES completed\r\n");
    CHECK(sent(session.on_bytes("A UIDBATCHES 4294967295\r\n")) ==
          "* UIDBATCHES (TAG \"A\") 3600:3\r\nA OK UIDBATCHES completed\r\n");
}

TEST_CASE("no login comes of so many commands") {
    ServerOptions options;
    options.tls_active = true;
    ServerSession session(options);
    session.start();
    for (int i = 0; i < 50; ++i) CHECK(sent(session.on_bytes("A NOOP\r\n")) == "A OK NOOP completed\r\n");
    CHECK(session.abuse().empty());
    CHECK(sent(session.on_bytes("A NOOP\r\n")) ==
          "A OK NOOP completed\r\n* BYE Too many commands before the login\r\n");
    CHECK(session.closed());
    CHECK(session.abuse() == "Too many commands before the login");
}

TEST_CASE("a search has so many keys and texts, and is nested so deep") {
    ServerSession session = selected(1);
    auto repeated = [](std::string_view text, int times) {
        std::string out;
        for (int i = 0; i < times; ++i) out += text;
        return out;
    };
    auto begins = [&](const std::string& keys, std::string_view with) {
        std::string answer = sent(session.on_bytes("A SEARCH " + keys + "\r\n"));
        CHECK(answer.starts_with(with));
    };
    begins(repeated("BODY x ", 201) + "ALL", "A NO [LIMIT] ");
    begins(repeated("NOT ", 60) + "ALL", "A BAD ");
    begins(repeated("(", 60) + "ALL" + repeated(")", 60), "A BAD ");
    begins(repeated("SEEN ", 2001) + "ALL", "A BAD ");
    CHECK(requests(session.on_bytes("A SEARCH " + repeated("BODY x ", 200) + "ALL\r\n")) == 1);
    CHECK(sent(session.on_reply(Found{})) == "* SEARCH\r\nA OK SEARCH completed\r\n");
}

// RFC 4978 3: what stands behind COMPRESS could not be told from compressed octets.
TEST_CASE("nothing is compressed when the client did not wait for the answer") {
    ServerSession session = selected(1);
    Actions actions = session.on_bytes("A COMPRESS DEFLATE\r\nB LOGOUT\r\n");
    CHECK(sent(actions).starts_with("A BAD nothing may follow COMPRESS before its answer\r\n"));
    auto compressing = [](const Action& action) { return std::holds_alternative<StartCompression>(action); };
    CHECK(std::ranges::none_of(actions, compressing));
    ServerSession waiting = selected(1);
    CHECK(std::ranges::any_of(waiting.on_bytes("A COMPRESS DEFLATE\r\n"), compressing));
}
