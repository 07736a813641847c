#include "store/epochs.hpp"

#include <algorithm>

#include "store/account_rows.hpp"

namespace fwmail::store {

namespace {

Result<bool> has_planned(AccountStore& account, NodeId peer) {
    auto q = TRY(account.database().query(
        "SELECT EXISTS (SELECT 1 FROM planned WHERE peer=(SELECT id FROM peers WHERE peer=?))", peer));
    TRY(q.next());
    return q.boolean(0);
}

}  // namespace

Result<sync::EpochState> load_epochs(AccountStore& account, NodeId peer, const sync::Epoch& own,
                                     const sync::Epoch& other) {
    auto q = TRY(account.database().query(
        "SELECT own_counter,own_random,peer_counter,peer_random,heard,lost,life_start,life_random FROM peers "
        "WHERE peer=?",
        peer));
    sync::EpochState state;
    if (TRY(q.next())) {
        state.own = {q.natural(0), q.natural(1)};
        state.peer = {q.natural(2), q.natural(3)};
        state.heard = q.boolean(4);
        state.lost = q.boolean(5);
        state.peer_life = {q.time(6), q.natural(7)};
    }
    state.begun = !state.own.is_none();
    if (!state.begun) state.own = own;
    if (state.peer.is_none()) state.peer = other;
    return state;
}

Result<void> save_epochs(AccountStore& account, NodeId peer, const sync::EpochState& state) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        auto own = state.begun ? state.own : sync::Epoch{};
        return db.run(
            "UPDATE peers SET own_counter=?,own_random=?,peer_counter=?,peer_random=?,heard=?,lost=?,"
            "life_start=?,life_random=? WHERE id=?",
            own.counter, own.random, state.peer.counter, state.peer.random, state.heard, state.lost,
            state.peer_life.start, state.peer_life.random, TRY(peer_row(db, peer)));
    });
}

Result<sync::NumbersKnown> load_numbers_known(AccountStore& account, NodeId peer, bool of_other_life) {
    sync::NumbersKnown known;
    known.next = TRY(account.next_number(peer));
    known.state_used = TRY(has_planned(account, peer));  // from what it has told
    if (!of_other_life) return known;
    auto applied = TRY(account.load_applied(peer));
    if (!applied.empty()) known.highest_applied = applied.list().back().last;
    if (known.next.value > 1) known.acknowledged.add(1, known.next.value - 1);
    auto q = TRY(account.database().query(
        "SELECT number FROM outbox WHERE peer=(SELECT id FROM peers WHERE peer=?) ORDER BY number", peer));
    NumberSet waiting;
    while (TRY(q.next())) waiting.add(q.natural(0));
    for (const auto& i : waiting.list()) known.acknowledged.remove(i.first, i.last);
    return known;
}

Result<bool> is_in_epoch(AccountStore& account, NodeId peer, const sync::Epoch& epoch) {
    auto q = TRY(account.database().query("SELECT peer_counter,peer_random FROM peers WHERE peer=?", peer));
    if (!TRY(q.next()) || q.natural(0) == 0) return true;
    return sync::Epoch{q.natural(0), q.natural(1)} == epoch;
}

Result<EntryNumber> first_of_life(AccountStore& account, NodeId peer) {
    auto q = TRY(account.database().query(
        "SELECT given_start,given_random,given_first,next_number FROM peers WHERE peer=?", peer));
    if (!TRY(q.next())) return EntryNumber{1};
    bool given = sync::Life{q.time(0), q.natural(1)} == account.life();
    return EntryNumber{q.natural(given ? 2 : 3)};
}

Result<void> forget_applied(AccountStore& account, NodeId peer) {
    return account.database().run("DELETE FROM applied WHERE peer=(SELECT id FROM peers WHERE peer=?)", peer);
}

Result<std::vector<OutboxRow>> begin_numbers(AccountStore& account, NodeId peer, const std::vector<int>& kept,
                                             UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<std::vector<OutboxRow>> {
        std::int64_t id = TRY(peer_row(db, peer));
        NumberSet all;
        all.add(1, sync::max_number);
        auto rows = TRY(account.load_outbox(peer, all, SIZE_MAX >> 1));
        std::erase_if(rows, [&](const OutboxRow& row) {
            return row.state == OutboxState::voided || std::ranges::find(kept, row.kind) == kept.end();
        });
        for (auto& row : rows) {
            row.number = {};
            row.state = OutboxState::queued;
            row.attempts = 0;
            row.first_sent = row.last_sent = std::nullopt;
            row.due = now;
        }
        TRY(db.run("DELETE FROM outbox WHERE peer=?", id));
        TRY(db.run("UPDATE peers SET next_number=1,given_start=?,given_random=?,given_first=1 WHERE id=?",
                   account.life().start, account.life().random, id));
        for (const char* sql : {"UPDATE messages SET told_by=0 WHERE told_by=?",
                                "UPDATE expunged SET told_by=0 WHERE told_by=?",
                                "UPDATE mailboxes SET told_by=0 WHERE told_by=?",
                                "UPDATE subscriptions SET told_by=0 WHERE told_by=?"})
            TRY(db.run(sql, id));
        return rows;
    });
}

Result<void> leap(AccountStore& account, bool core, UnixMillis now) {
    // A remote may have shown numbers to which core had leapt.
    const std::int64_t least = core ? 1 << 20 : 1 << 22, a_second = 4;
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        std::int64_t since;
        {
            auto q = TRY(
                db.query("SELECT ifnull(nullif((SELECT max(given_start) FROM peers),0),first_modseq) FROM "
                         "meta"));
            TRY(q.next());
            since = std::max<std::int64_t>(now.value - q.integer(0), 0);
        }
        TRY(db.run("UPDATE meta SET highest_modseq=highest_modseq+?", (1 << 20) + since));
        TRY(
            db.run("UPDATE mailboxes SET highest_modseq=(SELECT highest_modseq FROM meta),"
                   "uidnext=min(uidnext+?,4294967295) WHERE deleted=0",
                   least + since * a_second / 1000));
        if (core) return {};
        return db.run("UPDATE mailboxes SET visible=uidnext-1 WHERE deleted=0");
    });
}

Result<std::uint64_t> awaited_state(AccountStore& account, NodeId peer) {
    auto q = TRY(account.database().query("SELECT awaits_state FROM peers WHERE peer=?", peer));
    return TRY(q.next()) ? q.natural(0) : 0;
}

Result<void> await_state(AccountStore& account, NodeId peer, std::uint64_t up_to) {
    return account.database().run("UPDATE peers SET awaits_state=? WHERE peer=?", up_to, peer);
}

// Changes that were planned are not planned again: none has this number.
Result<void> look_again(AccountStore& account) {
    return account.database().run("UPDATE meta SET highest_modseq=highest_modseq+1");
}

Result<void> forget_planned(AccountStore& account, NodeId peer) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        std::int64_t id = TRY(peer_row(db, peer));
        TRY(db.run("DELETE FROM planned WHERE peer=?", id));
        // What changes from now on is planned when the state has been told; what was before stands in it.
        // Every mailbox is to be looked at then.
        TRY(look_again(account));
        TRY(db.run("UPDATE peers SET cursor=(SELECT highest_modseq-1 FROM meta) WHERE id=?", id));
        TRY(db.run("UPDATE mailboxes SET highest_modseq=(SELECT highest_modseq FROM meta) WHERE deleted=0"));
        return db.run("UPDATE outside_numbers SET stale=1 WHERE peer=?", id);
    });
}

}  // namespace fwmail::store
