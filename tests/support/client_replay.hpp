// Replays transcripts against a client session: S lines are its input, C and X lines what it does, R lines
// what its owner tells it. A Driver has feed(octets), event(words), trace, closed, session.is_closed() and
// session.on_closed(), on_deadline() through event("closed"), event("deadline"), and counts commands, answers
// and failures.
#pragma once

#include <catch2/catch.hpp>

#include "support/transcript.hpp"

namespace fwmail::testing {

struct ClientPiece {
    char kind;  // S: octets; R: an event
    std::string text;
    std::size_t line;
};

// The server's lines that follow each other directly are one piece.
inline std::vector<ClientPiece> client_pieces(const Transcript& t) {
    std::vector<ClientPiece> out;
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        const Line& line = t.lines[i];
        if (line.kind == 'S' && i > 0 && t.lines[i - 1].kind == 'S')
            out.back().text += line.text;
        else if (line.kind == 'S' || line.kind == 'R')
            out.push_back({line.kind, line.text, i});
    }
    return out;
}

template <class Driver>
void apply_piece(Driver& driver, const ClientPiece& piece) {
    if (piece.kind == 'S')
        driver.feed(piece.text);
    else
        driver.event(piece.text);
}

// The server's octets cut into pieces of `every`, and once more at `offset`.
template <class Make>
std::string cut_client(const Transcript& t, Make make, std::size_t every, std::size_t offset) {
    auto driver = make();
    std::size_t position = 0;
    for (const auto& piece : client_pieces(t)) {
        if (piece.kind == 'R') {
            driver.event(piece.text);
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

// Line by line, whole, octet by octet, split at every offset.
template <class Make>
void replay_client(const Transcript& t, Make make) {
    INFO(t.name);
    auto driver = make();
    for (const auto& piece : client_pieces(t)) {
        INFO("before line " << t.lines[piece.line].number);
        REQUIRE(driver.trace.text() == expected_trace(t, 'C', piece.line));
        apply_piece(driver, piece);
    }
    std::string expected = expected_trace(t, 'C', t.lines.size());
    REQUIRE(driver.trace.text() == expected);
    if (t.has_option("once")) return;  // depends on what comes together
    REQUIRE(cut_client(t, make, 1, 0) == expected);
    std::size_t total = 0;
    for (const auto& piece : client_pieces(t)) total += piece.kind == 'S' ? piece.text.size() : 0;
    for (std::size_t offset = 1; offset < total; ++offset) {
        INFO("split at " << offset);
        bool same = cut_client(t, make, SIZE_MAX, offset) == expected;
        REQUIRE(same);
    }
}

// At each thing that the server says: each of `troubles` instead, half of it, a cut, silence. Every command
// ends in one answer, or the session in one failure.
template <class Make>
void fail_client(const Transcript& t, Make make, const std::vector<std::string>& troubles) {
    auto pieces = client_pieces(t);
    for (std::size_t fail_at = 0; fail_at < pieces.size(); ++fail_at) {
        if (pieces[fail_at].kind != 'S') continue;
        for (std::size_t trouble = 0; trouble < troubles.size() + 3; ++trouble) {
            INFO(t.name << ", line " << t.lines[pieces[fail_at].line].number << ", trouble " << trouble);
            auto driver = make();
            for (std::size_t i = 0; i < fail_at; ++i) apply_piece(driver, pieces[i]);
            if (driver.closed) continue;
            std::string_view text = pieces[fail_at].text;
            if (trouble < troubles.size())
                driver.feed(troubles[trouble]);
            else if (trouble == troubles.size())
                driver.feed(text.substr(0, text.size() / 2));
            else
                driver.event(trouble == troubles.size() + 1 ? "closed" : "deadline");
            if (!driver.session.is_closed()) driver.event("closed");
            REQUIRE(driver.session.is_closed());
            REQUIRE(driver.failures <= 1);
            REQUIRE(driver.answers <= driver.commands);
            if (driver.failures == 0) REQUIRE(driver.answers == driver.commands);
        }
    }
}

}  // namespace fwmail::testing
