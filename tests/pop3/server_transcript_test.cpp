// Every server transcript whole, octet by octet, split at every offset, answered late, and failed at every
// request.
#include <catch2/catch.hpp>

#include "pop3/server_driver.hpp"

using namespace fwmail;
using namespace fwmail::pop3;
using namespace fwmail::pop3::testing;

namespace {

ServerConfig config_of(const Transcript& t) {
    ServerConfig config;
    config.hostname = "mail.example.org";
    config.offer_stls = t.has_option("stls");
    config.tls_from_start = t.has_option("tls");
    config.clear_login = t.has_option("clear-login");
    if (t.has_option("errors")) config.max_errors = static_cast<unsigned>(std::stoul(t.option("errors")));
    return config;
}

struct Piece {
    char kind;  // C: octets; R: an event
    std::string text;
    std::size_t line;
};

bool is_event(const Line& line) {
    return line.kind == 'R' && (line.text == "tls" || line.text == "deadline" || line.text == "shutdown");
}

std::vector<Piece> pieces_of(const Transcript& t, bool merge) {
    std::vector<Piece> out;
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        const Line& line = t.lines[i];
        if (line.kind != 'C' && !is_event(line)) continue;
        if (merge && line.kind == 'C' && !out.empty() && out.back().kind == 'C')
            out.back().text += line.text;
        else
            out.push_back({line.kind, line.text, i});
    }
    return out;
}

ServerDriver make_driver(const Transcript& t) {
    ServerDriver driver(config_of(t));
    for (const auto& line : t.lines)
        if (line.kind == 'R' && !is_event(line))
            (line.text.starts_with("body") ? driver.bodies : driver.replies).push_back(line.text);
    return driver;
}

void apply(ServerDriver& driver, const Piece& piece) {
    if (piece.kind == 'C')
        driver.feed(piece.text);
    else if (piece.text == "tls")
        driver.handle(driver.session.on_tls_started());
    else if (piece.text == "deadline")
        driver.handle(driver.session.on_deadline());
    else
        driver.handle(driver.session.on_shutdown());
}

// Cut into pieces of `every` octets and once more at `offset`; late: answers come after all octets of a
// piece.
std::string replay(const Transcript& t, std::size_t every, std::size_t offset, bool late) {
    ServerDriver driver = make_driver(t);
    driver.answer_at_once = !late;
    driver.body_piece = every;
    std::size_t position = 0;
    for (const Piece& piece : pieces_of(t, true)) {
        if (piece.kind == 'R') {
            apply(driver, piece);
            continue;
        }
        std::string_view octets = piece.text;
        while (!octets.empty()) {
            std::size_t count = std::min(octets.size(), every);
            if (offset > position) count = std::min(count, offset - position);
            driver.feed(octets.substr(0, count));
            octets.remove_prefix(count);
            position += count;
        }
        while (late && driver.session.awaits_reply()) driver.answer();
    }
    return driver.trace.text();
}

constexpr std::size_t whole = SIZE_MAX;

}  // namespace

TEST_CASE("POP3 server transcripts") {
    auto transcripts = load_transcripts("pop3", "server-");
    REQUIRE(transcripts.size() >= 7);
    for (const auto& t : transcripts) {
        INFO(t.name);
        std::string expected = expected_trace(t, 'S', t.lines.size());
        {  // line by line: everything said must have been said before the next line
            ServerDriver driver = make_driver(t);
            for (const Piece& piece : pieces_of(t, false)) {
                INFO("before line " << t.lines[piece.line].number);
                REQUIRE(driver.trace.text() == expected_trace(t, 'S', piece.line));
                apply(driver, piece);
            }
            REQUIRE(driver.trace.text() == expected);
            REQUIRE(driver.replies.empty());
            REQUIRE(driver.bodies.empty());
        }
        REQUIRE(replay(t, whole, 0, false) == expected);
        REQUIRE(replay(t, whole, 0, true) == expected);
        REQUIRE(replay(t, 1, 0, false) == expected);
        REQUIRE(replay(t, 1, 0, true) == expected);
        std::size_t total = 0;
        for (const Piece& piece : pieces_of(t, true)) total += piece.kind == 'C' ? piece.text.size() : 0;
        for (std::size_t offset = 1; offset < total; ++offset) {
            INFO("split at " << offset);
            bool same = replay(t, whole, offset, offset % 2) == expected;
            REQUIRE(same);
        }
    }
}

