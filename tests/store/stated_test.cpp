// What core makes of what a remote has expunged, where the two call a message by different numbers.
#include "store/stated.hpp"

#include "store/database.hpp"
#include "store/elsewhere.hpp"
#include "store/outside_expunges.hpp"
#include "store/provisional.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

using Why = sync::StateEntry::Gone;

const NodeId peer = id_of<NodeId>(42), second = id_of<NodeId>(43);
const EmailId email = id_of<EmailId>(1);  // of the message with UID 1

// A message in INBOX, of which two peers were told, and another mailbox.
struct Told : Account {
    MailboxId other = must(store->create_mailbox("Other", "", t0)).id;
    sync::StateEntry state;

    Told() {
        add();
        must(store->record_seal({inbox.id, Uid{1}, {"", 1, std::string(32, '\1'), SealState::sealed, ""}}));
        for (auto node : {peer, second}) must(store->set_planned(node, inbox.id, {Uid{9}, Uid{9}}));
        state.mailbox = inbox.id;
        state.first = Uid{1};
        state.last = Uid{UINT32_MAX};
        state.visible = state.floor = Uid{9};
    }
    void renumber() { must(store->move(inbox.id, uids({1}), inbox.id, t0)); }
    void says(std::uint32_t uid, EmailId what, Why::Why why) { state.gone.push_back({Uid{uid}, what, why}); }
    void shows(std::uint32_t uid, EmailId what) {
        sync::Sha256 sealed;
        sealed.fill(1);
        state.there.push_back({Uid{uid}, what, sealed, {}, {}});
    }
    Differences compare(NodeId who = peer) { return must(compare_state(*store, who, state, t0, t0)); }
    OwnPlaces expunged(std::uint32_t uid) { return must(own_places(*store, peer, inbox.id, uids({uid}))); }
    std::map<MailboxId, UidSet> in_inbox(std::uint32_t uid) { return {{inbox.id, uids({uid})}}; }
};

AppendWord returned(const Told& told, std::uint32_t uid) {
    AppendWord word{{told.inbox.id, Uid{uid}}, NewMessage{}, {}, true, true};
    word.message->hold = id_of<HoldId>(500 + uid);
    word.message->object = id_of<ObjectId>(500 + uid);
    word.message->email_id = id_of<EmailId>(50);
    return word;
}

}  // namespace

TEST_CASE("an expunge from outside follows a message to its new number, and not to another mailbox") {
    Told told;
    SECTION("number") {
        told.renumber();
        auto places = told.expunged(1);
        CHECK(places.here.empty());
        CHECK(places.elsewhere == told.in_inbox(2));
    }
    SECTION("mailbox") {
        must(told.store->move(told.inbox.id, uids({1}), told.other, t0));
        CHECK(told.expunged(1).elsewhere.empty());
    }
}

TEST_CASE("so does what a remote tells to be gone, if a client there has expunged it") {
    Told told;
    told.renumber();
    SECTION("expunged") {
        told.says(1, email, Why::expunged);
        CHECK(told.compare().hide.elsewhere == told.in_inbox(2));
        CHECK(told.all(told.inbox.id) == uid_list({2}));  // and it gets no other number before
    }
    SECTION("because core has it elsewhere") {
        told.says(1, email, Why::elsewhere);
        CHECK(told.compare().hide.elsewhere.empty());
    }
    SECTION("another message") {
        told.says(1, id_of<EmailId>(50), Why::expunged);
        CHECK(told.compare().hide.elsewhere.empty());
        CHECK(told.expunged(1).elsewhere.empty());  // the number has another meaning there
    }
    SECTION("while an operator is asked about it") {
        must(hold_expunge(*told.store, {0, peer, told.inbox.id, uids({2}), 1, t0}));
        told.says(1, email, Why::expunged);
        CHECK(told.compare().hide.elsewhere.empty());
    }
}

