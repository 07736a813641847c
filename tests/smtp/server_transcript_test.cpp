// Every server transcript whole, byte by byte, split at every offset, answered late, and failed at every
// request.
#include <catch2/catch.hpp>

#include "smtp/server_driver.hpp"

using namespace fwmail;
using namespace fwmail::smtp;
using namespace fwmail::smtp::testing;

namespace {

ServerConfig config_of(const Transcript& t) {
    ServerConfig config;
    config.hostname = "mx.example.org";
    if (t.has_option("size")) config.max_message_size = std::stoull(t.option("size"));
    if (t.has_option("recipients")) config.max_recipients = std::stoull(t.option("recipients"));
    if (t.has_option("errors")) config.max_errors = static_cast<unsigned>(std::stoul(t.option("errors")));
    if (t.has_option("refusals"))
        config.max_refusals = static_cast<unsigned>(std::stoul(t.option("refusals")));
    if (t.has_option("slow")) config.slow_refusals = static_cast<unsigned>(std::stoul(t.option("slow")));
    if (t.has_option("idle")) config.max_idle_commands = static_cast<unsigned>(std::stoul(t.option("idle")));
    config.offer_starttls = t.has_option("starttls");
    config.require_tls = t.has_option("require-tls");
    config.require_auth = t.has_option("require-auth");
    config.lmtp = t.has_option("lmtp");
    config.clear_auth = t.has_option("clear-auth");
    if (t.has_option("auth")) config.auth_mechanisms = {"PLAIN", "LOGIN"};
    return config;
}

struct Piece {
    char kind;  // C: octets; R: an event
    std::string text;
    std::size_t line;
};

// Replies go into a queue; events and the client's octets are the input.
bool is_event(const Line& line) { return line.kind == 'R' && !(line.text[0] >= '2' && line.text[0] <= '9'); }

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
        if (line.kind == 'R' && !is_event(line)) driver.replies.push_back(parse_reply(line.text));
    return driver;
}

void apply_event(ServerDriver& driver, std::string_view event) {
    if (event == "tls")
        driver.handle(driver.session.on_tls_started());
    else if (event == "deadline")
        driver.handle(driver.session.on_deadline());
    else if (event == "shutdown")
        driver.handle(driver.session.on_shutdown());
    else if (event == "closed")
        driver.handle(driver.session.on_closed());
    else
        FAIL("no such event: " << event);
}

enum class Cut { whole, bytes, at };

std::string replay(const Transcript& t, Cut cut, std::size_t offset, bool late) {
    ServerDriver driver = make_driver(t);
    driver.answer_at_once = !late;
    std::size_t position = 0;
    auto settle = [&] {
        while (late && driver.session.awaits_reply()) driver.answer();
    };
    for (const Piece& piece : pieces_of(t, true)) {
        if (piece.kind == 'R') {
            apply_event(driver, piece.text);
            continue;
        }
        std::string_view octets = piece.text;
        if (cut == Cut::bytes) {
            for (char c : octets) driver.feed(std::string_view(&c, 1));
        } else if (cut == Cut::at && offset > position && offset < position + octets.size()) {
            driver.feed(octets.substr(0, offset - position));
            driver.feed(octets.substr(offset - position));
        } else {
            driver.feed(octets);
        }
        position += octets.size();
        settle();
    }
    std::string text = driver.trace.text();
    driver.close();
    return text;
}

}  // namespace

TEST_CASE("server transcripts") {
    auto transcripts = load_transcripts("smtp", "server-");
    REQUIRE(transcripts.size() >= 8);
    for (const auto& t : transcripts) {
        INFO(t.name);
        std::string expected = expected_trace(t, 'S', t.lines.size());

        {  // line by line: everything said must have been said before the next line
            ServerDriver driver = make_driver(t);
            for (const Piece& piece : pieces_of(t, false)) {
                INFO("before line " << t.lines[piece.line].number);
                REQUIRE_THAT(driver.trace.text(), Catch::StartsWith(expected_trace(t, 'S', piece.line)));
                REQUIRE_THAT(expected, Catch::StartsWith(driver.trace.text()));
                if (piece.kind == 'C')
                    driver.feed(piece.text);
                else
                    apply_event(driver, piece.text);
            }
            REQUIRE(driver.trace.text() == expected);
            REQUIRE(driver.replies.empty());
            driver.close();
        }
        REQUIRE(replay(t, Cut::whole, 0, false) == expected);
        REQUIRE(replay(t, Cut::whole, 0, true) == expected);
        REQUIRE(replay(t, Cut::bytes, 0, false) == expected);
        REQUIRE(replay(t, Cut::bytes, 0, true) == expected);
        std::size_t total = 0;
        for (const Piece& piece : pieces_of(t, true)) total += piece.kind == 'C' ? piece.text.size() : 0;
        for (std::size_t offset = 1; offset < total; ++offset) {
            bool same = replay(t, Cut::at, offset, offset % 2) == expected;
            INFO("split at " << offset);
            REQUIRE(same);
        }
    }
}

TEST_CASE("server stays in step when the backend fails at any request") {
    for (const auto& t : load_transcripts("smtp", "server-")) {
        for (std::size_t fail_at = 0;; ++fail_at) {
            INFO(t.name << ", request " << fail_at);
            ServerDriver driver = make_driver(t);
            driver.fail_at = fail_at;
            for (const Piece& piece : pieces_of(t, false)) {
                if (driver.asked > fail_at) break;
                if (piece.kind == 'C')
                    driver.feed(piece.text);
                else
                    apply_event(driver, piece.text);
            }
            if (driver.asked <= fail_at) {
                driver.close();
                break;
            }
            if (!driver.session.is_closed()) {
                // In LMTP the replies for the other recipients may follow.
                std::string told = "S: 451 4.3.0 injected\\r\\n\n", so_far = driver.trace.text();
                REQUIRE((t.has_option("lmtp") ? so_far.contains(told) : so_far.ends_with(told)));
                std::string before = driver.trace.text();
                driver.feed("NOOP\r\nRSET\r\n");
                std::string after = driver.trace.text().substr(before.size());
                REQUIRE(after.starts_with("S: 250 2.0.0 ok\\r\\n\n"));
                // Unless that is one command too many.
                bool sent_away =
                    t.has_option("idle") && after.contains("S: 421 4.7.0 ") && driver.session.is_closed();
                REQUIRE((sent_away || after.ends_with("S: 250 2.0.0 ok\\r\\n\n")));
            }
            driver.close();
        }
    }
}
