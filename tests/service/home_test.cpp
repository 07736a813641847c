// What a remote has yet to say of numbers that core has not confirmed.
#include "service/home.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "service/core_entries.hpp"
#include "service/digests.hpp"
#include "service/epochs.hpp"
#include "service/link_entries.hpp"
#include "store/database.hpp"
#include "store/elsewhere.hpp"
#include "store/provisional.hpp"
#include "store/resealed.hpp"
#include "store/stated.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
namespace {

using store::AccountStore;
using store::Place;
using store::test::id_of;
using store::test::must;
using store::test::t0;

const NodeId core = id_of<NodeId>(100);

UidSet one(Uid uid) {
    UidSet set;
    set.add(uid.value);
    return set;
}

// A remote's account, in which a message has been copied to another mailbox.
struct Copied {
    store::test::Account account;
    AccountStore& store = *account.store;
    MailboxId inbox = account.inbox.id, other = must(store.create_mailbox("To", "", t0)).id;
    Place copy{other, {}};
    EmailId email;

    Copied() {
        store::OutboxPlan nothing;
        must(store.append_outbox(core, nothing));  // the peer is known
        copy.uid = copy_to_other(append());
        email = must(store.load_messages(other, one(copy.uid), store::column_identity, 1))[0].email_id;
    }
    Uid append() {
        Uid uid = must(store.append(account.message(inbox)));
        must(
            store.record_seal({inbox, uid, {"seed", 1, std::string(32, 'h'), store::SealState::sealed, ""}}));
        return uid;
    }
    Uid copy_to_other(Uid uid) {
        auto pairs = must(store.copy(inbox, must(store.plan_copy(inbox, one(uid), t0)), other, t0));
        must(plan_copies_home(store, {core}, inbox, other, pairs, false, t0));
        return pairs[0].to;
    }
    void flag(const char* keyword) {
        auto stored = must(store.store_flags(other, one(copy.uid), store::StoreMode::add,
                                             FlagSet::from_text(keyword), {id_of<NodeId>(101), t0}));
        must(plan_flags_home(store, {core}, other, stored.rows, t0));
    }
    // From core, with its body.
    void come(Uid uid) { come(uid, copy.uid); }
    void come(Uid uid, Uid before) {
        store::PendingMessage message;
        message.mailbox = other;
        message.uid = uid;
        message.prev_uid = before;
        message.email_id = email;
        message.arrived = t0;
        message.flags = FlagSet::from_text("inside");
        message.state = store::BodyState::ready;
        CHECK(must(store.insert_pending(message)));
        must(show_arrived(store, {core}, other, t0));
    }
    std::vector<store::Message> shown() {
        UidSet all;
        all.add(1, 100);
        return must(store.load_messages(other, all, store::column_flags, 10));
    }
    // False: it cannot be applied yet.
    bool take(sync::Entry entry) {
        AtRemote remote{store, core, t0};
        remote.bodies[copy] = {id_of<ObjectId>(1), id_of<store::HoldId>(900)};
        remote.chunk_octets = 1 << 20;
        sync::AccountSection section;
        section.entries = {{EntryNumber{++last_}, std::move(entry)}};
        auto applied = must(apply_core_entries(remote, section)).numbers;
        must(store.mark_applied(core, applied));
        return applied.contains(last_);
    }
    void apply(sync::Entry entry) { CHECK(take(std::move(entry))); }
    void acknowledge_all() {
        NumberSet all;
        all.add(1, must(store.next_number(core)).value - 1);
        must(store.acknowledge(core, all));
    }
    void check() {
        auto problems = must(store.check([](ObjectId) { return true; }));
        CAPTURE(problems);
        CHECK(problems.empty());
    }
    // The keywords that core hears of under the number of the copy.
    std::string told() {
        NumberSet all;
        all.add(1, 1000);
        std::string text;
        for (const auto& [number, entry] :
             must(read_entries(store, core, must(store.load_outbox(core, all, 100)), false)).entries)
            if (const auto* flags = std::get_if<sync::FlagsEntry>(&entry); flags && flags->uid == copy.uid)
                text += flags->flags.text();
        return text;
    }

