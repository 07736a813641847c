// Flags as registers: stamps, and who has to hear of a change.
#include "store/support.hpp"

namespace fwmail::store {
using namespace test;
namespace {

const NodeId first_remote = id_of<NodeId>(42), second_remote = id_of<NodeId>(43);
const Author core{id_of<NodeId>(7), t0};

sync::FlagState state_of(Account& a, std::uint32_t uid) {
    auto rows = must(a.store->load_messages(a.inbox.id, uids({uid}), column_flags | column_registers, 1));
    REQUIRE(rows.size() == 1);
    return {rows[0].flags, rows[0].registers};
}

std::uint64_t highest_time(Account& a, std::uint32_t uid) {
    return sync::latest_time(state_of(a, uid).registers);
}

// What the poller would plan for the peer, up to now.
std::vector<Uid> to_tell(Account& a, NodeId peer) {
    std::vector<Uid> out;
    for (const auto& changed : must(a.store->messages_changed_since(must(a.store->cursor(peer)), 100, peer)))
        out.push_back(changed.uid);
    return out;
}

void plan(Account& a, NodeId peer) {
    OutboxPlan plan;
    plan.cursor = must(a.store->highest_modseq());
    must(a.store->append_outbox(peer, plan));
}

}  // namespace

TEST_CASE("one command has one stamp; what it leaves as it was has none") {
    Account a;
    a.add("\\Seen");
    a.add();
    must(
        a.store->store_flags(a.inbox.id, uids({1, 2}), StoreMode::set, flags("\\Seen \\Flagged word"), core));
    auto one = state_of(a, 1), two = state_of(a, 2);
    CHECK(one.registers.size() == 2);
    CHECK(two.registers.size() == 3);
    CHECK(one.registers[0].stamp == two.registers[0].stamp);
    CHECK(two.registers[0].stamp == two.registers[2].stamp);
    CHECK(one.registers[0].stamp == sync::Stamp{std::uint64_t(t0.value) << 16, sync::origin_of(core.node)});
    auto before = one;
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Flagged"), core));
    CHECK(state_of(a, 1) == before);
}

TEST_CASE("stamps rise through restarts and above those that were seen, whatever the clock says") {
    Account a;
    a.add();
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Seen"), core));
    auto first = highest_time(a, 1);
    a.reopen();
    Author earlier{core.node, UnixMillis{t0.value - 60'000}};
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Flagged"), earlier));
    CHECK(highest_time(a, 1) == first + 1);
    sync::Stamp ahead{std::uint64_t(t0.value + 1000) << 16, 9};
    must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, {flags("x"), {{"x", ahead}}}));
    a.reopen();
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::remove, flags("x"), core));
    CHECK(highest_time(a, 1) == ahead.time + 1);
    CHECK(must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, {flags("x"), {{"x", ahead}}})) ==
          Merged::same);
    CHECK(state_of(a, 1).flags == flags("\\Seen \\Flagged"));
}

TEST_CASE("what a peer says is merged, counted, and told to the others only") {
    Account a;
    a.add();
    plan(a, first_remote);
    plan(a, second_remote);
    auto theirs = sync::change_flags({}, flags("\\Seen"), {5, 1});
    CHECK(must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, theirs)) == Merged::changed);
    CHECK(must(a.store->status(a.inbox.id)).unseen == 0);
    CHECK(state_of(a, 1) == theirs);
    CHECK(to_tell(a, first_remote).empty());
    CHECK(to_tell(a, second_remote) == uid_list({1}));
    auto modseq = must(a.store->highest_modseq());
    CHECK(must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, theirs)) == Merged::same);
    CHECK(must(a.store->highest_modseq()) == modseq);
    // A change of our own after it concerns everybody.
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Flagged"), core));
    CHECK(to_tell(a, first_remote) == uid_list({1}));
}

TEST_CASE("a change of our own that was not planned yet is not lost behind a peer's word") {
    Account a;
    a.add();
    plan(a, first_remote);
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Flagged"), core));
    auto theirs = sync::change_flags({}, flags("\\Seen"), {5, 1});
    must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, theirs));
    CHECK(to_tell(a, first_remote) == uid_list({1}));
    // Once it is planned the peer hears of it: its next word need not come back.
    plan(a, first_remote);
    theirs = sync::change_flags(theirs, flags("\\Seen late"), {6, 1});
    must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, theirs));
    CHECK(to_tell(a, first_remote).empty());
    CHECK(state_of(a, 1).flags == flags("\\Seen \\Flagged late"));
    // A peer that begins anew has to hear all of it.
    must(a.store->forget_peer(first_remote));
    CHECK(to_tell(a, first_remote) == uid_list({1}));
}

TEST_CASE("a message that is announced and not shown yet keeps its registers") {
    Account a;
    PendingMessage m;
    m.mailbox = a.inbox.id;
    m.uid = Uid{1};
    m.prev_uid = Uid{};
    m.email_id = id_of<EmailId>(1);
    m.sha256 = std::string(32, 'h');
    m.arrived = t0;
    m.flags = flags("\\Flagged");
    m.registers = {{"\x03", {4, 1}}};
    must(a.store->insert_pending(m));
    auto theirs = sync::change_flags({flags("\\Flagged"), m.registers}, flags("\\Seen"), {5, 1});
    CHECK(must(a.store->merge_flags(first_remote, a.inbox.id, Uid{1}, theirs)) == Merged::changed);
    CHECK(must(a.store->merge_flags(first_remote, a.inbox.id, Uid{2}, theirs)) == Merged::unknown);
    must(a.store->set_pending_body(a.inbox.id, Uid{1},
                                   {BodyState::ready, id_of<ObjectId>(1), id_of<HoldId>(1), 9, {}}));
    CHECK(must(a.store->advance_visible(a.inbox.id, t0)) == uid_list({1}));
    CHECK(state_of(a, 1) == theirs);
}

TEST_CASE("a copy begins without stamps; a moved message keeps its own, and what it became is known") {
    Account a;
    a.add();
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Flagged"), core));
    auto items = must(a.store->plan_copy(a.inbox.id, uids({1}), t0));
    must(a.store->copy(a.inbox.id, items, a.inbox.id, t0));
    CHECK(state_of(a, 2) == sync::FlagState{flags("\\Flagged"), {}});
    must(a.store->move(a.inbox.id, uids({1}), a.inbox.id, t0));
    CHECK(state_of(a, 3).flags == flags("\\Flagged"));
    CHECK(state_of(a, 3).registers.size() == 1);
    CHECK(must(a.store->placed({a.inbox.id, Uid{3}})).is_zero());  // only its number is another
    must(a.store->move(a.inbox.id, uids({3}), a.inbox.id, t0, core));
    CHECK_FALSE(must(a.store->placed({a.inbox.id, Uid{4}})).is_zero());
}

TEST_CASE("what keywords leave behind is bounded") {
    Account a;
    a.add();
    std::string refusal;
    for (int i = 0; i < 600 && refusal.empty(); ++i) {
        auto word = flags("word" + std::to_string(i));
        for (auto mode : {StoreMode::add, StoreMode::remove}) {
            auto stored = a.store->store_flags(a.inbox.id, uids({1}), mode, word, core);
            if (!stored) refusal = stored.error().text;
        }
    }
    CHECK(refusal.starts_with("[LIMIT]"));
    CHECK(state_of(a, 1).registers.size() == sync::max_registers / 2);
}

}  // namespace fwmail::store
