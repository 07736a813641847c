// Outbox, acknowledgements, pending messages, pieces.
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

const NodeId peer = id_of<NodeId>(42);

NumberSet numbers(std::initializer_list<std::uint64_t> list) {
    NumberSet set;
    for (auto n : list) set.add(n);
    return set;
}

OutboxRow row(int kind, std::uint64_t length = 10) {
    OutboxRow r;
    r.kind = kind;
    r.length = length;
    r.payload = "xyz";
    r.due = at(1);
    return r;
}

PendingMessage pending(const Account& a, std::uint32_t uid, std::optional<std::uint32_t> prev) {
    PendingMessage p;
    p.mailbox = a.inbox.id;
    p.uid = Uid{uid};
    if (prev) p.prev_uid = Uid{*prev};
    p.email_id = id_of<EmailId>(uid);
    p.size = 1000;
    p.sha256 = std::string(32, static_cast<char>('a' + uid));
    p.date = t0;
    p.flags = flags("\\Flagged kw");
    p.arrived = at(uid);
    return p;
}

PendingBody body(std::uint32_t uid, BodyState state = BodyState::ready) {
    return {state, id_of<ObjectId>(uid), id_of<HoldId>(uid), 1000, {"e", "b", "s", "p", "k", "h"}};
}

std::vector<Uid> advance(Account& a) { return must(a.store->advance_visible(a.inbox.id, t0)); }

}  // namespace

TEST_CASE("a row that replaces makes earlier ones about the same thing void, sent or not") {
    Account a;
    OutboxRow flags = row(1);
    flags.kind = 5;
    flags.mailbox = a.inbox.id;
    flags.uid = Uid{7};
    flags.replaces = true;
    OutboxRow other = flags, once = flags;
    other.uid = Uid{8};
    once.replaces = false;
    OutboxPlan plan;
    plan.rows = {flags, other, once};
    must(a.store->append_outbox(peer, plan));
    must(a.store->mark_sent(peer, numbers({1}), at(1), at(700)));
    plan.rows = {flags};
    must(a.store->append_outbox(peer, plan));
    auto rows = must(a.store->load_outbox(peer, numbers({1, 2, 3, 4}), 10));
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].state == OutboxState::voided);
    CHECK(rows[0].due == at(1));  // at once, so that the later one travels with it
    for (std::size_t i = 1; i < 4; ++i) CHECK(rows[i].state == OutboxState::queued);
}

TEST_CASE("the outbox numbers its rows, sends again what is due, and forgets what is acknowledged") {
    Account a;
    a.add();
    OutboxPlan plan;
    plan.rows = {row(1), row(2), row(1)};
    plan.cursor = must(a.store->highest_modseq());
    plan.seals = {{a.inbox.id, Uid{1}, {"seed", 7, "sha", SealState::withheld, "too large"}}};
    plan.planned = {{a.inbox.id, {Uid{1}, Uid{}}}};
    auto given = must(a.store->append_outbox(peer, plan));
    CHECK(given == std::vector<EntryNumber>{EntryNumber{1}, EntryNumber{2}, EntryNumber{3}});
    CHECK(must(a.store->cursor(peer)) == plan.cursor);
    CHECK(must(a.store->cursor(id_of<NodeId>(43))) == ModSeq{});
    CHECK(must(a.store->planned(peer, a.inbox.id)) == Planned{Uid{1}, Uid{}});
    auto sealed = must(a.store->load_messages(a.inbox.id, range(1, 1), column_seal, 1));
    CHECK(sealed[0].seal.reason == "too large");

    CHECK(must(a.store->load_outbox_due(peer, at(0), 10)).empty());
    CHECK(must(a.store->next_outbox_due(peer)) == at(1));
    auto due = must(a.store->load_outbox_due(peer, at(1), 2));
    REQUIRE(due.size() == 2);
    CHECK(due[0].payload == "xyz");
    must(a.store->mark_sent(peer, numbers({1, 2}), at(1), at(600)));
    must(a.store->mark_sent(peer, numbers({1}), at(700), at(1900)));
    must(a.store->mark_void(peer, numbers({2}), at(2)));
    auto rows = must(a.store->load_outbox(peer, numbers({1, 2}), 10));
    CHECK(rows[0].attempts == 2);
    CHECK(rows[0].first_sent == at(1));
    CHECK(rows[0].last_sent == at(700));
    CHECK(rows[1].state == OutboxState::voided);
    CHECK(rows[1].payload.empty());
    auto summary = must(a.store->outbox_summary(peer, 1));
    CHECK(summary.unacknowledged == 3);
    CHECK(summary.messages == 2);
    CHECK(summary.octets == 26);
    CHECK(summary.oldest_sent == at(1));

    CHECK(must(a.store->acknowledge(peer, numbers({1, 2, 99}))) == 2);
    CHECK(must(a.store->acknowledge(peer, numbers({1, 2}))) == 0);
    plan.rows = {row(5)};
    plan.seals.clear();
    plan.cursor = ModSeq{1};  // never back
    CHECK(must(a.store->append_outbox(peer, plan))[0] == EntryNumber{4});
    CHECK(must(a.store->cursor(peer)) > ModSeq{1});
    plan.rows[0].number = EntryNumber{4};
    CHECK(!a.store->append_outbox(peer, plan));
    must(a.store->forget_peer(peer));
    CHECK(must(a.store->next_number(peer)) == EntryNumber{1});
}