  private:
    std::uint64_t last_ = 0;
};

}  // namespace

TEST_CASE(
    "a flag set on a copy of a copy goes home, though core deletes the mailbox before either is confirmed") {
    store::test::Account account;
    auto& store = *account.store;
    MailboxId inbox = account.inbox.id, other = must(store.create_mailbox("To", "", t0)).id;
    store::OutboxPlan nothing;
    must(store.append_outbox(core, nothing));  // the peer is known
    Uid first = must(store.append(account.message(inbox)));
    must(store.record_seal({inbox, first, {"seed", 1, std::string(32, 'h'), store::SealState::sealed, ""}}));
    auto copy = [&](MailboxId from, Uid uid) {
        UidSet one;
        one.add(uid.value);
        auto pairs = must(store.copy(from, must(store.plan_copy(from, one, t0)), other, t0));
        must(plan_copies_home(store, {core}, from, other, pairs, false, t0));
        return pairs[0].to;
    };
    Uid copied = copy(inbox, first), again = copy(other, copied);
    UidSet one;
    one.add(again.value);
    auto stored = must(store.store_flags(other, one, store::StoreMode::add, FlagSet::from_text("later"),
                                         {id_of<NodeId>(101), t0}));
    must(plan_flags_home(store, {core}, other, stored.rows, t0));

    AtRemote remote{store, core, t0};
    sync::MailboxEntry gone{other, "To", {}, "", {}, {}, true, again};
    sync::ConfirmEntry confirmed{other, copied, inbox, Uid{9}};
    sync::AccountSection section;
    section.entries = {{EntryNumber{1}, gone}, {EntryNumber{2}, confirmed}};
    CHECK(must(apply_core_entries(remote, section)).numbers.count() == 2);

    NumberSet all;
    all.add(1, 1000);
    std::size_t told = 0;
    for (const auto& [number, entry] :
         must(read_entries(store, core, must(store.load_outbox(core, all, 100)), false)).entries)
        if (const auto* request = std::get_if<sync::CopyRequestEntry>(&entry);
            request && request->uid == again) {
            ++told;
            CHECK(request->flags.has_keyword("later"));
            CHECK(request->registers.size() == 1);
        }
    CHECK(told == 1);
}

TEST_CASE("a flag set on a number that core has given up is there under the other one at once") {
    Copied to;
    Uid now{7};
    must(take_confirmation(to.store, core, to.copy, {to.other, now}, t0));
    to.flag("later");
    must(take_confirmation(to.store, core, to.copy, {to.other, now}, t0));  // told again
    CHECK(to.shown().size() == 1);
    to.come(now);
    auto shown = to.shown();
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].uid == now);
    CHECK(shown[0].flags.has_keyword("later"));
    CHECK(shown[0].flags.has_keyword("inside"));
    CHECK(to.told() == "later");
}

TEST_CASE("a number that this remote has given to another copy is not where core has the first one") {
    Copied to;
    to.flag("mine");
    Uid given = to.copy_to_other(Uid{1});
    // Core had not heard of the second copy when it filed the first.
    must(take_confirmation(to.store, core, to.copy, {to.other, given}, t0));
    CHECK(must(store::successors(to.store, to.other)).empty());
    must(take_confirmation(to.store, core, {to.other, given}, {to.other, Uid{9}}, t0));
    to.come(Uid{9});
    auto shown = to.shown();
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].uid == Uid{9});
    CHECK_FALSE(shown[0].flags.has_keyword("mine"));
    CHECK(to.told() == "mine");
}

TEST_CASE("a number that core has adopted, and then tells to be another one, is left") {
    Copied to;
    must(take_confirmation(to.store, core, to.copy, to.copy, t0));
    to.flag("later");
    SECTION("for another number there") {
        Uid now{7};
        must(take_confirmation(to.store, core, to.copy, {to.other, now}, t0));
        CHECK(to.shown().empty());
        to.come(now);
        REQUIRE(to.shown().size() == 1);
        CHECK(to.shown()[0].uid == now);
    }
    SECTION("for another mailbox") {
        must(take_confirmation(to.store, core, to.copy, {to.inbox, Uid{9}}, t0));
        CHECK(to.shown().empty());
    }
    SECTION("but not when it is told again that it is adopted") {
        must(take_confirmation(to.store, core, to.copy, to.copy, t0));
        CHECK(to.shown().size() == 1);
    }
    CHECK(to.told() == "later");
}

