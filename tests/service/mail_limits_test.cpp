#include "service/mail_limits.hpp"

#include <catch2/catch.hpp>

namespace fwmail::service {

TEST_CASE("as much as an hour holds, and more as it passes") {
    using namespace std::chrono_literals;
    auto start = RateLimit::Time{} + 1000h;
    RateLimit limit(60);
    for (int i = 0; i < 60; ++i) CHECK(limit.take("ann", 1, start));
    CHECK_FALSE(limit.take("ann", 1, start));
    CHECK(limit.take("ben", 60, start));
    CHECK_FALSE(limit.take("ann", 1, start + 50s));
    CHECK(limit.take("ann", 1, start + 61s));
    CHECK_FALSE(limit.take("ann", 1, start + 61s));
    CHECK(limit.take("ann", 60, start + 3h));
    CHECK_FALSE(limit.take("eve", 61, start));
    CHECK(limit.entries() == 3);
    for (int i = 0; i < 20'000; ++i) limit.take(std::to_string(i), 1, start + 3h);
    CHECK(limit.entries() == RateLimit::most_entries);
    RateLimit none(0);
    CHECK(none.take("ann", 1'000'000, start));
    CHECK(none.entries() == 0);
}

}  // namespace fwmail::service
