// Settings, users, links, the lock, and schema versions.
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/database.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

TEST_CASE("files are the owner's only and the directory has one user at a time") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    must(store->set_setting("a", "b"));
    for (const char* name : {"system.db", "system.db-wal"}) {
        struct stat info{};
        REQUIRE(stat((dir.path / name).c_str(), &info) == 0);
        CHECK((info.st_mode & 0777) == 0600);
    }
    struct stat info{};
    REQUIRE(stat((dir.path / "accounts").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    {
        auto lock = must(Lock::take(dir.path));
        auto second = Lock::take(dir.path);
        REQUIRE(!second);
        CHECK(second.error().kind == ErrorKind::temporary);
        CHECK(second.error().text.find(std::to_string(getpid())) != std::string::npos);
    }
    CHECK(Lock::take(dir.path).has_value());
}

TEST_CASE("a file of a newer program is refused in clear words, a damaged one too") {
    TempDir dir;
    must(SystemStore::open(dir.path));
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open((dir.path / "system.db").c_str(), &raw) == SQLITE_OK);
    REQUIRE(sqlite3_exec(raw, "PRAGMA user_version=99", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(raw);
    auto newer = SystemStore::open(dir.path);
    REQUIRE(!newer);
    CHECK(newer.error().kind == ErrorKind::usage);
    CHECK(newer.error().text.find("version 99") != std::string::npos);

    std::filesystem::remove(dir.path / "system.db-wal");
    std::filesystem::remove(dir.path / "system.db-shm");
    FILE* file = fopen((dir.path / "system.db").c_str(), "w");
    for (int i = 0; i < 1000; ++i) fputs("no database at all ", file);
    fclose(file);
    CHECK(error_of(SystemStore::open(dir.path)) == ErrorKind::internal);
}

TEST_CASE("settings keep octets") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    std::string value("\0x\xff", 3);
    must(store->set_setting("key", "first"));
    must(store->set_setting("key", value));
    must(store->set_setting("empty", ""));
    CHECK(must(store->setting("key")) == value);
    CHECK(must(store->setting("empty")) == "");
    must(store->remove_setting("key"));
    CHECK(!must(store->setting("key")));
}

TEST_CASE("users, addresses, credentials and keys") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    auto alice = id_of<AccountId>(1), bob = id_of<AccountId>(2);
    must(store->add_user({alice, "alice", t0}, {"alice@example.org", "a@example.org"}));
    CHECK(error_of(store->add_user({bob, "ALICE", t0})) == ErrorKind::refused);
    // The address is taken: the user is not made either.
    CHECK(error_of(store->add_user({bob, "bob", t0}, {"A@Example.Org"})) == ErrorKind::refused);
    CHECK(!must(store->find_user("bob")));
    must(store->add_user({bob, "bob", t0}));
    CHECK(must(store->find_user("Alice"))->id == alice);
    CHECK(must(store->load_addresses(alice)).size() == 2);
    must(store->remove_address("a@example.org"));
    CHECK(must(store->load_addresses(alice)).size() == 1);
    CHECK(!store->add_address(id_of<AccountId>(9), "x@example.org"));
    must(store->set_user_state(alice, UserState::removed));
    CHECK(must(store->find_user(alice))->state == UserState::removed);
    CHECK(must(store->load_users()).size() == 2);

    Credential c{0, alice, CredentialKind::outside, "phone", "SCRAM...", t0, {}};
    auto id = must(store->add_credential(c));
    must(store->add_credential(c));
    must(store->revoke_credential(id, at(5)));
    must(store->revoke_credential(id, at(9)));  // the first revocation stands
    auto credentials = must(store->load_credentials(alice));
    REQUIRE(credentials.size() == 2);
    CHECK(credentials[0].revoked == at(5));
    CHECK(!credentials[1].revoked);
    CHECK(credentials[1].kind == CredentialKind::outside);

    must(store->add_key({alice, "AB12", "public", "", t0, {}}));
    must(store->add_key({alice, "CD34", "public2", "sealed", at(1), {}}));
    CHECK(error_of(store->add_key({alice, "AB12", "x", "", t0, {}})) == ErrorKind::refused);
    must(store->retire_key(alice, "AB12", at(2)));
    auto keys = must(store->load_keys(alice));
    REQUIRE(keys.size() == 2);
    CHECK(keys[0].fingerprint == "CD34");
    CHECK(keys[1].retired == at(2));

    must(store->rotate_key({alice, "EF56", "public3", "sealed", at(3), {}, true}));
    must(store->rotate_key({alice, "0078", "public4", "sealed", at(4), {}, true}));
    keys = must(store->load_keys(alice));
    REQUIRE(keys.size() == 4);
    CHECK(keys[0].fingerprint == "0078");
    CHECK_FALSE(keys[0].retired);
    CHECK(keys[0].reseals);
    CHECK(keys[1].retired == at(4));
    CHECK_FALSE(keys[1].reseals);
    CHECK(keys[2].retired == at(3));
    CHECK(keys[3].retired == at(2));  // the first retirement stands
    must(store->finish_resealing(alice, "0078"));
    CHECK_FALSE(must(store->load_keys(alice))[0].reseals);
}

TEST_CASE("links keep their counters when they are saved again") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    Link link;
    link.peer = id_of<NodeId>(7);
    link.name = "outside";
    link.role = "remote";
    link.created = t0;
    must(store->save_link(link));
    must(store->note_link_mail(link.peer, LinkEvent::sent, at(1)));
    must(store->note_link_mail(link.peer, LinkEvent::refused, at(2), "bad signature"));
    must(store->note_link_mail(link.peer, LinkEvent::refused, at(2)));
    link.state = LinkState::active;
    link.own_epoch = std::string("\0\1", 2);
    must(store->save_link(link));
    auto found = must(store->find_link("OUTSIDE"));
    REQUIRE(found);
    CHECK(found->state == LinkState::active);
    CHECK(found->own_epoch == link.own_epoch);
    CHECK(found->mails_sent == 1);
    CHECK(found->mails_refused == 2);
    CHECK(found->last_sent == at(1));
    CHECK(found->last_error == "bad signature");
    must(store->note_link_mail(link.peer, LinkEvent::received, at(3)));
    CHECK(must(store->find_link(link.peer))->last_error.empty());
    Link other = link;
    other.peer = id_of<NodeId>(8);
    CHECK(error_of(store->save_link(other)) == ErrorKind::refused);
    must(atomically(store->database(), [&]() -> Result<void> {
        for (int i = 0; i < 1010; ++i) TRY(store->add_refusal(at(i), "mail", std::string(2000, 'x')));
        return {};
    }));
    auto refusals = must(store->load_refusals(5000));
    CHECK(refusals.size() == 1000);
    CHECK(refusals[0].when == at(1009));
    CHECK(refusals[0].reason.size() == 500);
    must(store->remove_link(link.peer));
    CHECK(must(store->load_links()).empty());
}