TEST_CASE("what has left because core has it elsewhere is not told as gone while it is not here") {
    Copied to;
    Uid given = to.copy.uid;
    auto is_told_as_gone = [&] {
        auto state = must(store::load_state(to.store, to.other, Uid{1}, Uid{UINT32_MAX}));
        return std::ranges::any_of(state.gone, [&](const auto& gone) { return gone.uid == given; });
    };
    must(to.store.expunge_any(to.inbox, one(Uid{1})));  // the original is no longer here either
    SECTION("under a number that another message has here") {
        Uid taken = to.copy_to_other(to.append());
        must(take_confirmation(to.store, core, to.copy, {to.other, taken}, t0));
        CHECK_FALSE(is_told_as_gone());
    }
    SECTION("in another mailbox") {
        must(take_confirmation(to.store, core, to.copy, {to.inbox, Uid{9}}, t0));
        CHECK_FALSE(is_told_as_gone());
    }
    SECTION("but what a client has expunged is") {
        must(take_confirmation(to.store, core, to.copy, to.copy, t0));
        must(to.store.expunge_any(to.other, one(given)));
        CHECK(is_told_as_gone());
    }
}

TEST_CASE("of what is told as gone is said why") {
    using Gone = sync::StateEntry::Gone;
    Copied to;
    auto told = [&](MailboxId mailbox) {
        auto gone = must(store::load_state(to.store, mailbox, Uid{1}, Uid{UINT32_MAX})).gone;
        REQUIRE(gone.size() == 1);
        return gone[0].why;
    };
    SECTION("a client has expunged it") {
        must(to.store.expunge_any(to.inbox, one(Uid{1})));
        CHECK(told(to.inbox) == Gone::expunged);
    }
    SECTION("a client has moved it") {
        auto pairs = must(to.store.move(to.inbox, one(Uid{1}), to.other, t0));
        must(plan_copies_home(to.store, {core}, to.inbox, to.other, pairs, true, t0));
        CHECK(told(to.inbox) == Gone::moving);
        must(take_confirmation(to.store, core, {to.other, pairs[0].to}, {to.other, pairs[0].to}, t0));
        CHECK(told(to.inbox) == Gone::elsewhere);
    }
    SECTION("core has it elsewhere") {
        must(take_confirmation(to.store, core, to.copy, {to.inbox, Uid{1}}, t0));
        CHECK(told(to.other) == Gone::elsewhere);
    }
}

namespace {

// A remote in which core has deleted the mailbox of a message whose number it has not confirmed.
struct Orphaned : Copied {
    Orphaned() { apply(sync::MailboxEntry{other, "To", {}, "", {}, {}, true, copy.uid}); }
    // Of this kind, under the number of the message.
    template <class Request>
    std::vector<Request> requests() {
        NumberSet all;
        all.add(1, 1000);
        std::vector<Request> found;
        for (const auto& [number, entry] :
             must(read_entries(store, core, must(store.load_outbox(core, all, 100)), false)).entries)
            if (const auto* request = std::get_if<Request>(&entry);
                request && Place{request->mailbox, request->uid} == copy)
                found.push_back(*request);
        return found;
    }
    bool kept() { return !shown().empty(); }
};

}  // namespace

