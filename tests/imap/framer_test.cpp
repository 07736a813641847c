#include "imap/framer.hpp"

#include <catch2/catch.hpp>

using namespace fwmail::imap;

namespace {

// What comes out, one word an event.
std::string drain(Framer& framer) {
    std::string out;
    while (auto event = framer.next()) {
        if (auto* command = std::get_if<FramedCommand>(&*event))
            out += "command(" + command->text +
                   (command->message ? "|" + std::to_string(command->message->size) : "") + ")";
        else if (auto* line = std::get_if<FramedLine>(&*event))
            out += "line(" + line->text + ")";
        else if (std::holds_alternative<ContinuationWanted>(*event))
            out += "continue";
        else if (auto* data = std::get_if<MessageData>(&*event))
            out += "data(" + data->octets + ")";
        else if (auto* end = std::get_if<MessageEnd>(&*event))
            out += end->too_long ? "too long" : "end" + end->rest + (end->next ? " next" : "");
        else if (auto* large = std::get_if<TooLarge>(&*event))
            out += "large(" + large->tag + ")";
        else
            out += "dead";
        out += ' ';
    }
    return out;
}

std::string frame(std::string_view octets, FramerLimits limits = {}) {
    Framer framer(limits);
    framer.feed(octets);
    return drain(framer);
}

constexpr FramerLimits small{20, 10, 40, 100};

}  // namespace

TEST_CASE("commands and literals") {
    CHECK(frame("A NOOP\r\nB NOOP\nC") == "command(A NOOP) command(B NOOP) ");
    CHECK(frame("A LOGIN {1}\r\nx {2+}\r\nyz\r\n") == "continue command(A LOGIN {1}\r\nx {2}\r\nyz) ");
    CHECK(frame("A X {4+}\r\n\r\nB \r\n") == "command(A X {4}\r\n\r\nB ) ");
    CHECK(frame("A X {0}\r\n\r\n") == "continue command(A X {0}\r\n) ");
    CHECK(frame("A X {+}\r\n") == "command(A X {+}) ");
    CHECK(frame("A X 5}\r\n") == "command(A X 5}) ");
    CHECK(frame("5}\r\n") == "command(5}) ");
}

TEST_CASE("an APPEND's message is handed out, not kept") {
    Framer framer;
    framer.feed("A APPEND {5+}\r\nINBOX (\\Seen) {6}\r\nabc");
    CHECK(drain(framer) == "command(A APPEND {5}\r\nINBOX (\\Seen) |6) ");
    framer.accept_message();
    CHECK(drain(framer) == "data(abc) ");
    framer.feed("def");
    CHECK(drain(framer) == "data(def) ");
    framer.feed("\r\nB NOOP\r\n");
    CHECK(drain(framer) == "end command(B NOOP) ");

    framer.feed("C append x {3+}\r\nabc {2+}\r\nde f\r\nD NOOP\r\n");
    CHECK(drain(framer) == "command(C append x |3) ");
    framer.refuse_message();
    CHECK(drain(framer) == "command(D NOOP) ");

    framer.feed("E APPEND x {3}\r\n");
    CHECK(drain(framer) == "command(E APPEND x |3) ");
    framer.refuse_message();
    framer.feed("F NOOP\r\n");
    CHECK(drain(framer) == "command(F NOOP) ");

    // A further message's literal is held like the first one's.
    framer.feed("G APPEND x {3+}\r\nabc () {2+}\r\nzz {2}\r\n");
    CHECK(drain(framer) == "command(G APPEND x |3) ");
    framer.accept_message();
    CHECK(drain(framer) == "data(abc) end ()  next ");
    framer.accept_message();
    CHECK(drain(framer) == "data(zz) end  next ");
    framer.refuse_message();
    framer.feed("H NOOP\r\n");
    CHECK(drain(framer) == "command(H NOOP) ");

    framer.feed("I APPEND x {3+}\r\nabc" + std::string(9000, 'y') + "{2+}\r\nzz\r\nJ NOOP\r\n");
    CHECK(drain(framer) == "command(I APPEND x |3) ");
    framer.accept_message();
    CHECK(drain(framer) == "data(abc) too long command(J NOOP) ");
}

TEST_CASE("what is too large is skipped") {
    CHECK(frame("A " + std::string(30, 'x') + "\r\nB NOOP\r\n", small) == "large(A) command(B NOOP) ");
    CHECK(frame("A " + std::string(30, 'x') + "{8+}\r\n12\r\n5678 y\r\nB NOOP\r\n", small) ==
          "large(A) command(B NOOP) ");
    CHECK(frame("A " + std::string(30, 'x') + "{8}\r\nB NOOP\r\n", small) == "large(A) command(B NOOP) ");
    CHECK(frame("A " + std::string(30, 'x') + "{101+}\r\nB NOOP\r\n", small) == "large(A) dead ");
    CHECK(frame("A " + std::string(30, 'x') + "{99999999999999999999999+}\r\n", small) == "large(A) dead ");
    CHECK(frame("A x {11}\r\nB NOOP\r\n", small) == "large(A) command(B NOOP) ");
    CHECK(frame("A x {11+}\r\n01234567890 y\r\nB NOOP\r\n", small) == "large(A) command(B NOOP) ");
    CHECK(frame("A x {101+}\r\n", small) == "dead ");
    CHECK(frame("A x {99999999999999999999}\r\nB NOOP\r\n", small) == "large(A) command(B NOOP) ");
    CHECK(frame("A x {99999999999999999999+}\r\n") == "dead ");
    CHECK(frame("A x {10+}\r\n0123456789 {10+}\r\n0123456789 {10+}\r\n0123456789\r\nB NOOP\r\n", small) ==
          "large(A) command(B NOOP) ");
    CHECK(frame("\"(" + std::string(30, 'x') + "\r\n", small) == "large(*) ");
}

TEST_CASE("an endless line takes no memory") {
    Framer framer(small);
    std::size_t most = 0;
    for (int i = 0; i < 10000; ++i) {
        framer.feed("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        drain(framer);
        most = std::max(most, framer.buffered());
    }
    CHECK(most <= 128);
    framer.feed("\r\nB NOOP\r\n");
    CHECK(drain(framer) == "command(B NOOP) ");
}

TEST_CASE("a line that was asked for is not a command") {
    Framer framer;
    framer.expect_line();
    framer.feed("abc{5}\r\nA NOOP\r\n");
    CHECK(drain(framer) == "line(abc{5}) command(A NOOP) ");
    framer.feed("left");
    framer.discard();
    framer.feed("B NOOP\r\n");
    CHECK(drain(framer) == "command(B NOOP) ");
}