TEST_CASE("a message is known where core has forgotten the number that the remote knows it by") {
    Told told;
    SECTION("it is there") {
        told.shows(7, email);
        UnixMillis since{t0.value + GENERATE(0, 1000)};  // older mail is perhaps not replicated; this one was
        auto found = must(compare_state(*told.store, peer, told.state, since, t0));
        CHECK((found.bodies.empty() && found.copies.empty()));
        CHECK(found.leave == uids({7}));
        CHECK(told.expunged(7).elsewhere == told.in_inbox(10));  // under the number that it has got since
    }
    SECTION("it is gone") {
        told.says(7, email, Why::expunged);
        CHECK(told.compare().hide.elsewhere == told.in_inbox(1));
    }
    SECTION("but not when the remote has that one as well") {
        told.shows(1, email);
        SECTION("a copy of it is there") {
            told.shows(7, email);
            CHECK(told.compare().copies == uids({7}));
        }
        SECTION("a copy of it is gone") {
            told.says(7, email, Why::expunged);
            CHECK(told.compare().hide.elsewhere.empty());
        }
    }
    SECTION("nor when it had, and has moved it") {
        told.says(1, email, Why::elsewhere);
        told.shows(7, email);
        auto found = told.compare();
        CHECK(found.hide.here == uids({1}));
        CHECK(found.copies == uids({7}));
    }
}

TEST_CASE("what is asked for means nothing else until it has come") {
    Told told;
    told.shows(1, id_of<EmailId>(50));
    CHECK(told.compare().bodies == uids({1}));
    CHECK(told.all(told.inbox.id) == uid_list({10}));
    CHECK(must(is_asked_for(*told.store, peer, {told.inbox.id, Uid{1}})));
    // The remote keeps it until it has come, though core tells that its own message has left the number.
    CHECK(must(moved_among(*told.store, peer, told.inbox.id, uids({1}))) == uids({1}));
    auto places = told.expunged(1);
    CHECK((places.here.empty() && places.elsewhere.empty()));
    auto word = returned(told, 1);
    SECTION("and is hidden then") {
        auto filed = must(file_append(*told.store, peer, word, t0));
        CHECK(filed.now.uid == Uid{11});
        CHECK(filed.expunged);
    }
    SECTION("though it comes by a request of its own") {
        word.returned = false;
        CHECK(must(file_append(*told.store, peer, word, t0)).now.uid == Uid{11});
    }
}

TEST_CASE("what one remote has expunged and another one brings home is hidden") {
    Told told;
    told.shows(7, id_of<EmailId>(50));
    must(told.store->expunge_any(told.inbox.id, uids({1})));
    CHECK(told.compare().bodies == uids({7}));
    auto tell = [&] {
        told.state.there.clear();
        told.says(7, id_of<EmailId>(50), Why::expunged);
        return told.compare(second).hide.elsewhere;
    };
    SECTION("told before it comes") {
        CHECK(tell().empty());
        CHECK(must(file_append(*told.store, peer, returned(told, 7), t0)).expunged);
    }
    SECTION("expunged when both were asked for it, and one has answered") {
        CHECK(told.compare(second).bodies == uids({7}));
        auto filed = must(file_append(*told.store, peer, returned(told, 7), t0));
        auto places = must(own_places(*told.store, second, told.inbox.id, uids({7})));
        CHECK(places.elsewhere == told.in_inbox(filed.now.uid.value));
    }
    SECTION("told when it is there") {
        auto filed = must(file_append(*told.store, peer, returned(told, 7), t0));
        CHECK_FALSE(filed.expunged);
        CHECK(tell() == told.in_inbox(filed.now.uid.value));
    }
}

TEST_CASE("a move of what core has lost is not told to be nowhere when it is heard again") {
    Told told;
    CopyWord word{{told.inbox.id, Uid{8}}, {told.other, Uid{3}}, id_of<EmailId>(50), {1, 2}, {}, {}, {}};
    for (int time = 0; time < 2; ++time) {
        auto filed = must(file_copy(*told.store, peer, word, t0));
        CHECK(filed.unknown);
        CHECK(filed.repeat == (time == 1));
    }
}

TEST_CASE("what was expunged at a remote before core gave it another number goes under that one too") {
    Told told;
    Uid given = told.add();
    Place own{told.inbox.id, Uid{5}}, now{told.inbox.id, given};
    auto expunged = GENERATE(true, false);
    CAPTURE(expunged);
    must(note_provisional(*told.store, own, id_of<EmailId>(2), {}, t0));
    if (expunged) must(note_expunged(*told.store, told.inbox.id, uids({5})));
    must(confirm(*told.store, own, now, t0));
    must(expunge_successors(*told.store));
    CHECK(told.all(told.inbox.id).size() == (expunged ? 1 : 2));
}