TEST_CASE("a message that core has not confirmed outlives its mailbox until core says what became of it") {
    Orphaned gone;
    REQUIRE(gone.kept());
    for (const auto& mailbox : must(gone.store.load_mailboxes())) CHECK(mailbox.id != gone.other);
    SECTION("core has filed it elsewhere") {
        gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.inbox, Uid{9}});
        CHECK_FALSE(gone.kept());
    }
    SECTION("core has filed it there and deleted it with the mailbox") {
        gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.other, gone.copy.uid});
        CHECK(gone.kept());  // it may have moved it away before
        gone.apply(sync::ExpungeEntry{gone.other, one(gone.copy.uid), Uid{}});
        CHECK_FALSE(gone.kept());
        CHECK(must(store::successors(gone.store, gone.other)).empty());
    }
    SECTION("core has filed it there under another number and deleted it with the mailbox") {
        gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.other, Uid{20}});
        CHECK(gone.kept());
        gone.apply(sync::ExpungeEntry{gone.other, one(Uid{20}), Uid{}});
        CHECK(gone.kept());
        gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.other, Uid{}});
        CHECK_FALSE(gone.kept());
    }
    SECTION("core has expunged it") {
        gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.other, Uid{}});
        CHECK_FALSE(gone.kept());
    }
    SECTION("what is said of core's own message of the number does not mean it") {
        CHECK_FALSE(gone.take(sync::ExpungeEntry{gone.other, one(gone.copy.uid), Uid{}}));
        CHECK(gone.kept());
    }
    SECTION("the link is removed") {
        must(gone.store.forget_peer(core));
        CHECK_FALSE(gone.kept());
    }
    gone.check();
}

TEST_CASE("a message that core had lost comes home though its mailbox has been deleted there") {
    Orphaned gone;
    gone.acknowledge_all();
    SECTION("it has lost the body, too") {
        gone.apply(sync::ReturnEntry{gone.other, one(gone.copy.uid), {}});
        auto requests = gone.requests<sync::AppendRequestEntry>();
        REQUIRE(requests.size() == 1);
        CHECK(requests[0].kind == sync::AppendRequestEntry::returned);
        CHECK(requests[0].email == gone.email);
    }
    SECTION("it has the body elsewhere") {
        gone.apply(sync::ReturnEntry{gone.other, {}, one(gone.copy.uid)});
        auto requests = gone.requests<sync::CopyRequestEntry>();
        REQUIRE(requests.size() == 1);
        CHECK(requests[0].email == gone.email);
    }
    CHECK(gone.kept());
    gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.inbox, Uid{9}});
    CHECK_FALSE(gone.kept());
    gone.check();
}

TEST_CASE("what core may have lost of a mailbox that is deleted is told, and goes when core has it") {
    Orphaned gone;
    gone.acknowledge_all();
    must(store::forget_unsettled(gone.store, {}));
    auto state = must(store::load_state(gone.store, gone.other, Uid{1}, Uid{UINT32_MAX}));
    REQUIRE(state.there.size() == 1);
    CHECK(state.there[0].email == gone.email);
    gone.check();
    gone.apply(sync::ExpungeEntry{gone.other, one(gone.copy.uid), Uid{}});
    CHECK_FALSE(gone.kept());
    gone.check();
}

namespace {

// A remote that has a message in INBOX, alone, from core; core has moved it, and says so.
struct Moved : Copied {
    Moved() {
        must(store.expunge_any(other, one(copy.uid)));
        must(take_confirmation(store, core, copy, {other, Uid{}}, t0));
    }
    void leave() { apply(sync::ExpungeEntry{inbox, one(Uid{1}), Uid{}, one(Uid{1})}); }
    bool is_in_inbox() {
        return !must(store.load_messages(inbox, one(Uid{1}), store::column_identity, 1)).empty();
    }
};

}  // namespace

