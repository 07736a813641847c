#include "replica_support.hpp"

namespace fwmail::service::test {

TEST_CASE("a body that does not come is stood in for by a sealed stub, after its time") {
    Remote remote;
    Letter one(1, 0), two(2, 1);
    must(remote.apply(
        numbered({account_entry(), mailbox_entry(), one.message(), two.message(), two.whole()})));
    must(remote.run(remote.replica().place_stubs(account, std::chrono::minutes(15))));
    CHECK(remote.shown().empty());
    remote.now = at(1000);
    must(remote.run(remote.replica().place_stubs(account, std::chrono::minutes(15))));
    CHECK(remote.shown() == uid_list({1, 2}));
    CHECK(remote.octets(2) == two.served);
    auto stub = restore(inner_of(remote.octets(1)));
    REQUIRE(stub);
    CHECK(stub->find("has not arrived") != std::string::npos);
    auto shown = remote.octets(1);
    must(remote.apply(20, one.whole()));  // too late: what a UID names never changes
    CHECK(remote.octets(1) == shown);
    remote.check();
}

}  // namespace fwmail::service::test