TEST_CASE("applied numbers are intervals that never touch, as in a model") {
    Account a;
    NumberSet model;
    std::uint32_t seed = 7;
    auto next = [&] { return seed = seed * 1664525 + 1013904223, (seed >> 16) % 60 + 1; };
    for (int i = 0; i < 200; ++i) {
        NumberSet some;
        std::uint64_t first = next();
        some.add(first, first + next() / 12);
        some.add(next());
        must(a.store->mark_applied(peer, some));
        model.add(some);
        REQUIRE(must(a.store->load_applied(peer)) == model);
    }
    for (std::uint64_t n = 1; n < 80; ++n)
        CHECK(must(a.store->is_applied(peer, EntryNumber{n})) == model.contains(n));
    CHECK(!must(a.store->is_applied(id_of<NodeId>(43), EntryNumber{1})));
    CHECK(error_of(a.store->mark_applied(peer, numbers({~0ull}))) == ErrorKind::protocol);
}

TEST_CASE("messages become visible in UID order, once each predecessor is there or gone") {
    Account a;
    CHECK(must(a.store->insert_pending(pending(a, 5, 3))));
    CHECK(must(a.store->insert_pending(pending(a, 1, 0))));
    CHECK(!must(a.store->insert_pending(pending(a, 1, 0))));
    must(a.store->set_pending_body(a.inbox.id, Uid{5}, body(5)));
    CHECK(advance(a).empty());  // 1 has no body
    CHECK(must(a.store->load_pending(BodyState::missing, 10)).size() == 1);
    must(a.store->set_pending_body(a.inbox.id, Uid{1}, body(1)));
    CHECK(advance(a) == uid_list({1}));  // 3 is not known yet
    CHECK(must(a.store->insert_pending(pending(a, 3, 1))));
    CHECK(advance(a).empty());
    must(a.store->set_pending_body(a.inbox.id, Uid{3}, body(3, BodyState::stub)));
    CHECK(must(a.store->merge_flags(id_of<NodeId>(7), a.inbox.id, Uid{3},
                                    {flags("\\Seen"), {{"\x01", {5, 1}}}})) == Merged::changed);
    CHECK(advance(a) == uid_list({3, 5}));
    CHECK(!must(a.store->insert_pending(pending(a, 4, 3))));  // passed

    auto rows = must(a.store->load_messages(a.inbox.id, range(1, 9), ~0u, 9));
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].flags == flags("\\Flagged kw"));
    CHECK(rows[0].hold == id_of<HoldId>(1));
    CHECK(rows[0].seal.sha256 == std::string(32, 'b'));
    CHECK(rows[1].seal.state == SealState::none);
    CHECK(rows[1].flags == flags("\\Seen \\Flagged kw"));
    CHECK(rows[2].texts.bodystructure == "s");
    CHECK(rows[2].texts.header == "h");
    CHECK(must(a.store->find_mailbox(a.inbox.id))->visible == Uid{5});
    a.serial = 100;
    CHECK(a.add() == Uid{6});
}

