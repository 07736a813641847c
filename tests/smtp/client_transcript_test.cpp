// Every client transcript whole, byte by byte, each of the server's says split at every offset, and failed at
// every step.
#include <catch2/catch.hpp>
#include <sstream>

#include "smtp/client_driver.hpp"

using namespace fwmail;
using namespace fwmail::smtp;
using namespace fwmail::mime;
using namespace fwmail::smtp::testing;

namespace {

ClientConfig config_of(const Transcript& t) {
    ClientConfig config;
    config.hostname = "client.example.com";
    std::string tls = t.option("tls");
    config.tls = tls == "required" ? TlsPolicy::required
                 : tls == "none"   ? TlsPolicy::none
                                   : TlsPolicy::opportunistic;
    if (t.has_option("user"))
        config.credentials = Credentials{t.option("user"), Secret(t.option("password"))};
    config.clear_auth = t.has_option("clear-auth");
    if (t.has_option("window")) config.pipeline_window = std::stoul(t.option("window"));
    return config;
}

// from to,to [size=N] [8bit]; `<>` is the null path
OutgoingEnvelope parse_envelope(std::string_view words) {
    OutgoingEnvelope envelope;
    std::istringstream in{std::string(words)};
    std::string from, to, word;
    in >> from >> to;
    if (from != "<>") envelope.reverse_path = parse_address(from).value();
    std::istringstream list(to);
    while (std::getline(list, word, ',')) envelope.recipients.push_back(parse_address(word).value());
    while (in >> word) {
        if (word == "8bit")
            envelope.eight_bit = true;
        else if (word == "utf8")
            envelope.utf8 = true;
        else if (word == "dsn")
            envelope.dsn = {DsnReturn::headers, "id+3D1"},
            envelope.recipient_dsn = {{dsn_success, "rfc822;b@x"}};
        else
            envelope.size = std::stoull(word.substr(5));
    }
    return envelope;
}

void apply_event(ClientDriver& driver, std::string_view text) {
    ClientSession& session = driver.session;
    std::string_view verb = text.substr(0, text.find(' '));
    std::string_view rest = text.substr(std::min(verb.size() + 1, text.size()));
    if (verb == "send")
        driver.handle(session.send(parse_envelope(rest)));
    else if (verb == "chunk")
        driver.handle(session.on_message_chunk(rest));
    else if (verb == "end")
        driver.handle(session.on_message_end());
    else if (verb == "fail")
        driver.handle(session.on_message_failed());
    else if (verb == "quit")
        driver.handle(session.quit());
    else if (verb == "tls")
        driver.handle(session.on_tls_started());
    else if (verb == "closed")
        driver.handle(session.on_closed());
    else if (verb == "deadline")
        driver.handle(session.on_deadline());
    else
        FAIL("no such event: " << text);
}

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

// Cut: 0 whole, 1 byte by byte, else each piece split at `offset` counted through all pieces.
std::string replay(const Transcript& t, bool bytes, std::size_t offset) {
    ClientDriver driver(config_of(t));
    std::size_t position = 0;
    for (const Piece& piece : pieces_of(t)) {
        if (piece.kind == 'R') {
            apply_event(driver, piece.text);
            continue;
        }
        std::string_view octets = piece.text;
        if (bytes) {
            for (char c : octets) driver.feed(std::string_view(&c, 1));
        } else if (offset > position && offset < position + octets.size()) {
            driver.feed(octets.substr(0, offset - position));
            driver.feed(octets.substr(offset - position));
        } else {
            driver.feed(octets);
        }
        position += octets.size();
    }
    return driver.trace.text();
}

enum class Trouble { busy, shut, garbage, cut, silence };

void inject(ClientDriver& driver, Trouble trouble) {
    switch (trouble) {
        case Trouble::busy:
            return driver.feed("451 4.3.0 injected\r\n");
        case Trouble::shut:
            return driver.feed("421 4.3.2 injected\r\n");
        case Trouble::garbage:
            return driver.feed("HTTP/1.1 200 OK\r\n");
        case Trouble::cut:
            return driver.handle(driver.session.on_closed());
        case Trouble::silence:
            return driver.handle(driver.session.on_deadline());
    }
}

}  // namespace

TEST_CASE("client transcripts") {
    auto transcripts = load_transcripts("smtp", "client-");
    REQUIRE(transcripts.size() >= 8);
    for (const auto& t : transcripts) {
        INFO(t.name);
        ClientDriver driver(config_of(t));
        for (const Piece& piece : pieces_of(t)) {
            INFO("before line " << t.lines[piece.line].number);
            REQUIRE(driver.trace.text() == expected_trace(t, 'C', piece.line));
            if (piece.kind == 'S')
                driver.feed(piece.text);
            else
                apply_event(driver, piece.text);
        }
        std::string expected = expected_trace(t, 'C', t.lines.size());
        REQUIRE(driver.trace.text() == expected);
        if (t.has_option("once")) continue;  // depends on what comes together
        REQUIRE(replay(t, true, 0) == expected);
        std::size_t total = 0;
        for (const Piece& piece : pieces_of(t)) total += piece.kind == 'S' ? piece.text.size() : 0;
        for (std::size_t offset = 1; offset < total; ++offset) {
            INFO("split at " << offset);
            bool same = replay(t, false, offset) == expected;
            REQUIRE(same);
        }
    }
}

TEST_CASE("client gives exactly one result for each message, whatever goes wrong at any step") {
    for (const auto& t : load_transcripts("smtp", "client-")) {
        auto pieces = pieces_of(t);
        for (std::size_t fail_at = 0; fail_at < pieces.size(); ++fail_at) {
            if (pieces[fail_at].kind != 'S') continue;
            for (Trouble trouble :
                 {Trouble::busy, Trouble::shut, Trouble::garbage, Trouble::cut, Trouble::silence}) {
                INFO(t.name << ", line " << t.lines[pieces[fail_at].line].number << ", trouble "
                            << int(trouble));
                ClientDriver driver(config_of(t));
                std::size_t sent = 0;
                for (std::size_t i = 0; i < fail_at; ++i) {
                    if (pieces[i].kind == 'S')
                        driver.feed(pieces[i].text);
                    else
                        apply_event(driver, pieces[i].text);
                    sent += pieces[i].kind == 'R' && pieces[i].text.starts_with("send");
                }
                if (driver.closed || driver.session.is_closed()) continue;
                std::size_t results = driver.results.size();
                inject(driver, trouble);
                if (trouble != Trouble::busy) REQUIRE(driver.session.is_closed());
                if (!driver.session.is_closed()) driver.handle(driver.session.on_closed());
                REQUIRE(driver.results.size() == sent);
                if (results < sent) REQUIRE(driver.results.back().outcome() != Outcome::delivered);
            }
        }
    }
}
