// What bounds the flow from core to remote: how far sealing runs ahead, and the memory of node mail.
#include <catch2/catch.hpp>

#include "service/link_receiver.hpp"
#include "service/poller.hpp"

using namespace fwmail;
using namespace fwmail::service;

namespace {

std::string hash(std::uint8_t n) { return std::string(32, static_cast<char>(n)); }

}  // namespace

TEST_CASE("seal cache: what is put is taken once") {
    SealCache cache;
    AccountId account;
    account.bytes[0] = 1;
    cache.put(account, hash(2), "packed");
    CHECK(cache.octets() == 6);
    CHECK_FALSE(cache.take(AccountId{}, hash(2)));
    auto taken = cache.take(account, hash(2));
    REQUIRE(taken);
    CHECK(*taken == "packed");
    CHECK_FALSE(cache.take(account, hash(2)));
    CHECK(cache.octets() == 0);
}

TEST_CASE("seal cache: whoever seals waits for a sender that takes, not for one that is stuck") {
    SealCache cache;
    AccountId account;
    CHECK_FALSE(cache.wait_for_sender());
    for (std::uint8_t n = 1; n <= 17; ++n) cache.put(account, hash(n), std::string(1 << 20, 'x'));
    CHECK(cache.wait_for_sender());
    cache.sender_is_stuck();
    CHECK_FALSE(cache.wait_for_sender());
    cache.put(account, hash(18), std::string(1 << 20, 'x'));
    CHECK_FALSE(cache.wait_for_sender());
    CHECK(cache.take(account, hash(1)));
    CHECK(cache.wait_for_sender());  // it takes again
    CHECK(cache.take(account, hash(2)));
    CHECK_FALSE(cache.wait_for_sender());
}

TEST_CASE("seal cache: it is bounded, and what is too large is not kept") {
    SealCache cache;
    AccountId account;
    cache.put(account, hash(1), std::string((1 << 20) + 1, 'x'));
    CHECK(cache.octets() == 0);
    for (std::uint8_t n = 1; n <= 100; ++n) cache.put(account, hash(n), std::string(1 << 20, 'x'));
    CHECK(cache.octets() == 64 << 20);
    CHECK(cache.take(account, hash(1)));
    CHECK_FALSE(cache.take(account, hash(100)));
}

TEST_CASE("node mail: the memory of all connections is bounded, and given back") {
    NodeMailRoom room;
    {
        NodeMailRoom::Share first, second;
        CHECK(first.grow(room, 100 << 20));
        CHECK_FALSE(second.grow(room, 100 << 20));
        NodeMailRoom::Share moved = std::move(first);
        CHECK_FALSE(second.grow(room, 1));
    }
    NodeMailRoom::Share third;
    CHECK(third.grow(room, 192 << 20));
    CHECK_FALSE(third.grow(room, 1));
}
