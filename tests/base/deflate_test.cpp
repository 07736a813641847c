// The DEFLATE stream: what goes in comes out, whatever the pieces, and a bomb finds no room.
#include "base/deflate.hpp"

#include <catch2/catch.hpp>

#include "base/random.hpp"

using namespace fwmail;

namespace {

std::string drain(Inflater& inflater, std::size_t piece) {
    std::string out, buffer(piece, '\0');
    for (;;) {
        auto made = inflater.read(buffer);
        REQUIRE(made);
        if (*made == 0) return out;
        out.append(buffer, 0, *made);
    }
}

std::string some_text(std::size_t lines) {
    std::string out;
    for (std::size_t i = 0; i < lines; ++i) out += "* " + std::to_string(i) + " FETCH (FLAGS (\\Seen))\r\n";
    return out;
}

}  // namespace

TEST_CASE("deflate: every add() can be read at once, in pieces of any size") {
    for (std::size_t piece : {1, 7, 1000, 100000}) {
        Deflater deflater;
        Inflater inflater;
        for (const std::string& text : {std::string("a"), some_text(3), random_octets(5000), some_text(5000),
                                        std::string(100000, 'x')}) {
            std::string wire = deflater.add(text);
            if (text.size() > 10000) CHECK(wire.size() < text.size() / 5);
            for (std::size_t at = 0; at < wire.size(); at += 777) {
                inflater.feed(wire.substr(at, 777));
                if (at + 777 < wire.size()) continue;
            }
            CHECK(drain(inflater, piece) == text);
        }
    }
}

TEST_CASE("deflate: both ends may rest at any time") {
    Inflater inflater;
    auto deflater = std::make_unique<Deflater>();
    for (int i = 0; i < 20; ++i) {
        std::string text = some_text(static_cast<std::size_t>(i) * 150) + random_octets(20);
        std::string wire = deflater->add(text);
        // In the midst of a block it must not lose its place.
        inflater.feed(wire.substr(0, wire.size() / 2));
        std::string out = drain(inflater, 500);
        inflater.rest();
        inflater.feed(wire.substr(wire.size() / 2));
        out += drain(inflater, 500);
        CHECK(out == text);
        inflater.rest();
        // Only our side's rest drops the history; the other's refers to it.
        if (i % 3 == 2) deflater = std::make_unique<Deflater>();
    }
}

TEST_CASE("deflate: a bomb comes out in pieces of the reader's size") {
    Deflater deflater;
    std::string bomb = deflater.add(std::string(64 << 20, '\0'));
    CHECK(bomb.size() < (64u << 20) / 900);
    Inflater inflater;
    std::string buffer(4096, 'x');
    std::uint64_t total = 0;
    inflater.feed(bomb);
    for (;;) {
        auto made = inflater.read(buffer);
        REQUIRE(made);
        if (*made == 0) break;
        total += *made;
    }
    CHECK(total == 64u << 20);
}

TEST_CASE("deflate: who gives no room gets nothing, and loses nothing") {
    Deflater deflater;
    Inflater inflater;
    inflater.feed(deflater.add("text"));
    CHECK(inflater.read({}).value() == 0);
    CHECK(drain(inflater, 1) == "text");
}

TEST_CASE("deflate: what is none is an error") {
    Inflater inflater;
    inflater.feed("a1 NOOP\r\n* not compressed at all");
    std::string buffer(100, '\0');
    Result<std::size_t> made = 1;
    for (int i = 0; i < 100 && made && *made > 0; ++i) made = inflater.read(buffer);
    CHECK_FALSE(made);
}
