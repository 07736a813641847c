// Orders in which frames may come: mail is lost, delayed and overtaken.
#include "replica_support.hpp"

namespace fwmail::service::test {

TEST_CASE("messages may come before their mailbox") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(1, account_entry()));
    must(remote.apply(2, one.message()));
    must(remote.apply(3, flags_entry(1, "\\Flagged")));
    must(remote.apply(4, one.whole()));
    auto mailboxes = remote.read([](store::AccountStore& store) { return store.load_mailboxes(); });
    REQUIRE(mailboxes.size() == 1);
    CHECK(mailboxes[0].name == inbox.hex());  // a stand-in, which no client is shown
    must(remote.apply(5, mailbox_entry()));
    CHECK(remote.shown() == uid_list({1}));
    CHECK(remote.message(1).flags == flags("\\Flagged"));
    remote.check();
}

TEST_CASE("a refused section changes nothing of the account either") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    auto chunk = one.chunk(0, one.packed.size());
    chunk.sealed_sha256[0] ^= 1;
    REQUIRE_FALSE(remote.apply(numbered({account_entry({"intruder@example.test"}), chunk}, 10)));
    auto addresses =
        remote.read_system([](store::SystemStore& system) { return system.load_addresses(account); });
    CHECK(addresses == std::vector<std::string>{"ann@example.test"});
}

TEST_CASE("a first message that was expunged before it was sent does not hold up the second") {
    Remote remote;
    Letter two(2, 1);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), two.message(), two.whole()})));
    CHECK(remote.shown().empty());
    UidSet below;
    below.add(1, 1);
    must(remote.apply(9, sync::ExpungeEntry{inbox, below, Uid{}}));
    CHECK(remote.shown() == uid_list({2}));
}

TEST_CASE("what comes late for a removed user is acknowledged and forgotten") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    auto removed = std::get<sync::AccountEntry>(account_entry());
    removed.removed = true;
    must(remote.apply(3, removed));
    must(remote.apply(numbered({one.message(), one.whole()}, 4)));
    CHECK(remote.applied().contains(5));
    CHECK(remote.shown().empty());
}

TEST_CASE("void numbers are as bounded as others") {
    Remote remote;
    NumberSet voids;
    voids.add(1ull << 40);
    must(remote.apply(numbered({account_entry()}), voids));
    CHECK_FALSE(remote.applied().contains(1ull << 40));
}

TEST_CASE("an account entry that a later one has overtaken changes nothing") {
    Remote remote;
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    NumberSet voids;
    voids.add(10);
    must(remote.apply(numbered({account_entry({"new@example.test"})}, 11), voids));
    must(remote.apply(10, account_entry({"old@example.test"})));
    auto addresses =
        remote.read_system([](store::SystemStore& system) { return system.load_addresses(account); });
    CHECK(addresses == std::vector<std::string>{"new@example.test"});
}

TEST_CASE(
    "of two entries about one message's flags the later one makes the earlier void, whichever comes first") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message(), one.whole()})));
    NumberSet voids;
    voids.add(10);
    must(remote.apply(numbered({flags_entry(1, "\\Answered")}, 11), voids));
    must(remote.apply(10, flags_entry(1, "\\Seen")));
    CHECK(remote.message(1).flags == flags("\\Answered"));
}

TEST_CASE("flags that come before their message are not acknowledged, so they come again") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    must(remote.apply(11, flags_entry(1, "\\Seen")));
    CHECK_FALSE(remote.applied().contains(11));
    must(remote.apply(numbered({one.message(), one.whole()}, 9)));
    must(remote.apply(11, flags_entry(1, "\\Seen")));
    REQUIRE(remote.shown() == uid_list({1}));
    CHECK(remote.message(1).flags == flags("\\Seen"));
}

TEST_CASE("an earlier name of a mailbox that comes late is void") {
    Remote remote;
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    NumberSet voids;
    voids.add(10);
    must(remote.apply(numbered({mailbox_entry(inbox, "Renamed", at(2))}, 11), voids));
    must(remote.apply(10, mailbox_entry(inbox, "Between", at(1))));
    auto names = remote.read([](store::AccountStore& store) { return store.load_mailboxes(); });
    REQUIRE(names.size() == 1);
    CHECK(names[0].name == "Renamed");
}

TEST_CASE("a mailbox is deleted in the frame that expunges its messages") {
    Remote remote;
    Letter one(1, 0);
    MailboxId other = id_of<MailboxId>(9);
    auto message = std::get<sync::MessageEntry>(one.message());
    message.mailbox = other;
    must(remote.apply(numbered({account_entry(), mailbox_entry(other, "Old"), message, one.whole()})));
    REQUIRE(remote.shown(other) == uid_list({1}));
    auto deleted = std::get<sync::MailboxEntry>(mailbox_entry(other, "Old"));
    deleted.deleted = true;
    must(remote.apply(numbered({deleted, sync::ExpungeEntry{other, uids({1}), Uid{}}}, 10)));
    CHECK(remote.applied().count() == 6);
}

TEST_CASE("what comes late about a deleted mailbox is acknowledged and does nothing") {
    Remote remote;
    Letter one(1, 0);
    auto deleted = std::get<sync::MailboxEntry>(mailbox_entry());
    deleted.deleted = true;
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    must(remote.apply(10, deleted));
    must(remote.apply(numbered({one.message(), one.whole(), flags_entry(1, "\\Seen")}, 5)));
    CHECK(remote.applied().count() == 6);
}

}  // namespace fwmail::service::test