TEST_CASE("what core has moved stays where it was until it is seen where it is now") {
    Moved moved;
    auto stored = must(moved.store.store_flags(moved.inbox, one(Uid{1}), store::StoreMode::add,
                                               FlagSet::from_text("later"), {id_of<NodeId>(101), t0}));
    must(plan_flags_home(moved.store, {core}, moved.inbox, stored.rows, t0));
    SECTION("core tells of the move first") {
        moved.leave();
        CHECK(moved.is_in_inbox());
        moved.come(Uid{7});
        CHECK_FALSE(moved.is_in_inbox());
        CHECK(moved.told() == "later");
    }
    SECTION("it is there already") {
        moved.come(Uid{7});
        moved.leave();
        CHECK_FALSE(moved.is_in_inbox());
        CHECK(moved.told() == "later");
    }
    SECTION("another message comes") {
        moved.leave();
        moved.email = id_of<EmailId>(77);
        moved.come(Uid{7});
        CHECK(moved.is_in_inbox());
    }
    SECTION("a stub is not the message") {
        moved.leave();
        must(moved.store.database().run("UPDATE messages SET seal_state=0 WHERE elsewhere_since=0"));
        moved.come(Uid{7});
        must(moved.store.database().run("UPDATE messages SET seal_state=0 WHERE uid=7"));
        moved.leave();
        CHECK_FALSE(moved.is_in_inbox());  // it had gone when it was whole
    }
    SECTION("core has expunged it there since") {
        moved.leave();
        moved.apply(sync::ExpungeEntry{moved.inbox, one(Uid{1}), Uid{}});
        CHECK_FALSE(moved.is_in_inbox());
    }
    SECTION("core deletes the mailbox in which it was") {
        MailboxId was = must(moved.store.create_mailbox("Was", "", t0)).id;
        must(moved.store.move(moved.inbox, one(Uid{1}), was, t0));
        moved.apply(sync::MailboxEntry{was, "Was", {}, "", {}, {}, true, {}});
        CHECK(must(store::deleted_and_kept(moved.store)) == std::vector{was});
        SECTION("and moved it before") {
            moved.apply(sync::ExpungeEntry{was, one(Uid{1}), Uid{}, one(Uid{1})});
            CHECK(must(store::deleted_and_kept(moved.store)) == std::vector{was});
            moved.come(Uid{7});
        }
        SECTION("with it") { moved.apply(sync::ExpungeEntry{was, one(Uid{1}), Uid{}}); }
        SECTION("and the link is removed") { must(moved.store.forget_peer(core)); }
        SECTION("and never says what became of it, which the digests find") {
            moved.acknowledge_all();
            UnixMillis hours_later{t0.value + 7'200'000};
            EpochTurn turn{core, false, 1, {1, 1}, {1, 2}, 3, hours_later};
            auto mine = must(make_digests(moved.store, turn, sync::earliest_date));
            REQUIRE(mine);
            sync::Digests core_has{mine->applied, mine->sent, mine->since, mine->list};
            auto found = must(find_difference(moved.store, turn, core_has));
            REQUIRE(found);
            CHECK(found->mailboxes == std::vector{was});
            CHECK(found->outcome == sync::Compared{mine->list.size() + 1, 1});
            moved.apply(sync::ExpungeEntry{was, one(Uid{1}), Uid{}});
        }
        CHECK(must(store::deleted_and_kept(moved.store)).empty());
    }
    SECTION("a client here moves it on") {
        moved.leave();
        must(moved.store.move(moved.inbox, one(Uid{1}), moved.other, t0));
        auto waiting = must(store::summarize_waiting(moved.store));
        CHECK_FALSE(waiting.latest);
    }
    SECTION("in a new epoch it is told like the rest") {
        moved.leave();
        CHECK(must(store::summarize_waiting(moved.store)).latest == t0);
        must(store::forget_kept(moved.store));
        CHECK_FALSE(must(store::summarize_waiting(moved.store)).latest);
        auto state = must(store::load_state(moved.store, moved.inbox, Uid{1}, Uid{UINT32_MAX}));
        CHECK(state.there.size() == 1);
    }
    moved.check();
}

TEST_CASE(
    "a number that core has given up stays until the message is seen, though its other number has gone by") {
    Moved moved;
    Uid given = moved.copy_to_other(Uid{1});
    moved.copy.uid = given;
    must(moved.store.expunge_any(moved.inbox, one(Uid{1})));
    moved.apply(sync::ConfirmEntry{moved.other, given, moved.other, Uid{7}});
    moved.apply(sync::ExpungeEntry{moved.other, one(Uid{7}), given, one(Uid{7})});  // moved on before it came
    must(show_arrived(moved.store, {core}, moved.other, t0));
    REQUIRE(moved.shown().size() == 1);
    CHECK(moved.shown()[0].uid == given);
    SECTION("core's own message of that number is another one") {
        moved.apply(sync::ExpungeEntry{moved.other, one(given), Uid{}});
        CHECK(moved.shown().size() == 1);
    }
    SECTION("it comes") {
        moved.come(Uid{9}, Uid{7});
        REQUIRE(moved.shown().size() == 1);
        CHECK(moved.shown()[0].uid == Uid{9});
    }
    SECTION("core says that it is nowhere") {
        moved.apply(sync::ConfirmEntry{moved.other, given, moved.other, Uid{}});
        CHECK(moved.shown().empty());
    }
    moved.check();
}

