#include "sync/registers.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "generate.hpp"

using namespace fwmail;
using namespace fwmail::sync;
using fwmail::sync::testing::Generator;

namespace {

FlagSet flags(std::string_view text) { return FlagSet::from_text(text); }
Stamp stamp(std::uint64_t time, std::uint32_t origin = 1) { return {time, origin}; }

std::uint64_t time_of(const FlagState& state, std::string_view key) {
    for (const auto& r : state.registers)
        if (r.key == key) return r.stamp.time;
    return 0;
}

}  // namespace

TEST_CASE("stamps: they follow the clock, never go back, and carry") {
    std::uint64_t first = next_stamp_time(0, UnixMillis{1000});
    CHECK(first == 1000ull << 16);
    CHECK(next_stamp_time(first, UnixMillis{1000}) == first + 1);
    CHECK(next_stamp_time(first, UnixMillis{900}) == first + 1);
    CHECK(next_stamp_time(first, UnixMillis{1001}) == 1001ull << 16);
    CHECK(next_stamp_time((1000ull << 16) | 0xffff, UnixMillis{1000}) == 1001ull << 16);
    CHECK(next_stamp_time(max_stamp_time, UnixMillis{1000}) == max_stamp_time);
    CHECK(Stamp{5, 1} < Stamp{5, 2});
    CHECK(Stamp{5, 2} < Stamp{6, 1});
    CHECK_FALSE(is_ahead(stamp((1000ull + 300'000) << 16), UnixMillis{1000}));
    CHECK(is_ahead(stamp((1000ull + 300'001) << 16), UnixMillis{1000}));
}

TEST_CASE("registers: what one side and what the other changed both survive") {
    FlagState start{flags("\\Draft old"), {}};
    auto here = change_flags(start, flags("\\Draft \\Seen old"), stamp(10));
    auto there = change_flags(start, flags("\\Flagged \\Draft New"), stamp(9, 2));
    auto both = merge_flags(here, there);
    CHECK(both.flags == flags("\\Seen \\Flagged \\Draft New"));  // `old` was taken away there
    CHECK(time_of(both, "old") == 9);
    CHECK(time_of(both, "\x01") == 10);
    CHECK(time_of(both, "\x05") == 0);
}

TEST_CASE("registers: the later writer of one flag wins, either way") {
    FlagState start{flags("\\Seen"), {}};
    auto off = change_flags(start, flags(""), stamp(10, 1));
    auto on = change_flags(off, flags("\\Seen"), stamp(11, 1));
    CHECK(merge_flags(off, on) == on);
    auto off_elsewhere = change_flags(start, flags(""), stamp(11, 2));
    CHECK(merge_flags(on, off_elsewhere).flags == flags(""));
    CHECK(merge_flags(start, off).flags == flags(""));
}

TEST_CASE("registers: a keyword is one in any case, spelled as by the last writer") {
    FlagState start{flags("Work"), {}};
    auto other = change_flags(start, flags("WORK"), stamp(5));
    CHECK(merge_flags(start, other).flags.keywords == std::vector<std::string>{"WORK"});
    CHECK(merge_flags({flags("work"), {}}, start) == merge_flags(start, {flags("work"), {}}));
}

TEST_CASE("registers: only what differs is stamped") {
    FlagState start{flags("\\Seen a"), {}};
    CHECK(change_flags(start, flags("\\Seen a"), stamp(5)) == start);
    CHECK(change_flags(start, flags("\\Seen a b"), stamp(5)).registers.size() == 1);
}

TEST_CASE("registers: stamps too far ahead say nothing yet") {
    UnixMillis now{1'000'000};
    FlagState mine{flags("\\Seen"), {}};
    auto theirs = change_flags(mine, flags("\\Flagged"), stamp(1'400'000ull << 16));
    theirs = change_flags(theirs, flags("\\Flagged soon"), stamp(1'000'000ull << 16));
    FlagState taken = theirs;
    CHECK(drop_ahead(taken, now));
    CHECK(merge_flags(mine, taken).flags == flags("\\Seen soon"));
    CHECK_FALSE(drop_ahead(taken, now));
    UnixMillis later{1'200'000};
    CHECK_FALSE(drop_ahead(theirs, later));
    CHECK(merge_flags(merge_flags(mine, taken), theirs).flags == flags("\\Flagged soon"));
}

TEST_CASE("registers: merging is commutative, associative and idempotent") {
    for (unsigned seed = 1; seed <= 20'000; ++seed) {
        INFO("seed " << seed);
        Generator generate(seed);
        FlagState a = generate.flag_state(), b = generate.flag_state(), c = generate.flag_state();
        auto ab = merge_flags(a, b);
        REQUIRE(ab == merge_flags(b, a));
        REQUIRE(merge_flags(ab, c) == merge_flags(a, merge_flags(b, c)));
        REQUIRE(merge_flags(a, a) == a);
        REQUIRE(merge_flags(ab, b) == ab);
        REQUIRE(validate_registers(ab.registers));
    }
}

TEST_CASE("registers: reading undoes writing, and what is not in order is refused") {
    for (unsigned seed = 1; seed <= 2'000; ++seed) {
        INFO("seed " << seed);
        auto registers = Generator(seed).flag_state().registers;
        auto octets = encode_registers(registers);
        CHECK(octets.empty() == registers.empty());
        auto back = decode_registers(octets);
        REQUIRE(back);
        REQUIRE(*back == registers);
        for (std::size_t cut = 1; cut < octets.size(); ++cut)
            REQUIRE_FALSE(decode_registers(std::string_view(octets).substr(0, cut)));
    }
    auto bad = [](Registers registers) { CHECK_FALSE(validate_registers(registers)); };
    bad({{"", stamp(1)}});
    bad({{"\x06", stamp(1)}});
    bad({{"Upper", stamp(1)}});
    bad({{"two words", stamp(1)}});
    bad({{"b", stamp(1)}, {"a", stamp(1)}});
    bad({{"a", stamp(1)}, {"a", stamp(2)}});
    bad({{"a", {}}});
    bad({{"a", stamp(max_stamp_time + 1)}});
    bad({{std::string(101, 'k'), stamp(1)}});
    CHECK(validate_registers({{"\x01", stamp(1)}, {"\x05", stamp(max_stamp_time)}, {"a", stamp(1)}}));
}
