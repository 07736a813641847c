#include "base/intervals.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "base/flags.hpp"

using namespace fwmail;

TEST_CASE("intervals: random additions and removals agree with std::set") {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        UidSet set;
        std::set<std::uint32_t> model;
        for (int step = 0; step < 60; ++step) {
            std::uint32_t a = random() % 50 + 1, b = random() % 50 + 1;
            if (random() % 3) {
                set.add(a, b);
                for (auto v = std::min(a, b); v <= std::max(a, b); ++v) model.insert(v);
            } else {
                set.remove(std::min(a, b), std::max(a, b));
                for (auto v = std::min(a, b); v <= std::max(a, b); ++v) model.erase(v);
            }
            REQUIRE(set.count() == model.size());
            for (std::uint32_t v = 0; v < 55; ++v) REQUIRE(set.contains(v) == model.contains(v));
            for (std::size_t i = 1; i < set.list().size(); ++i)
                REQUIRE(set.list()[i - 1].last + 1 < set.list()[i].first);
            std::uint32_t run = 0;
            while (model.contains(run + 1)) ++run;
            REQUIRE(set.contiguous_from_one() == run);
        }
    }
    UidSet all;
    all.add(5, 0xffffffff);
    all.add(1, 4);
    CHECK(all.list().size() == 1);
}

TEST_CASE("flags: text and set restore each other; keywords ignore case") {
    FlagSet flags = FlagSet::from_text("\\Seen $Forwarded \\Flagged junk");
    CHECK(flags.has(FlagSet::seen));
    CHECK(flags.has_keyword("JUNK"));
    CHECK(FlagSet::from_text(flags.text()) == flags);
    flags.add_keyword("Junk");
    CHECK(flags.keywords.size() == 2);
    CHECK_FALSE(flags.add_word("\\Recent"));
    flags.remove(FlagSet::from_text("\\Seen JUNK"));
    CHECK(flags.text() == "\\Flagged $Forwarded");
}
