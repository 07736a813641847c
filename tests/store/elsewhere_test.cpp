// What core says of messages that it has moved.
#include "store/elsewhere.hpp"

#include "store/database.hpp"
#include "store/outside_expunges.hpp"
#include "store/stated.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

const NodeId peer = id_of<NodeId>(42);

// A message in INBOX that core has moved to A and on to B, and of which the peer was told in INBOX and A.
struct Wandered : Account {
    MailboxId a = must(store->create_mailbox("A", "", t0)).id,
              b = must(store->create_mailbox("B", "", t0)).id;
    ModSeq since;

    Wandered() {
        add();
        must(store->move(inbox.id, uids({1}), a, t0));
        must(store->move(a, uids({1}), b, t0));
        for (auto mailbox : {inbox.id, a}) must(store->set_planned(peer, mailbox, {Uid{1}, Uid{1}}));
        since = must(store->highest_modseq());
    }
    Gone gone() { return must(gone_at(*store, peer, must(store->expunged_since(since, 100)))); }
    bool has_moved(MailboxId mailbox) {
        UidSet all;
        all.add(1, UINT32_MAX);
        return must(moved_among(*store, peer, mailbox, all)) == uids({1});
    }
    // The peer has called the message so.
    void give(const Place& called, const Place& now) {
        must(store->database().run("INSERT INTO outside_numbers VALUES((SELECT id FROM peers),?,?,?,?,0,x'')",
                                   called.mailbox, called.uid, now.mailbox, now.uid));
    }
};

}  // namespace

TEST_CASE("a message that goes for good is told to be gone under every number that the peer knows") {
    Wandered w;
    CHECK(w.gone().uids.empty());
    CHECK(w.has_moved(w.inbox.id));
    CHECK(w.has_moved(w.a));
    must(w.store->expunge_any(w.b, uids({1})));
    std::map<MailboxId, UidSet> known{{w.inbox.id, uids({1})}, {w.a, uids({1})}};
    CHECK(w.gone().uids == known);
    CHECK_FALSE(w.has_moved(w.inbox.id));
    CHECK_FALSE(w.has_moved(w.a));
    must(w.store->set_planned(peer, w.b, {Uid{1}, Uid{1}}));
    known[w.b] = uids({1});
    CHECK(w.gone().uids == known);
    CHECK(w.gone().given.empty());
}

TEST_CASE("so it is when its mailbox is deleted, and when the peer has expunged it itself") {
    Wandered w;
    must(w.store->set_planned(peer, w.b, {Uid{1}, Uid{1}}));
    std::map<MailboxId, UidSet> known{{w.inbox.id, uids({1})}, {w.a, uids({1})}};
    SECTION("deleted") {
        must(w.store->delete_mailbox(w.b));
        known[w.b] = uids({1});
    }
    SECTION("expunged outside: of its last number the peer knows") {
        must(hide_messages(*w.store, peer, w.b, uids({1}), t0));
    }
    CHECK(w.gone().uids == known);
}

TEST_CASE("a number that the peer gave itself is told to be nowhere") {
    Wandered w;
    Place called{w.a, Uid{9}}, adopted{w.b, Uid{1}};
    SECTION("to what was moved on since") { w.give(called, {w.a, Uid{1}}); }
    SECTION("to what is where it was then") { w.give(called, adopted); }
    w.give(adopted, adopted);
    CHECK(must(moved_among(*w.store, peer, w.a, uids({9}))) == uids({9}));
    must(w.store->expunge_any(w.b, uids({1})));
    CHECK(w.gone().given == std::vector{called});
    CHECK(w.gone().uids.contains(w.b));  // the peer has it under that number, though it was not told of it
    CHECK(must(moved_among(*w.store, peer, w.a, uids({9}))).empty());
}

TEST_CASE("so is one that was its own, and has been given another one since") {
    Wandered w;
    Place adopted{w.a, Uid{1}};
    w.give(adopted, adopted);
    must(w.store->expunge_any(w.b, uids({1})));
    CHECK(w.gone().given == std::vector{adopted});
}

TEST_CASE("what has gone for good does not come back from under a number that the peer gave itself") {
    Wandered w;
    Place called{w.a, Uid{9}};
    w.give(called, {w.inbox.id, Uid{1}});
    sync::StateEntry state;
    state.mailbox = w.a;
    state.first = Uid{1};
    state.last = Uid{UINT32_MAX};
    state.floor = state.visible = Uid{9};
    state.there.push_back({Uid{9}, id_of<EmailId>(1), sync::Sha256{1}, {}, {}});
    SECTION("expunged") {
        must(w.store->expunge_any(w.b, uids({1})));
        auto found = must(compare_state(*w.store, peer, state, t0, t0));
        CHECK(found.nowhere == uid_list({9}));
        CHECK((found.bodies.empty() && found.copies.empty()));
    }
    SECTION("but another message does, of which nothing is known") {
        must(w.store->expunge_any(w.b, uids({1})));
        state.there[0].email = id_of<EmailId>(77);
        auto found = must(compare_state(*w.store, peer, state, t0, t0));
        CHECK((found.leave.empty() && found.nowhere.empty()));
        CHECK(found.bodies == uids({9}));
    }
}

TEST_CASE("a number that the peer has heard of as that of its own message is told of when that moves on") {
    Wandered w;
    must(w.store->set_planned(peer, w.a, {}));
    w.give({w.b, Uid{9}}, {w.inbox.id, Uid{1}});
    // Both moves are told: the first number, and the second, which a later confirmation has named.
    std::map<MailboxId, UidSet> both{{w.inbox.id, uids({1})}, {w.a, uids({1})}};
    auto gone = must(gone_at(*w.store, peer, must(w.store->expunged_since(ModSeq{}, 100))));
    CHECK(gone.uids == both);
    CHECK(gone.given.empty());
}

TEST_CASE("what cannot be sent to the peer is not told to be elsewhere") {
    Wandered w;
    Seal withheld;
    withheld.state = SealState::withheld;
    must(w.store->record_seal({w.b, Uid{1}, withheld}));
    CHECK_FALSE(w.has_moved(w.a));
}
