// What a remote has yet to say of numbers that core has not confirmed.
#include "service/home.hpp"

#include <catch2/catch.hpp>

#include "service/core_entries.hpp"
#include "service/link_entries.hpp"
#include "store/database.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
namespace {

using store::test::id_of;
using store::test::must;
using store::test::t0;

const NodeId core = id_of<NodeId>(100);

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
    store::test::Account account;
    auto& store = *account.store;
    MailboxId inbox = account.inbox.id, other = must(store.create_mailbox("To", "", t0)).id;
    store::OutboxPlan nothing;
    must(store.append_outbox(core, nothing));
    Uid first = must(store.append(account.message(inbox)));
    must(store.record_seal({inbox, first, {"seed", 1, std::string(32, 'h'), store::SealState::sealed, ""}}));
    UidSet one;
    one.add(first.value);
    auto pairs = must(store.copy(inbox, must(store.plan_copy(inbox, one, t0)), other, t0));
    must(plan_copies_home(store, {core}, inbox, other, pairs, false, t0));
    one = {};
    one.add(pairs[0].to.value);
    EmailId email = must(store.load_messages(other, one, store::column_identity, 1))[0].email_id;
    Uid now{7};
    must(take_confirmation(store, core, {other, pairs[0].to}, {other, now}, t0));
    auto stored = must(store.store_flags(other, one, store::StoreMode::add, FlagSet::from_text("later"),
                                         {id_of<NodeId>(101), t0}));
    must(plan_flags_home(store, {core}, other, stored.rows, t0));

    store::PendingMessage message;
    message.mailbox = other;
    message.uid = now;
    message.prev_uid = pairs[0].to;
    message.email_id = email;
    message.arrived = t0;
    message.flags = FlagSet::from_text("inside");
    message.state = store::BodyState::ready;
    CHECK(must(store.insert_pending(message)));
    must(show_arrived(store, {core}, other, t0));

    UidSet all;
    all.add(1, 100);
    auto shown = must(store.load_messages(other, all, store::column_flags, 10));
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].uid == now);
    CHECK(shown[0].flags.has_keyword("later"));
    CHECK(shown[0].flags.has_keyword("inside"));
}

}  // namespace fwmail::service::test
