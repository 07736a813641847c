#include "service/mx_plan.hpp"

#include <catch2/catch.hpp>
#include <set>

namespace fwmail::service {

using Names = std::vector<std::string>;

TEST_CASE("exchangers are tried by preference, equals in any order") {
    net::MxAnswer answer{{{20, "c"}, {10, "a"}, {10, "b"}, {30, "a"}}, false};
    std::set<Names> seen;
    unsigned seed = 1;
    auto random = [&](std::size_t n) { return (seed = seed * 1103515245 + 12345) / 65536 % n; };
    for (int i = 0; i < 200; ++i) seen.insert(plan_exchangers(answer, "d", "me", random).value());
    CHECK(seen == std::set<Names>{{"a", "b", "c"}, {"b", "a", "c"}});
}

TEST_CASE("no MX is the domain itself, a null MX is nobody, and nobody is farther than ourselves") {
    auto last = [](std::size_t n) { return n - 1; };
    CHECK(plan_exchangers({}, "d.test", "me", last).value() == Names{"d.test"});
    CHECK(plan_exchangers({{}, true}, "d.test", "me", last).error().text.starts_with("556 5.1.10 "));
    net::MxAnswer answer{{{10, "a"}, {20, "ME.test"}, {20, "b"}, {30, "c"}}, false};
    CHECK(plan_exchangers(answer, "d.test", "me.test", last).value() == Names{"a"});
    answer.hosts.erase(answer.hosts.begin());
    CHECK(plan_exchangers(answer, "d.test", "me.test", last).error().text.starts_with("550 5.4.6 "));
    net::MxAnswer many;
    for (int i = 0; i < 30; ++i) many.hosts.push_back({10, "h" + std::to_string(i)});
    CHECK(plan_exchangers(many, "d.test", "me", last).value().size() == most_exchangers);
}

}  // namespace fwmail::service
