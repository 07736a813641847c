// The remote's side of replication, whatever the order in which what core says comes: the same is shown in
// the end, and at each step along the way what is shown is what core has up to some UID.
#include <algorithm>
#include <span>

#include "replica_support.hpp"

namespace fwmail::service::test {
namespace {

bool is_prefix(const std::vector<Uid>& part, const std::vector<Uid>& whole) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

}  // namespace

TEST_CASE("what comes in one frame is shown with its bodies, flags and numbers") {
    Remote remote;
    Letter one(1, 0), five(5, 1), nine(9, 5);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message(), one.whole(),
                                five.message("\\Seen work"), five.whole(), nine.message(), nine.whole()})));
    CHECK(remote.shown() == uid_list({1, 5, 9}));
    CHECK(remote.octets(5) == five.served);
    CHECK(restore(inner_of(remote.octets(9))) == nine.text);
    CHECK(remote.message(5).flags == flags("\\Seen work"));
    CHECK(remote.message(5).email_id == five.email);
    CHECK(remote.message(9).size == nine.info.size);
    auto mailbox = remote.read([](store::AccountStore& store) { return store.find_mailbox("INBOX"); });
    REQUIRE(mailbox);
    CHECK(mailbox->sealed_uidvalidity == UidValidity{77});
    CHECK(mailbox->uidnext == Uid{10});
    CHECK(remote.applied().count() == 8);
    remote.check();
}

TEST_CASE("frames in any order, repeated, lost and sent again come to the same") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    Letter one(1, 0), two(2, 1), five(5, 2), nine(9, 5), ten(10, 9);
    std::vector<Entry> entries{account_entry(), mailbox_entry(),   one.message(),
                               one.whole(),     two.message(),     five.message("\\Seen"),
                               nine.message(),  nine.whole(),      ten.message(),
                               ten.whole(),     expunge_entry({2})};
    for (auto& piece : two.pieces(2)) entries.push_back(piece);
    for (auto& piece : five.pieces(3)) entries.push_back(piece);
    const auto all = numbered(entries);
    std::vector<Uid> before = uid_list({1, 2, 5, 9, 10}), after = uid_list({1, 5, 9, 10});
    std::string expected;
    for (int round = 0; round < 12; ++round) {
        CAPTURE(round);
        Remote remote;
        auto left = all;
        // A mailbox that comes after its messages has a test of its own.
        std::span behind(left.begin() + 2, left.end());
        if (round == 1) std::ranges::reverse(behind);
        if (round > 1) std::ranges::shuffle(behind, random);
        for (int turn = 0; !left.empty(); ++turn) {
            REQUIRE(turn < 500);
            // Now and then several entries travel together, and what came once comes again.
            std::vector<sync::Numbered> frame;
            for (std::size_t n = turn ? 1 + random() % 3 : 2; n > 0 && !left.empty(); --n) {
                frame.push_back(left.front());
                left.erase(left.begin());
            }
            if (round && turn && random() % 3 == 0) frame.push_back(all[random() % all.size()]);
            std::ranges::sort(frame, {}, &sync::Numbered::number);
            auto same = std::ranges::unique(frame, {}, &sync::Numbered::number);
            frame.erase(same.begin(), same.end());
            auto result = remote.apply(frame);
            if (!result) {  // it must come again, and does
                REQUIRE(result.error().kind == ErrorKind::temporary);
                left.insert(left.end(), frame.begin(), frame.end());
            }
            auto shown = remote.shown();
            REQUIRE((is_prefix(shown, before) || is_prefix(shown, after)));
        }
        REQUIRE(remote.shown() == after);
        CHECK(remote.octets(5) == five.served);
        CHECK(remote.message(5).flags == flags("\\Seen"));
        if (expected.empty()) expected = remote.state();
        CHECK(remote.state() == expected);
        remote.check();
        for (const auto& entry : all)
            must(remote.apply(entry.number.value, entry.entry));  // all of it once more
        CHECK(remote.state() == expected);
        remote.check();
    }
}

