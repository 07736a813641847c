#include "imap/sort.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>

using namespace fwmail;
using namespace fwmail::imap;

namespace {

std::vector<std::size_t> order_of(SortTable& table) {
    while (!table.step()) {
    }
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < table.size(); ++i) order.push_back(table.at(i));
    return order;
}

std::vector<std::size_t> by_text(const std::vector<std::string>& texts, bool reverse = false) {
    SortTable table({{SortBy::subject, reverse}});
    for (const auto& text : texts) table.add({{0, text}});
    return order_of(table);
}

using Order = std::vector<std::size_t>;

}  // namespace

TEST_CASE("sort: texts") {
    CHECK(by_text({}) == Order{});
    CHECK(by_text({"b", "a", "", "ab"}) == Order{2, 1, 3, 0});
    CHECK(by_text({"12345678", "123456789", "1234567", "123456780"}) == Order{2, 0, 3, 1});
    CHECK(by_text({"\xff", "z", "\x7f"}) == Order{1, 2, 0});
    CHECK(by_text({"b", "a", "c"}, true) == Order{2, 0, 1});
    CHECK(by_text({"long text one", "long text two", "long text"}, true) == Order{1, 0, 2});
}

// RFC 5256 3: REVERSE leaves the sequence numbers alone.
TEST_CASE("sort: ties") {
    CHECK(by_text({"a", "a", "a"}) == Order{0, 1, 2});
    CHECK(by_text({"a", "a", "b", "a"}, true) == Order{2, 0, 1, 3});
    SortTable table({{SortBy::date, true}, {SortBy::from, false}, {SortBy::size, true}});
    table.add({{-5, {}}, {0, "x"}, {1, {}}});
    table.add({{7, {}}, {0, "y"}, {1, {}}});
    table.add({{7, {}}, {0, "x"}, {1, {}}});
    table.add({{7, {}}, {0, "x"}, {2, {}}});
    table.add({{7, {}}, {0, "x"}, {1, {}}});
    CHECK(order_of(table) == Order{3, 2, 4, 1, 0});
}

TEST_CASE("sort: many, in steps") {
    std::mt19937 random(1);
    for (std::size_t count : {16'384u, 16'385u, 50'000u, 100'000u}) {
        SortTable table({{SortBy::subject, false}});
        std::vector<std::pair<std::string, std::size_t>> expected;
        for (std::size_t i = 0; i < count; ++i) {
            expected.emplace_back("subject " + std::to_string(random() % 5000), i);
            table.add({{0, expected.back().first}});
        }
        std::ranges::sort(expected);
        auto order = order_of(table);
        REQUIRE(order.size() == count);
        CHECK(std::ranges::equal(order, expected, {}, {}, [](const auto& pair) { return pair.second; }));
    }
}