TEST_CASE("what is kept does not hold up what has been sealed anew") {
    Moved moved;
    must(moved.store.database().run("UPDATE mailboxes SET visible=1"));
    auto validity = [&] { return must(moved.store.find_mailbox(moved.inbox))->sealed_uidvalidity; };
    UidValidity before = validity(), next{before.value + 1};
    must(store::expect_resealed(moved.store, {moved.inbox, Uid{1}, moved.email, 2, {}}, t0));
    must(store::expect_uidvalidity(moved.store, moved.inbox, next));
    CHECK(validity() == before);
    moved.leave();
    CHECK(moved.is_in_inbox());
    must(store::show_resealed(moved.store, moved.inbox));
    CHECK(validity() == next);
    moved.check();
}

TEST_CASE("of copies that core moves together none stands for another") {
    Copied two;
    must(take_confirmation(two.store, core, two.copy, two.copy, t0));
    two.apply(sync::ExpungeEntry{two.other, one(two.copy.uid), Uid{}, one(two.copy.uid)});
    CHECK(two.shown().empty());  // the original is here
    Uid again = two.copy_to_other(Uid{1});
    two.copy.uid = again;
    must(take_confirmation(two.store, core, two.copy, two.copy, t0));
    Uid third = two.copy_to_other(Uid{1});
    must(take_confirmation(two.store, core, {two.other, third}, {two.other, third}, t0));
    must(two.store.expunge_any(two.inbox, one(Uid{1})));
    UidSet both = one(again);
    both.add(third.value);
    two.apply(sync::ExpungeEntry{two.other, both, Uid{}, both});
    CHECK(two.shown().size() == 2);
    two.check();
}

TEST_CASE("what core has not confirmed is not where a message is seen") {
    Copied two;
    two.apply(sync::ExpungeEntry{two.inbox, one(Uid{1}), Uid{}, one(Uid{1})});
    auto in_inbox = [&] {
        return must(two.store.load_messages(two.inbox, one(Uid{1}), store::column_identity, 1)).size();
    };
    CHECK(in_inbox() == 1);
    must(take_confirmation(two.store, core, two.copy, two.copy, t0));
    CHECK(in_inbox() == 0);
    two.check();
}

TEST_CASE("in a new epoch a number that was given up, and names its message still, is core's like the rest") {
    Orphaned gone;
    gone.apply(sync::ConfirmEntry{gone.other, gone.copy.uid, gone.other, Uid{20}});
    gone.apply(sync::ExpungeEntry{gone.other, one(gone.copy.uid), Uid{}});
    CHECK(gone.kept());  // that was core's own message of the number
    must(store::forget_kept(gone.store));
    gone.apply(sync::ExpungeEntry{gone.other, one(gone.copy.uid), Uid{}});
    CHECK_FALSE(gone.kept());
    gone.check();
}

TEST_CASE("whoever deletes a mailbox by core's word does not say that it has seen what is in it") {
    auto seen = [](AccountStore& store, MailboxId id) {
        must(plan_mailboxes_home(store, {core}, {id}, t0));
        NumberSet all;
        all.add(1, 1000);
        Uid last{UINT32_MAX};
        for (const auto& [number, entry] :
             must(read_entries(store, core, must(store.load_outbox(core, all, 100)), false)).entries)
            if (const auto* mailbox = std::get_if<sync::MailboxEntry>(&entry)) {
                CHECK(mailbox->deleted);
                last = mailbox->last_uid;
            }
        return last;
    };
    SECTION("by core's word") {
        Orphaned gone;
        CHECK(seen(gone.store, gone.other) == Uid{});
    }
    SECTION("by a client") {
        Copied to;
        must(to.store.delete_mailbox(to.other));
        CHECK(seen(to.store, to.other) == to.copy.uid);
    }
}

}  // namespace fwmail::service::test
