#include "sync/dialled.hpp"

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

#include "base/encoding.hpp"

using namespace fwmail;
using namespace fwmail::sync;

namespace {

LineRandom counted(std::uint8_t first) {
    LineRandom random;
    std::iota(random.begin(), random.end(), first);
    return random;
}

std::vector<LineMessage> samples() {
    return {LineChallenge{counted(1)},
            LineHello{counted(2), counted(3)},
            LineProof{0, ""},
            LineProof{UINT64_MAX, std::string(max_signature_octets, 's')},
            LineOpen{},
            LineFrame{1, ""},
            LineFrame{300, std::string("sealed\0octets", 13)},
            LineAnswer{1, LineVerdict::applied, ""},
            LineAnswer{2, LineVerdict::later, "no room, try again"},
            LineAnswer{(1ull << 63) - 1, LineVerdict::refused, std::string(max_answer_text, 'x')}};
}

bool refused(std::string_view octets) {
    auto message = parse_line_message(octets);
    return !message && message.error().kind == ErrorKind::protocol;
}

LineFacts facts() {
    LineFacts facts;
    facts.server.bytes.fill(1);
    facts.client.bytes.fill(2);
    facts.binding = std::string(32, 'b');
    facts.server_random = counted(10);
    facts.client_random = counted(20);
    return facts;
}

}  // namespace

TEST_CASE("dialled line: each message is the same written and read") {
    for (const auto& message : samples()) {
        std::string octets = write_line_message(message);
        auto read = parse_line_message(octets);
        REQUIRE(read.has_value());
        CHECK(*read == message);
        CHECK(write_line_message(*read) == octets);
    }
}

TEST_CASE("dialled line: the octets are as fwmail-sync(7) has them") {
    CHECK(hex_encode(write_line_message(LineChallenge{counted(1)})) ==
          "01"
          "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
    CHECK(write_line_message(LineHello{counted(2), counted(3)}).size() == 65);
    CHECK(hex_encode(write_line_message(LineProof{300, "ab"})) == "03ac02026162");
    CHECK(hex_encode(write_line_message(LineOpen{})) == "04");
    CHECK(hex_encode(write_line_message(LineFrame{300, "ab"})) == "05ac026162");
    CHECK(hex_encode(write_line_message(LineAnswer{1, LineVerdict::refused, "no"})) == "060102026e6f");
    CHECK(hex_encode(line_statement(LineParty::client, facts(), 300)) ==
          "0e" + hex_encode("fwmail.frame.1") + "06" + hex_encode("client") +
              "01010101010101010101010101010101"
              "02020202020202020202020202020202"
              "20" +
              hex_encode(std::string(32, 'b')) +
              "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829"
              "1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233"
              "ac02");
}

TEST_CASE("dialled line: what is cut short or has something behind it is refused") {
    for (const auto& message : samples()) {
        std::string octets = write_line_message(message);
        bool frame = std::holds_alternative<LineFrame>(message);
        for (std::size_t size = 0; size < octets.size(); ++size) {
            auto cut = parse_line_message(octets.substr(0, size));
            // A frame is all that there is: the transport frames it.
            if (cut) CHECK((frame && std::get<LineFrame>(*cut).sealed.size() < octets.size()));
            if (!cut) CHECK(cut.error().kind == ErrorKind::protocol);
        }
        if (!frame) CHECK(refused(octets + "x"));
    }
}

TEST_CASE("dialled line: bad input is refused") {
    CHECK(refused(""));
    for (int tag : {0, 7, 8, 99, 255}) CHECK(refused(std::string(1, static_cast<char>(tag))));
    CHECK(refused(std::string("\x05\x80\x00", 3)));  // a needlessly long number
    CHECK(refused(std::string("\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)));  // above 2^63 - 1
    CHECK(refused(std::string("\x06\x01\x03\x00", 4)));                               // no such answer
    CHECK(refused(std::string("\x06\x01\x01\x01\n", 5)));                             // not plain
    CHECK(refused(std::string("\x06\x01\x01\x01\xff", 5)));
    std::string text(max_answer_text + 1, 'x');
    CHECK(refused(write_line_message(LineAnswer{1, LineVerdict::later, text})));
    CHECK(refused(write_line_message(LineProof{1, std::string(max_signature_octets + 1, 's')})));
}

TEST_CASE("dialled line: only the message that is due is taken") {
    for (const auto& message : samples()) {
        auto hello = expect_line_message<LineHello>(write_line_message(message));
        CHECK(hello.has_value() == std::holds_alternative<LineHello>(message));
        if (!hello) CHECK(hello.error().kind == ErrorKind::protocol);
    }
}

TEST_CASE("dialled line: whatever text is made fit for an answer") {
    CHECK(line_answer_text("as it is, \xc3\xa9") == "as it is, \xc3\xa9");
    CHECK(line_answer_text("two\r\nlines") == "two  lines");
    CHECK(line_answer_text("no \xff UTF-8") == "no ? UTF-8");
    CHECK(line_answer_text("") == "");
    std::string letters;
    for (int i = 0; i < 400; ++i) letters += "\xc3\xa9";
    for (auto text : {letters, "x" + letters, std::string(1000, '\xff'), std::string("\xc2\x85")}) {
        std::string fit = line_answer_text(text);
        CHECK(fit.size() <= max_answer_text);
        CHECK(fit.size() + 1 >= std::min(text.size(), max_answer_text));
        CHECK(parse_line_message(write_line_message(LineAnswer{1, LineVerdict::later, fit})));
    }
}

TEST_CASE("dialled line: a statement is of its party, its connection and its size only") {
    std::set<std::string> statements;
    auto add = [&](LineParty party, const LineFacts& of, std::uint64_t largest) {
        CHECK(statements.insert(line_statement(party, of, largest)).second);
    };
    for (auto party : {LineParty::link, LineParty::server, LineParty::client}) add(party, facts(), 5);
    add(LineParty::client, facts(), 6);
    auto other = facts();
    std::swap(other.server, other.client);
    add(LineParty::client, other, 5);
    other = facts();
    other.binding.clear();
    add(LineParty::client, other, 5);
    other = facts();
    ++other.server_random[31];
    add(LineParty::client, other, 5);
    other = facts();
    ++other.client_random[31];
    add(LineParty::client, other, 5);
    other = facts();
    std::swap(other.server_random, other.client_random);
    add(LineParty::client, other, 5);
}