TEST_CASE("a message is shown only when all before it are there or gone") {
    Remote remote;
    Letter one(1, 0), four(4, 1), six(6, 4);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), six.message(), six.whole()})));
    CHECK(remote.shown().empty());  // there is something between, not announced yet
    must(remote.apply(numbered({one.message(), one.whole()}, 10)));
    CHECK(remote.shown() == uid_list({1}));
    must(remote.apply(20, four.message()));
    CHECK(remote.shown() == uid_list({1}));  // announced, and its body on the way
    must(remote.apply(21, four.whole()));
    CHECK(remote.shown() == uid_list({1, 4, 6}));
    remote.check();
}

TEST_CASE("flags may come before the body") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message()})));
    must(remote.apply(10, flags_entry(1, "\\Flagged")));
    must(remote.apply(11, one.whole()));
    CHECK(remote.message(1).flags == flags("\\Flagged"));
    remote.check();
}

TEST_CASE("what is expunged before it came is never shown, and blocks nothing") {
    Remote remote;
    Letter one(1, 0), two(2, 1), three(3, 2);
    must(remote.apply(numbered(
        {account_entry(), mailbox_entry(), one.message(), one.whole(), three.message(), three.whole()})));
    CHECK(remote.shown() == uid_list({1}));
    must(remote.apply(10, expunge_entry({2})));
    must(remote.apply(11, two.message()));
    CHECK(remote.shown() == uid_list({1, 3}));
    must(remote.apply(12, two.whole()));
    CHECK(remote.shown() == uid_list({1, 3}));
    must(remote.apply(13, expunge_entry({1, 3})));
    CHECK(remote.shown().empty());
    remote.check();
}

TEST_CASE("a body that comes again when its message has gone is not stored again") {
    Remote remote;
    Letter one(1, 0);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message(), one.whole()})));
    auto object = remote.message(1).object;
    auto there = [&] {
        return remote.read_system([&](store::SystemStore& system) { return system.find_object(object); })
            .has_value();
    };
    must(remote.apply(10, expunge_entry({1})));
    CHECK(there());
    remote.let_go();
    CHECK_FALSE(there());
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message(), one.whole()})));
    CHECK_FALSE(there());
    remote.check();
}

TEST_CASE("two mailboxes do not wait for each other, and names may cross") {
    Remote remote;
    Letter one(1, 0), two(2, 1);
    MailboxId other = id_of<MailboxId>(9);
    auto elsewhere = std::get<sync::MessageEntry>(two.message());
    elsewhere.mailbox = other;
    elsewhere.prev_uid = Uid{};
    must(remote.apply(numbered({account_entry(), mailbox_entry(), mailbox_entry(other, "Sent"), one.message(),
                                elsewhere, two.whole()})));
    CHECK(remote.shown().empty());
    CHECK(remote.shown(other) == uid_list({2}));
    // Renamed to each other's name; what is in between has names of its own.
    must(remote.apply(10, mailbox_entry(inbox, "Sent", at(1))));
    CHECK(remote.shown(other) == uid_list({2}));
    must(remote.apply(11, mailbox_entry(other, "Other", at(1))));
    auto names = remote.read([](store::AccountStore& store) { return store.load_mailboxes(); });
    REQUIRE(names.size() == 2);
    CHECK(names[0].name == "Other");
    CHECK(names[1].name == "Sent");
    remote.check();
}

TEST_CASE("a body that is not what it says is refused, and changes nothing") {
    Remote remote;
    Letter one(1, 0), two(2, 1);
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message(), one.whole()})));
    auto state = remote.state();
    auto applied = remote.applied();
    auto bad = [&](Entry chunk, std::string_view what) {
        INFO(what);
        auto result = remote.apply(numbered({flags_entry(1, "\\Seen"), two.message(), std::move(chunk)}, 10));
        REQUIRE_FALSE(result);
        CHECK((result.error().kind == ErrorKind::refused || result.error().kind == ErrorKind::protocol));
        CHECK(remote.state() == state);
        CHECK(remote.applied() == applied);
        remote.check();
    };
    auto chunk = two.chunk(0, two.packed.size());
    chunk.sealed_sha256[0] ^= 1;
    bad(chunk, "another hash");
    chunk = two.chunk(0, two.packed.size());
    chunk.data.back() = static_cast<char>(chunk.data.back() ^ 1);
    bad(chunk, "one bit of the ciphertext");
    chunk = two.chunk(0, two.packed.size());
    chunk.email = one.email;
    bad(chunk, "another message's id");
    chunk = two.chunk(0, two.packed.size());
    chunk.data = "Subject: plain text\r\n\r\nreadable\r\n";
    chunk.total = chunk.data.size();
    bad(chunk, "plain text");
    auto bob = crypto::test_key('b');
    std::string to_bob;
    auto order = order_of('b');
    order.email_id = two.email;
    auto info =
        must(seal_mail(source_of(two.text), bob.public_key, order, [&](std::string_view piece) -> Result<> {
            to_bob += piece;
            return {};
        }));
    chunk = two.chunk(0, two.packed.size());
    chunk.data = to_bob;
    chunk.total = to_bob.size();
    chunk.sealed_sha256 = info.sha256;
    bad(chunk, "sealed to somebody else");
    // The right one, later, is taken.
    must(remote.apply(numbered({two.message(), two.whole()}, 20)));
    CHECK(remote.shown() == uid_list({1, 2}));
    remote.check();
}