TEST_CASE("POP3 server stays in step when the backend fails at any request") {
    std::size_t failures = 0;
    for (const auto& t : load_transcripts("pop3", "server-")) {
        for (std::size_t fail_at = 0;; ++fail_at) {
            INFO(t.name << ", request " << fail_at);
            ServerDriver driver = make_driver(t);
            driver.fail_at = fail_at;
            for (const Piece& piece : pieces_of(t, false)) {
                if (driver.asked > fail_at) break;
                apply(driver, piece);
            }
            if (driver.asked <= fail_at) break;
            ++failures;
            std::string before = driver.trace.text();
            std::string refusal = "S: -ERR [SYS/TEMP] injected\\r\\n\n";
            if (driver.closed) {
                REQUIRE(before.ends_with(refusal + "X: close\n"));
                continue;
            }
            if (!before.ends_with(refusal)) continue;  // the pipelined rest has been answered too
            driver.feed("CAPA\r\nXYZZY\r\n");
            std::string after = driver.trace.text().substr(before.size());
            REQUIRE(after.starts_with("S: +OK what this server can do\\r\\n\n"));
            REQUIRE(after.ends_with("S: .\\r\\n\nS: -ERR that command is not known\\r\\n\n"));
        }
    }
    REQUIRE(failures >= 15);
}

namespace {

ServerDriver logged_in(const std::string& drop, ServerConfig config = {}) {
    config.clear_login = true;
    ServerDriver driver(config);
    driver.replies.push_back(drop);
    driver.feed("USER ann\r\nPASS secret\r\n");
    return driver;
}

}  // namespace

TEST_CASE("POP3 server sends a long list in pieces and takes no command in between") {
    std::string drop = "drop 7";
    for (int i = 1; i <= 5000; ++i) drop += ' ' + std::to_string(i) + ":10";
    ServerDriver driver = logged_in(drop);
    auto actions = driver.session.on_bytes("UIDL\r\nNOOP\r\n");
    std::size_t pieces = 0;
    std::string sent;
    for (;;) {
        REQUIRE(actions.size() <= 2);
        auto* send = std::get_if<Send>(&actions.at(0));
        REQUIRE(send);
        REQUIRE(send->octets.size() < 20 * 1024);
        sent += send->octets;
        ++pieces;
        if (actions.size() == 1) break;
        REQUIRE(std::holds_alternative<Continue>(actions[1]));
        actions = driver.session.on_continue();
    }
    REQUIRE(pieces > 3);
    REQUIRE(sent.starts_with("+OK 5000 messages\r\n1 7-1\r\n2 7-2\r\n"));
    REQUIRE(sent.ends_with("5000 7-5000\r\n.\r\n+OK\r\n"));
}

TEST_CASE("POP3 server bounds what it buffers") {
    ServerDriver driver = logged_in("drop 7 1:10");
    driver.answer_at_once = false;
    driver.feed("RETR 1\r\n");
    REQUIRE(driver.session.wants_input());
    driver.feed(std::string(70'000, 'x'));
    REQUIRE_FALSE(driver.session.wants_input());
    driver.bodies.push_back("body a\r\n");
    driver.replies.push_back("done");
    driver.answer();
    REQUIRE(driver.session.wants_input());  // the line without end is thrown away
    driver.feed("\r\nNOOP\r\n");
    REQUIRE(driver.trace.text().ends_with("S: -ERR the line is too long\\r\\n\nS: +OK\\r\\n\n"));
}

TEST_CASE("POP3 server leaves a message without end when it cannot be read") {
    ServerDriver driver = logged_in("drop 7 1:10");
    driver.replies.push_back("done");
    driver.bodies.push_back("body-cut From: x\r\n\r\nhal");
    driver.feed("RETR 1\r\n");
    REQUIRE(driver.closed);
    REQUIRE(driver.trace.text().ends_with("S: hal\nX: close\n"));
}