TEST_CASE("what is expunged before it was shown is passed over and its body let go") {
    Account a;
    must(a.store->insert_pending(pending(a, 1, 0)));
    must(a.store->insert_pending(pending(a, 2, 1)));
    must(a.store->insert_pending(pending(a, 4, 3)));
    for (std::uint32_t u : {1, 2, 4}) must(a.store->set_pending_body(a.inbox.id, Uid{u}, body(u)));
    must(a.store->set_pending_gone(a.inbox.id, range(2, 3), t0));
    CHECK(advance(a) == uid_list({1}));  // 2 is passed; what lies before 3 is not known
    CHECK(must(a.store->load_pending_releases(9)) ==
          std::vector<Reference>{{id_of<ObjectId>(2), id_of<HoldId>(2)}});
    CHECK(!must(a.store->insert_pending(pending(a, 3, 2))));  // announced late: stays gone
    must(a.store->set_pending_body(a.inbox.id, Uid{3}, body(3)));
    CHECK(must(a.store->load_pending_releases(9)).size() == 2);
    CHECK(advance(a) == uid_list({4}));
    must(a.store->set_pending_gone(a.inbox.id, range(1, 4), t0));  // below the watermark: nothing to remember
    CHECK(must(a.store->load_pending(BodyState::gone, 9)).empty());
    CHECK(error_of(a.store->set_pending_gone(a.inbox.id, range(6, 0xffffffff), t0)) == ErrorKind::refused);
}

TEST_CASE("what was never announced and is gone is passed over") {
    Account a;
    must(a.store->insert_pending(pending(a, 1, 0)));
    must(a.store->set_pending_body(a.inbox.id, Uid{1}, body(1)));
    must(a.store->set_pending_gone(a.inbox.id, range(2, 2), t0));  // withheld, then expunged
    must(a.store->insert_pending(pending(a, 3, 1)));
    CHECK(advance(a) == uid_list({1}));
    must(a.store->set_pending_body(a.inbox.id, Uid{3}, body(3)));
    CHECK(advance(a) == uid_list({3}));
    CHECK(must(a.store->load_pending(BodyState::gone, 9)).empty());
}

TEST_CASE("a first message that is gone before it was announced does not hold up the second") {
    Account a;
    must(a.store->insert_pending(pending(a, 8, 7)));
    must(a.store->set_pending_body(a.inbox.id, Uid{8}, body(8)));
    CHECK(advance(a).empty());
    must(a.store->set_pending_gone(a.inbox.id, range(1, 7), t0));
    CHECK(advance(a) == uid_list({8}));
    CHECK(a.add() == Uid{9});
}

TEST_CASE("a stub never takes the place of a body") {
    Account a;
    must(a.store->insert_pending(pending(a, 2, 1)));
    CHECK(must(a.store->set_pending_body(a.inbox.id, Uid{2}, body(2))));
    CHECK_FALSE(must(a.store->set_pending_body(a.inbox.id, Uid{2}, body(7, BodyState::stub))));
    CHECK(must(a.store->load_pending(BodyState::ready, 9)).size() == 1);
    CHECK(must(a.store->load_pending_releases(9)) ==
          std::vector<Reference>{{id_of<ObjectId>(7), id_of<HoldId>(7)}});
}

TEST_CASE("an own message that takes a pending number supersedes it") {
    Account a;
    must(a.store->insert_pending(pending(a, 1, 0)));
    must(a.store->insert_pending(pending(a, 2, 1)));
    must(a.store->set_pending_body(a.inbox.id, Uid{1}, body(1)));
    must(a.store->set_pending_body(a.inbox.id, Uid{2}, body(2)));
    a.serial = 100;
    CHECK(a.add() == Uid{1});
    CHECK(advance(a) == uid_list({2}));
    CHECK(must(a.store->load_pending_releases(9)) ==
          std::vector<Reference>{{id_of<ObjectId>(1), id_of<HoldId>(1)}});
    must(a.store->insert_pending(pending(a, 3, 2)));
    must(a.store->set_pending_body(a.inbox.id, Uid{3}, body(3)));
    CHECK(must(a.store->load_references()).references.size() == 3);
    must(a.store->delete_mailbox(a.inbox.id));
    CHECK(must(a.store->load_references()).references.empty());
    CHECK(must(a.store->load_references()).releasing.size() == 4);
}

