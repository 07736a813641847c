#include "service/login_guard.hpp"

#include <catch2/catch.hpp>

#include "net/dns.hpp"

namespace fwmail::service {
namespace {

using namespace std::chrono_literals;
const LoginGuard::Time start = LoginGuard::Time{} + std::chrono::hours(1000);

}  // namespace

TEST_CASE("an address is refused at its limit, once with a line in the log, and let in again later") {
    LoginGuard guard(4);
    for (int i = 0; i < 4; ++i)
        CHECK_FALSE(guard.begin("192.0.2.1", "ann" + std::to_string(i), start).refused);
    auto fifth = guard.begin("192.0.2.1", "eve", start);
    CHECK(fifth.refused);
    CHECK(fifth.newly_refused);
    auto sixth = guard.begin("192.0.2.1", "eve", start);
    CHECK(sixth.refused);
    CHECK_FALSE(sixth.newly_refused);
    CHECK_FALSE(guard.begin("192.0.2.2", "eve", start).refused);
    CHECK(guard.begin("192.0.2.1", "ann", start + 90s).refused);  // three left
    CHECK_FALSE(guard.begin("192.0.2.1", "ann", start + 121s).refused);
    CHECK_FALSE(guard.begin("192.0.2.1", "ann", start + 121s).refused);
    CHECK(guard.begin("192.0.2.1", "ann", start + 121s).newly_refused);
}

TEST_CASE("who logs in well is not counted, however often") {
    LoginGuard guard(3);
    for (int i = 0; i < 100; ++i) {
        auto verdict = guard.begin("192.0.2.1", "Ann", start);
        CHECK_FALSE(verdict.refused);
        CHECK(verdict.delay == 0s);
        guard.succeeded("192.0.2.1", "ann");
    }
    CHECK(guard.entries() == 0);
    guard.succeeded("192.0.2.1", "ann");  // of an entry that went meanwhile
    CHECK(guard.entries() == 0);
}

TEST_CASE("many attempts at once count before they are decided") {
    LoginGuard guard(3);
    int let_in = 0;
    for (int i = 0; i < 50; ++i) let_in += !guard.begin("192.0.2.1", "ann", start).refused;
    CHECK(let_in == 3);
}

TEST_CASE("an account under attack from many addresses answers more slowly and never refuses") {
    LoginGuard guard(40);
    std::chrono::seconds last{0};
    for (int i = 0; i < 300; ++i) {
        auto verdict = guard.begin("192.0.2." + std::to_string(i), "ANN", start);
        CHECK_FALSE(verdict.refused);
        CHECK(verdict.delay >= last);
        if (i < 10) CHECK(verdict.delay == 0s);
        last = verdict.delay;
    }
    CHECK(last == LoginGuard::slowest);
    CHECK(guard.begin("192.0.2.1", "ann", start + 60min).delay == 0s);
}

TEST_CASE("the tables are bounded") {
    LoginGuard guard(5);
    for (int i = 0; i < 30'000; ++i)
        guard.begin("address" + std::to_string(i), std::string(1000, 'x') + std::to_string(i), start);
    CHECK(guard.entries() <= 2 * LoginGuard::most_entries);
    LoginGuard off(0);
    for (int i = 0; i < 100; ++i) CHECK_FALSE(off.begin("a", "b", start).refused);
    CHECK(off.entries() == 0);
}

TEST_CASE("an IPv6 /64 is one address") {
    CHECK(net::limited_as("192.0.2.1") == "192.0.2.1");
    CHECK(net::limited_as("::ffff:192.0.2.1") == "192.0.2.1");
    CHECK(net::limited_as("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
    CHECK(net::limited_as("2001:db8:1:2::9") == "2001:db8:1:2::/64");
    CHECK(net::limited_as("local") == "local");
}

}  // namespace fwmail::service
