// Sections as a whole: what of them counts as applied.
#include <catch2/catch.hpp>

#include "service/core_entries.hpp"
#include "service/remote_entries.hpp"
#include "store/epochs.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
namespace {

using store::test::id_of;
using store::test::must;
using store::test::t0;

const NodeId peer = id_of<NodeId>(100);

NumberSet numbers(std::initializer_list<std::uint64_t> list) {
    NumberSet set;
    for (auto n : list) set.add(n);
    return set;
}

// The second is of a message that has not come.
sync::AccountSection section_of(std::initializer_list<std::uint64_t> list, MailboxId mailbox) {
    sync::AccountSection section;
    section.epoch = {1, 7};
    for (auto n : list)
        if (n == 2)
            section.entries.push_back({EntryNumber{n}, sync::FlagsEntry{mailbox, Uid{5}, {}, {}}});
        else
            section.entries.push_back(
                {EntryNumber{n}, sync::SubscriptionEntry{"n" + std::to_string(n), true, {n, 1}}});
    return section;
}

}  // namespace

TEST_CASE("of a section only what cannot be applied yet comes again") {
    store::test::Account account;
    auto& store = *account.store;
    must(store.append_outbox(peer, {}));
    must(store::save_epochs(store, peer, {.peer = {1, 7}}));
    bool core = GENERATE(true, false);
    CAPTURE(core);
    if (core) must(store.set_planned(peer, account.inbox.id, {Uid{3}, Uid{3}}));
    auto apply = [&](const sync::AccountSection& section) {
        if (core) {
            AtCore to{store, peer, t0, store::test::author, {100, 100}, {}};
            must(apply_remote_entries(to, section));
        } else {
            AtRemote to{store, peer, t0};
            must(store.mark_applied(peer, must(apply_core_entries(to, section)).numbers));
        }
        return must(store.load_applied(peer));
    };
    CHECK(apply(section_of({1, 2, 3}, account.inbox.id)) == numbers({1, 3}));
    CHECK(apply(section_of({3, 4, 2, 1, 5}, account.inbox.id)) == numbers({1, 3, 4, 5}));
    auto old = section_of({6}, account.inbox.id);
    old.epoch = {1, 8};
    old.voids.add(9);
    CHECK(apply(old) == numbers({1, 3, 4, 5}));
    old.epoch = {1, 7};
    CHECK(apply(old) == numbers({1, 3, 4, 5, 6, 9}));
}

}  // namespace fwmail::service::test
