// What a remote has yet to say of numbers that core has not confirmed.
#include "service/home.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "service/core_entries.hpp"
#include "service/link_entries.hpp"
#include "store/database.hpp"
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
    void come(Uid uid) {
        store::PendingMessage message;
        message.mailbox = other;
        message.uid = uid;
        message.prev_uid = copy.uid;
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
    // The keywords that core hears of under the number of the copy.
    std::string told() {
        NumberSet all;
        all.add(1, 1000);
        std::string text;
        for (const auto& [number, entry] :
             must(read_entries(store, must(store.load_outbox(core, all, 100)), false)).entries)
            if (const auto* flags = std::get_if<sync::FlagsEntry>(&entry); flags && flags->uid == copy.uid)
                text += flags->flags.text();
        return text;
    }
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
         must(read_entries(store, must(store.load_outbox(core, all, 100)), false)).entries)
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

}  // namespace fwmail::service::test
