// Every client transcript whole, octet by octet and split at every offset; and whatever goes wrong at any
// step, each command has one Answer or the session one Failed.
#include <catch2/catch.hpp>

#include "pop3/client_session.hpp"
#include "support/transcript.hpp"

using namespace fwmail;
using namespace fwmail::pop3;
using namespace fwmail::testing;

namespace {

ClientConfig config_of(const Transcript& t) {
    ClientConfig config;
    config.tls = t.option("tls") == "none"       ? TlsPolicy::none
                 : t.option("tls") == "required" ? TlsPolicy::required
                                                 : TlsPolicy::opportunistic;
    config.tls_from_start = t.option("tls") == "implicit";
    config.clear_auth = t.has_option("clear-auth");
    std::string user = t.has_option("user") ? t.option("user") : "ann";
    std::string password = t.has_option("password") ? t.option("password") : "secret";
    config.credentials = Credentials{user, Secret(password)};
    if (t.has_option("rows")) config.max_rows = std::stoull(t.option("rows"));
    if (t.has_option("size")) config.max_message_size = std::stoull(t.option("size"));
    return config;
}

std::string_view name_of(Verb verb) {
    constexpr std::string_view names[] = {"stat", "list", "uidl", "retr", "top",
                                          "dele", "rset", "noop", "quit"};
    return names[static_cast<int>(verb)];
}

Command parse_command(std::string_view text) {
    Command command{Verb::noop};
    std::string_view verb = text.substr(0, text.find(' '));
    for (Verb v : {Verb::stat, Verb::list, Verb::uidl, Verb::retr, Verb::top, Verb::dele, Verb::rset,
                   Verb::noop, Verb::quit})
        if (name_of(v) == verb) command.verb = v;
    if (verb.size() < text.size()) {
        std::size_t end = 0;
        std::string numbers(text.substr(verb.size()));
        command.number = static_cast<std::uint32_t>(std::stoul(numbers, &end));
        if (end < numbers.size()) command.lines = static_cast<std::uint32_t>(std::stoul(numbers.substr(end)));
    }
    return command;
}

class Driver {
  public:
    explicit Driver(ClientConfig config) : session(std::move(config)) {}

    void feed(std::string_view octets) { handle(session.on_bytes(octets)); }

    void event(std::string_view text) {
        if (text == "tls") return handle(session.on_tls_started());
        if (text == "closed") return handle(session.on_closed());
        if (text == "deadline") return handle(session.on_deadline());
        commands += !session.is_closed();
        handle(session.command(parse_command(text)));
    }

    void handle(ClientActions actions) {
        for (auto& action : actions) {
            REQUIRE_FALSE(closed);
            if (failures) REQUIRE(std::holds_alternative<Close>(action));
            std::visit([this](auto& a) { on(a); }, action);
        }
    }

    ClientSession session;
    Trace trace{'C'};
    std::size_t commands = 0, answers = 0, failures = 0;
    bool closed = false;

  private:
    void on(Send& send) { trace.octets(send.octets); }
    void on(Ready& ready) {
        const auto& c = ready.capabilities;
        std::string text = "ready";
        if (c.known) text += " capa";
        if (c.top) text += " top";
        if (c.uidl) text += " uidl";
        if (c.pipelining) text += " pipelining";
        trace.action(text);
    }
    void on(StatRow& row) {
        trace.action("stat " + std::to_string(row.count) + ' ' + std::to_string(row.octets));
    }
    void on(ListRow& row) {
        trace.action("size " + std::to_string(row.number) + ' ' + std::to_string(row.size));
    }
    void on(UidRow& row) { trace.action("uid " + std::to_string(row.number) + ' ' + row.uid); }
    void on(BodyPart& part) { trace.chunk(part.octets); }
    void on(Answer& answer) {
        ++answers;
        trace.action(std::string(name_of(answer.command.verb)) + (answer.ok ? " ok" : " refused") +
                     (answer.code.empty() ? "" : " (" + answer.code + ")") + ": " + answer.text);
    }
    void on(Failed& failed) {
        ++failures;
        trace.action("failed " + std::to_string(static_cast<int>(failed.phase)) +
                     (failed.refused ? " refused" : "") +
                     (failed.code.empty() ? "" : " (" + failed.code + ")") + ": " + failed.text);
    }
    void on(StartTls&) { trace.action("starttls"); }
    void on(Close&) {
        trace.action("close");
        closed = true;
    }
};

struct Piece {
    char kind;  // S: octets; R: an event
    std::string text;
    std::size_t line;
};

// The server's lines that follow each other directly are one piece.
std::vector<Piece> pieces_of(const Transcript& t) {
    std::vector<Piece> out;
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        const Line& line = t.lines[i];
        if (line.kind == 'S' && i > 0 && t.lines[i - 1].kind == 'S')
            out.back().text += line.text;
        else if (line.kind == 'S' || line.kind == 'R')
            out.push_back({line.kind, line.text, i});
    }
    return out;
}

