#include "service/directory.hpp"

#include <catch2/catch.hpp>

#include "crypto/scram.hpp"
#include "crypto/support.hpp"
#include "net/net_support.hpp"
#include "service/change_hub.hpp"
#include "store/support.hpp"

namespace fwmail::service {

using namespace store::test;

TEST_CASE("users are found by name and address, whatever the case, as long as they are active") {
    TempDir dir;
    auto system = must(store::SystemStore::open(dir.path));
    auto ann = id_of<AccountId>(1), bob = id_of<AccountId>(2);
    must(system->add_user({ann, "Ann", t0}, {"ann@example.test", "Info@Example.test"}));
    must(system->add_user({bob, "bob", t0}, {"bob@example.test"}));
    Directory directory;
    CHECK_FALSE(directory.find_login("ann"));
    must(directory.reload(*system));
    for (const char* name : {"ann", "ANN", "ann@example.test", "INFO@example.TEST"}) {
        auto found = directory.find_login(name);
        REQUIRE(found);
        CHECK(found->user.id == ann);
    }
    CHECK(directory.find_address("info@example.test")->user.id == ann);
    CHECK_FALSE(directory.find_address("ann"));  // a login name is no address
    CHECK_FALSE(directory.find_login("carol"));
    CHECK_FALSE(directory.find_login(""));

    auto before = directory.snapshot();
    must(system->set_user_state(bob, store::UserState::removed));
    CHECK(directory.find(bob));  // until it is read anew
    must(directory.reload(*system));
    CHECK_FALSE(directory.find(bob));
    CHECK_FALSE(directory.find_login("bob"));
    CHECK_FALSE(directory.find_address("bob@example.test"));
    CHECK(before->size() == 2);  // whoever holds the old one may go on with it
    CHECK(directory.snapshot()->size() == 1);
}

TEST_CASE("the newest key that is not retired is sealed to, revoked passwords do not count") {
    TempDir dir;
    auto system = must(store::SystemStore::open(dir.path));
    auto ann = id_of<AccountId>(1);
    must(system->add_user({ann, "ann", t0}));
    auto add_key = [&](char letter, std::int64_t seconds) {
        auto key = crypto::test_key(letter).public_key;
        must(system->add_key(
            {ann, key.fingerprint.hex(), crypto::write_certificate(key), "", at(seconds), std::nullopt}));
        return key.fingerprint;
    };
    Directory directory;
    must(directory.reload(*system));
    CHECK_FALSE(directory.find(ann)->seal_key);
    auto old = add_key('o', 1), fresh = add_key('f', 2);
    must(directory.reload(*system));
    REQUIRE(directory.find(ann)->seal_key);
    CHECK(directory.find(ann)->seal_key->fingerprint == fresh);
    CHECK(directory.find(ann)->keys.size() == 2);
    must(system->retire_key(ann, fresh.hex(), at(3)));
    must(directory.reload(*system));
    CHECK(directory.find(ann)->seal_key->fingerprint == old);
    CHECK(directory.find(ann)->seal_keys.size() == 2);  // earlier mail is sealed to it

    store::Credential credential;
    credential.account = ann;
    credential.label = "phone";
    credential.verifier = must(crypto::make_verifier(Secret(std::string("right")))).text();
    credential.created = t0;
    auto id = must(system->add_credential(credential));
    must(directory.reload(*system));
    CHECK(password_matches(*directory.find(ann), Secret(std::string("right"))));
    CHECK_FALSE(password_matches(*directory.find(ann), Secret(std::string("wrong"))));
    CHECK_FALSE(password_matches(*directory.find(ann), Secret(std::string(""))));
    must(system->revoke_credential(id, at(4)));
    must(directory.reload(*system));
    CHECK_FALSE(password_matches(*directory.find(ann), Secret(std::string("right"))));
}

TEST_CASE("a change wakes who waits for that account, until the subscription goes") {
    net::test::Background background(1);
    ChangeHub hub;
    auto ann = id_of<AccountId>(1), bob = id_of<AccountId>(2);
    auto executor = background.runtime.main_executor();
    auto woken = [&](net::Notifier notifier) {
        return background.run(notifier.wait(net::deadline_after(std::chrono::milliseconds(20))));
    };
    net::Notifier one(executor), other(executor), poller(executor);
    hub.attach_poller(poller);
    auto first = hub.subscribe(ann, one);
    {
        auto second = hub.subscribe(bob, other);
        hub.changed(ann);
        CHECK(woken(one));
        CHECK_FALSE(woken(one));  // once
        CHECK_FALSE(woken(other));
        CHECK(woken(poller));
        auto moved = std::move(second);
        hub.changed(bob);
        CHECK(woken(other));
    }
    hub.changed(bob);
    CHECK_FALSE(woken(other));
    CHECK(hub.take_dirty() == std::set<AccountId>{ann, bob});
    CHECK(hub.take_dirty().empty());
    background.finish();
}

TEST_CASE("a login asks for a round of synchronisation once a minute, a command always") {
    using Haste = ChangeHub::Haste;
    ChangeHub hub;
    auto ann = id_of<AccountId>(1), bob = id_of<AccountId>(2);
    hub.hurry(ann, at(0), Haste::login);
    hub.hurry(bob, at(1), Haste::login);
    hub.hurry(bob, at(1), Haste::command);
    CHECK(hub.take_hurried() == std::map<AccountId, Haste>{{ann, Haste::login}, {bob, Haste::command}});
    CHECK(hub.take_dirty() == std::set<AccountId>{ann, bob});
    hub.hurry(ann, UnixMillis{at(0).value + 59'999}, Haste::login);
    CHECK(hub.take_hurried().empty());
    hub.hurry(ann, UnixMillis{at(0).value + 60'000}, Haste::login);
    hub.hurry(bob, at(2), Haste::command);
    CHECK(hub.take_hurried().size() == 2);
    // The clock was set back.
    hub.hurry(ann, at(0), Haste::login);
    CHECK(hub.take_hurried().size() == 1);
}

}  // namespace fwmail::service
