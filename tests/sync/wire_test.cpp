#include "sync/wire.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "base/utf8.hpp"

using namespace fwmail;
using namespace fwmail::sync;

namespace {

std::string varint(std::uint64_t value) {
    Writer out;
    out.varint(value);
    return std::move(out).text();
}

bool refuses_varint(std::string octets) { return !Reader(octets).varint(); }

}  // namespace

TEST_CASE("wire: numbers restore each other at every width") {
    for (int bit = 0; bit < 64; ++bit)
        for (std::uint64_t value : {(1ull << bit) - 1, 1ull << bit, (1ull << bit) + 1, ~0ull >> bit}) {
            std::string octets = varint(value);
            REQUIRE(octets.size() <= 10);
            Reader in(octets);
            REQUIRE(in.varint().value() == value);
            REQUIRE(in.at_end());
            Writer out;
            out.zigzag(static_cast<std::int64_t>(value));
            out.fixed64(value);
            Reader back(out.text());
            REQUIRE(back.zigzag().value() == static_cast<std::int64_t>(value));
            REQUIRE(back.fixed64().value() == value);
        }
    CHECK(varint(300) == "\xac\x02");
    Writer out;
    for (int value : {0, -1, 1, -2}) out.zigzag(value);
    CHECK(out.text() == std::string("\x00\x01\x02\x03", 4));
}

TEST_CASE("wire: a number has one form, and 64 bits at most") {
    CHECK(refuses_varint(""));
    CHECK(refuses_varint("\x80"));
    CHECK(refuses_varint(std::string("\x80\x00", 2)));
    CHECK(refuses_varint(std::string("\xff\x80\x00", 3)));
    std::string nine(9, '\xff');
    CHECK(Reader(nine + "\x01").varint().value() == UINT64_MAX);
    CHECK(refuses_varint(nine + "\x02"));
    CHECK(refuses_varint(nine + "\x81\x01"));
    CHECK(refuses_varint(nine + std::string("\x80\x00", 2)));
    CHECK_FALSE(Reader(varint(11)).varint(10));
    CHECK_FALSE(Reader(varint(2)).boolean());
    CHECK_FALSE(Reader(varint(3)).zigzag(-1, 5));
}

TEST_CASE("wire: lengths are held against what is there") {
    std::string lie = varint(1ull << 62) + "abc";
    CHECK_FALSE(Reader(lie).octets(SIZE_MAX));
    CHECK_FALSE(Reader(varint(4) + "abc").octets(100));
    CHECK_FALSE(Reader(varint(3) + "abc").octets(2));
    std::string good = varint(3) + "abcd";
    Reader in(good);
    CHECK(in.octets(3).value() == "abc");
    CHECK(in.remaining() == 1);
    CHECK_FALSE(in.raw(2));
}

TEST_CASE("wire: sets restore each other; hostile sets are refused") {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        INFO("seed " << seed);
        std::mt19937_64 random(seed);
        NumberSet numbers;
        UidSet uids;
        for (std::size_t i = random() % 20; i-- > 0;) {
            std::uint64_t first = 1 + (random() >> (1 + random() % 63)) % max_number;
            numbers.add(first, std::min(max_number, first + random() % 5));
            uids.add(1 + static_cast<std::uint32_t>(random()) % 0xfffffffe);
        }
        Writer out;
        out.numbers(numbers);
        out.uids(uids);
        Reader in(out.text());
        REQUIRE(in.numbers(100).value() == numbers);
        REQUIRE(in.uids(100).value() == uids);
        REQUIRE(in.at_end());
        if (numbers.list().size() > 1) REQUIRE_FALSE(Reader(out.text()).numbers(numbers.list().size() - 1));
    }
    UidSet all;
    all.add(1, UINT32_MAX);
    Writer out;
    out.uids(all);
    CHECK(Reader(out.text()).uids(1).value() == all);
    // An interval after the last UID; one that ends beyond it; more intervals than octets.
    CHECK_FALSE(Reader(varint(2) + varint(0) + varint(UINT32_MAX - 1) + varint(0) + varint(0)).uids(9));
    CHECK_FALSE(Reader(varint(1) + varint(5) + varint(UINT32_MAX)).uids(9));
    CHECK_FALSE(Reader(varint(1) + varint(1ull << 63) + varint(0)).numbers(9));
    CHECK_FALSE(Reader(varint(1000) + varint(1) + varint(1)).numbers(100'000));
}

TEST_CASE("wire: additions are skipped when odd and refused when even") {
    Writer odd;
    odd.varint(7);
    odd.octets("later");
    CHECK(Reader(odd.text()).extensions());
    CHECK(Reader("").extensions());
    Writer even;
    even.varint(8);
    even.octets("later");
    CHECK(Reader(even.text()).extensions().error().kind == ErrorKind::refused);
    CHECK(Reader(odd.text().substr(0, 4)).extensions().error().kind == ErrorKind::protocol);
}

TEST_CASE("utf8: RFC 3629 and nothing else") {
    for (const char* good :
         {"", "a", "\x7f", "\u0080", "ü", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\U00010000", "\U0010ffff"})
        CHECK(is_utf8(good));
    for (const char* bad :
         {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xc3(", "a\xfe"})
        CHECK_FALSE(is_utf8(bad));
    CHECK(is_plain_utf8("Büro \u00a0"));
    for (const char* bad : {"a\tb", "\n", "\x7f", "\u0085", "\xff"}) CHECK_FALSE(is_plain_utf8(bad));
    CHECK_FALSE(is_plain_utf8(std::string_view("\0", 1)));
}