void apply(Driver& driver, const Piece& piece) {
    if (piece.kind == 'S')
        driver.feed(piece.text);
    else
        driver.event(piece.text);
}

std::string replay(const Transcript& t, std::size_t every, std::size_t offset) {
    Driver driver(config_of(t));
    std::size_t position = 0;
    for (const Piece& piece : pieces_of(t)) {
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
    }
    return driver.trace.text();
}

constexpr std::size_t whole = SIZE_MAX;

}  // namespace

TEST_CASE("POP3 client transcripts") {
    auto transcripts = load_transcripts("pop3", "client-");
    REQUIRE(transcripts.size() >= 8);
    for (const auto& t : transcripts) {
        INFO(t.name);
        Driver driver(config_of(t));
        for (const Piece& piece : pieces_of(t)) {
            INFO("before line " << t.lines[piece.line].number);
            REQUIRE(driver.trace.text() == expected_trace(t, 'C', piece.line));
            apply(driver, piece);
        }
        std::string expected = expected_trace(t, 'C', t.lines.size());
        REQUIRE(driver.trace.text() == expected);
        if (t.has_option("once")) continue;  // depends on what comes together
        REQUIRE(replay(t, 1, 0) == expected);
        std::size_t total = 0;
        for (const Piece& piece : pieces_of(t)) total += piece.kind == 'S' ? piece.text.size() : 0;
        for (std::size_t offset = 1; offset < total; ++offset) {
            INFO("split at " << offset);
            bool same = replay(t, whole, offset) == expected;
            REQUIRE(same);
        }
    }
}

TEST_CASE("POP3 client ends every command once, whatever goes wrong at any step") {
    for (const auto& t : load_transcripts("pop3", "client-")) {
        auto pieces = pieces_of(t);
        for (std::size_t fail_at = 0; fail_at < pieces.size(); ++fail_at) {
            if (pieces[fail_at].kind != 'S') continue;
            for (int trouble = 0; trouble < 6; ++trouble) {
                INFO(t.name << ", line " << t.lines[pieces[fail_at].line].number << ", trouble " << trouble);
                Driver driver(config_of(t));
                for (std::size_t i = 0; i < fail_at; ++i) apply(driver, pieces[i]);
                if (driver.closed) continue;
                if (trouble == 0) driver.feed("-ERR [SYS/TEMP] injected\r\n");
                if (trouble == 1) driver.feed("* OK this is IMAP\r\n");
                if (trouble == 2) driver.feed(std::string(5000, 'a'));
                if (trouble == 3) driver.handle(driver.session.on_closed());
                if (trouble == 4) driver.handle(driver.session.on_deadline());
                if (trouble == 5)
                    driver.feed(pieces[fail_at].text.substr(0, pieces[fail_at].text.size() / 2));
                if (!driver.session.is_closed()) driver.handle(driver.session.on_closed());
                bool quit_answered = driver.failures == 0;
                REQUIRE(driver.failures <= 1);
                if (quit_answered) REQUIRE(driver.answers == driver.commands);
                REQUIRE(driver.answers <= driver.commands);
            }
        }
    }
}