TEST_CASE("another sealing of the message than the announced one is not shown for it") {
    Remote remote;
    Letter one(1, 0);
    auto order = order_of('z');
    order.email_id = one.email;
    auto other = sealed(one.text, order);
    sync::ChunkEntry chunk{one.email, other.info.sha256, 0, other.packed.size(), other.packed};
    must(remote.apply(numbered({account_entry(), mailbox_entry(), one.message(), chunk})));
    CHECK(remote.shown().empty());
    must(remote.apply(10, one.whole()));
    CHECK(remote.shown() == uid_list({1}));
    CHECK(remote.octets(1) == one.served);
    remote.check();
}

TEST_CASE("a body in pieces, larger than a stored chunk, is put together in any order") {
    Remote remote;
    Letter one(1, 0, 900'000), two(2, 1);
    must(remote.apply(
        numbered({account_entry(), mailbox_entry(), one.message(), two.message(), two.whole()})));
    auto pieces = one.pieces(7);
    std::uint64_t number = 10;
    for (std::size_t i : {6u, 0u, 3u, 3u, 5u, 1u, 2u}) must(remote.apply(number++, pieces[i]));
    CHECK(remote.shown().empty());
    must(remote.apply(number++, pieces[4]));
    CHECK(remote.shown() == uid_list({1, 2}));
    CHECK((remote.octets(1) == one.served));
    CHECK(remote
              .read([&](store::AccountStore& store) {
                  return store.chunk_coverage(one.email, crypto::view_of(one.info.sha256));
              })
              .total == 0);  // gone
    remote.check();
}

TEST_CASE("entries of an account that nobody has introduced wait, or come again") {
    Remote remote;
    Letter one(1, 0);
    auto early = remote.apply(1, one.whole());
    REQUIRE_FALSE(early);
    CHECK(early.error().kind == ErrorKind::temporary);
    CHECK(remote.applied().empty());
    must(remote.apply(2, account_entry()));
    must(remote.apply(1, one.whole()));
    must(remote.apply(numbered({mailbox_entry(), one.message()}, 3)));
    CHECK(remote.shown() == uid_list({1}));
    remote.check();
}

TEST_CASE("a number far ahead is not acknowledged, what is void is") {
    Remote remote;
    must(remote.apply(1, account_entry()));
    must(remote.apply(5'000'000, mailbox_entry()));
    CHECK(remote.applied().count() == 1);
    NumberSet voids;
    voids.add(2, 4);
    must(remote.apply({}, voids));
    CHECK(remote.applied().count() == 4);
    // A void number that comes late all the same does nothing.
    must(remote.apply(3, mailbox_entry()));
    CHECK(remote.read([](store::AccountStore& store) { return store.load_mailboxes(); }).empty());
    must(remote.apply(5, mailbox_entry()));
    CHECK(remote.read([](store::AccountStore& store) { return store.load_mailboxes(); }).size() == 1);
    remote.check();
}

TEST_CASE("only core's entries are taken") {
    Remote remote;
    must(remote.apply(numbered({account_entry(), mailbox_entry()})));
    auto result = remote.apply(3, sync::StubbedEntry{inbox, Uid{1}});
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::refused);
    CHECK(remote.applied().count() == 2);
    must(remote.apply(
        4, sync::UnknownEntry{99, "later"}));  // of a later version: acknowledged, and does nothing
    CHECK(remote.applied().count() == 3);
}

}  // namespace fwmail::service::test