TEST_CASE("pieces go with the message that waited for them, unless another one does") {
    Account a;
    auto other = must(a.store->create_mailbox("Other", "", t0));
    auto first = pending(a, 1, 0), second = pending(a, 2, 1);
    auto copy = second;
    copy.mailbox = other.id;
    copy.uid = Uid{1};
    copy.prev_uid = Uid{};
    for (const auto& message : {first, second, copy}) {
        must(a.store->insert_pending(message));
        must(a.store->insert_chunk(message.email_id, message.sha256, 0, 10, "abc"));
    }
    auto known = [&](const PendingMessage& m) {
        return must(a.store->chunk_coverage(m.email_id, m.sha256)).total > 0;
    };
    must(a.store->set_pending_gone(a.inbox.id, range(1, 2), t0));
    CHECK(!known(first));
    CHECK(known(second));
    must(a.store->delete_mailbox(other.id));
    CHECK(!known(second));
}

TEST_CASE("pieces that no message ever waits for go after their time") {
    Account a;
    auto message = pending(a, 1, 0);
    auto stray = id_of<EmailId>(99);
    must(a.store->insert_chunk(message.email_id, message.sha256, 0, 10, "abc"));
    must(a.store->insert_chunk(stray, message.sha256, 0, 10, "abc"));
    auto known = [&](EmailId id) { return must(a.store->chunk_coverage(id, message.sha256)).total > 0; };
    must(a.store->sweep_pieces(at(0), at(-100)));
    must(a.store->insert_pending(message));  // after its piece
    must(a.store->sweep_pieces(at(50), at(-50)));
    CHECK(known(stray));
    must(a.store->sweep_pieces(at(101), at(1)));
    CHECK(!known(stray));
    CHECK(known(message.email_id));
}

TEST_CASE("what is let go is dated when it is first looked at") {
    Account a;
    a.add();
    a.add();
    must(a.store->expunge_any(a.inbox.id, uids({1})));
    CHECK(must(a.store->releases_waiting()).undated == 1);
    must(a.store->date_releases(at(10)));
    must(a.store->expunge_any(a.inbox.id, uids({2})));
    must(a.store->date_releases(at(20)));
    auto waiting = must(a.store->releases_waiting());
    CHECK(waiting.all == 2);
    CHECK(waiting.undated == 0);
    CHECK(must(a.store->load_pending_releases(9, at(9))).empty());
    CHECK(must(a.store->load_pending_releases(9, at(10))) ==
          std::vector<Reference>{{id_of<ObjectId>(1), id_of<HoldId>(1)}});
    CHECK(must(a.store->load_pending_releases(9, at(20))).size() == 2);
}

TEST_CASE("pieces come in any order and are read in theirs") {
    Account a;
    auto id = id_of<EmailId>(1);
    std::string sha256(32, 'a'), other(32, 'b');
    CHECK(must(a.store->chunk_coverage(id, sha256)).total == 0);
    must(a.store->insert_chunk(id, sha256, 6, 10, "ghij"));
    must(a.store->insert_chunk(id, sha256, 0, 10, "ab"));
    CHECK(!must(a.store->chunk_coverage(id, sha256)).complete());
    CHECK(must(a.store->read_chunk(id, sha256, 3)).empty());
    must(a.store->insert_chunk(id, sha256, 0, 10, "abcdefg"));  // cut otherwise the second time
    must(a.store->insert_chunk(id, sha256, 0, 10, "XY"));
    CHECK(must(a.store->chunk_coverage(id, sha256)).complete());
    std::string whole;
    while (whole.size() < 10) whole += must(a.store->read_chunk(id, sha256, whole.size()));
    CHECK(whole == "abcdefghij");
    CHECK(error_of(a.store->insert_chunk(id, sha256, 0, 11, "x")) == ErrorKind::protocol);
    CHECK(error_of(a.store->insert_chunk(id, sha256, 9, 10, "xy")) == ErrorKind::protocol);
    CHECK(error_of(a.store->insert_chunk(id, sha256, ~0ull, 10, "xy")) == ErrorKind::protocol);
    must(a.store->insert_chunk(id, other, 0, 3, "xyz"));  // the message, sealed otherwise
    must(a.store->delete_chunks(id, sha256));
    CHECK(must(a.store->chunk_coverage(id, other)).complete());
    CHECK(must(a.store->chunk_coverage(id, sha256)).total == 0);
}
