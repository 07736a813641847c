#include "service/epochs.hpp"

#include <map>

#include "base/random.hpp"
#include "service/core_entries.hpp"
#include "service/home.hpp"
#include "service/outbox_kinds.hpp"
#include "store/elsewhere.hpp"
#include "store/epochs.hpp"
#include "store/provisional.hpp"
#include "store/stated.hpp"
#include "sync/entries.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {
namespace {

Result<> put_back(store::AccountStore& account, NodeId peer, std::vector<store::OutboxRow> rows) {
    store::OutboxPlan plan;
    plan.cursor = TRY(account.cursor(peer));
    plan.rows = std::move(rows);
    TRY(account.append_outbox(peer, plan));
    return {};
}

// What is to be told follows from what the remote says that it has.
Result<> begin_at_core(store::AccountStore& account, const EpochTurn& turn, bool lost, bool leap) {
    if (leap) TRY(store::leap(account, true, turn.now));
    // Of what core has lost a UID may name something else at the remote by now: the comparison knows better.
    std::vector<int> kinds{outbox_confirm};
    if (!lost) kinds.push_back(outbox_expunge);
    auto kept = TRY(store::begin_numbers(account, turn.peer, kinds, turn.now));
    TRY(store::forget_planned(account, turn.peer));
    TRY(store::await_state(account, turn.peer, store::state_not_told));
    TRY(account.set_value("account-entry:" + turn.peer.hex(), ""));
    TRY(account.set_value(mailboxes_cursor(turn.peer), "0"));
    return put_back(account, turn.peer, std::move(kept));
}

// A request with all that core needs for it: some of that it had perhaps, and has lost.
Result<> put_behind(store::AccountStore& account, store::OutboxRow row, std::size_t chunk_octets,
                    std::vector<store::OutboxRow>& rows) {
    if (row.kind == outbox_append) {
        auto entry = TRY(sync::decode_entry(row.payload));
        const auto* request = std::get_if<sync::AppendRequestEntry>(&entry);
        auto body = TRY(store::find_home_body(account, {row.mailbox, row.uid}));
        if (request && body && !body->object.is_zero())
            add_chunks(rows, row, *request, body->object, chunk_octets);
    }
    rows.push_back(std::move(row));
    return {};
}

using Visible = std::map<MailboxId, Uid>;

// The last UID that is shown in each mailbox, deleted ones too.
Result<Visible> load_visible(store::AccountStore& account) {
    Visible visible;
    for (const auto& mailbox : TRY(account.mailboxes_changed_since(ModSeq{})))
        visible[mailbox.id] = mailbox.visible;
    return visible;
}

Result<> add_rows(store::AccountStore& account, const Visible& visible, bool names, bool settled,
                  UnixMillis now, std::vector<store::OutboxRow>& rows) {
    store::OutboxRow row;
    row.due = now;
    row.kind = outbox_mailbox;
    for (const auto& [mailbox, last] : visible) {
        // What stands in for a mailbox whose own entry is still on the way has no name to tell.
        auto known = TRY(account.find_mailbox(mailbox));
        if (!known || is_stand_in(*known)) continue;
        row.mailbox = mailbox;
        rows.push_back(row);
    }
    row.mailbox = {};
    row.kind = outbox_subscription;
    if (names)
        for (const auto& name : TRY(account.subscriptions_changed_since(ModSeq{}))) {
            row.payload = name.name;
            rows.push_back(row);
        }
    row.payload.clear();
    row.kind = outbox_state;
    for (const auto& [mailbox, last_shown] : visible) {
        row.mailbox = mailbox;
        row.offset = last_shown.value;
        row.length = settled;
        for (auto [first, last] : TRY(store::stretches(account, mailbox))) {
            row.prev_uid = first;
            row.uid = last;
            rows.push_back(row);
        }
    }
    return {};
}

// All mailboxes, names and messages.
Result<std::vector<store::OutboxRow>> state_rows(store::AccountStore& account, const Visible& visible,
                                                 UnixMillis now) {
    std::vector<store::OutboxRow> rows;
    TRY(add_rows(account, visible, true, false, now, rows));
    store::OutboxRow row;
    row.due = now;
    row.kind = outbox_stated;
    rows.push_back(row);
    return rows;
}

// All that has come is shown, and all that is shown is told.
Result<> show_what_came(store::AccountStore& account, const EpochTurn& turn) {
    TRY(store::let_pass(account));
    for (const auto& mailbox : TRY(account.load_mailboxes()))
        TRY(show_arrived(account, {turn.peer}, mailbox.id, turn.now));
    TRY(store::expunge_successors(account));
    return store::forget_kept(account);
}

// And behind them what core has not taken yet.
Result<> begin_at_remote(store::AccountStore& account, const EpochTurn& turn, bool leap) {
    auto visible = TRY(load_visible(account));
    if (leap) TRY(store::leap(account, false, turn.now));
    auto kept = TRY(store::begin_numbers(
        account, turn.peer, {outbox_copy, outbox_append, outbox_expunge, outbox_said, outbox_stubbed},
        turn.now));
    std::vector<store::Place> requested;
    for (const auto& row : kept)
        if (row.kind == outbox_copy || row.kind == outbox_append) requested.push_back({row.mailbox, row.uid});
    auto expunged = TRY(store::forget_unsettled(account, requested));
    auto rows = TRY(state_rows(account, visible, turn.now));
    for (auto& row : kept) TRY(put_behind(account, std::move(row), turn.chunk_octets, rows));
    store::OutboxRow row;
    row.due = turn.now;
    row.kind = outbox_expunge;
    for (const auto& place : expunged) {
        UidSet uid;
        uid.add(place.uid.value);
        row.mailbox = place.mailbox;
        row.payload = sync::encode_entry(sync::ExpungeEntry{place.mailbox, uid, Uid{}});
        rows.push_back(row);
    }
    return put_back(account, turn.peer, std::move(rows));
}

}  // namespace

EpochTurn epoch_turn(const LinkRecord& link, bool core, const config::Config& config, UnixMillis now) {
    auto chunk = sync::chunk_size_for(static_cast<std::size_t>(config.octets("replicate.max-mail-size")));
    EpochTurn turn{link.link.peer, core, chunk, link.own_epoch, link.peer_epoch, 0, now};
    fill_random({reinterpret_cast<std::uint8_t*>(&turn.random), sizeof turn.random});
    return turn;
}

Result<sync::SectionVerdict> take_epochs(store::AccountStore& account, const EpochTurn& turn,
                                         const sync::AccountSection& section) {
    auto state = TRY(store::load_epochs(account, turn.peer, turn.own, turn.other));
    auto known = TRY(store::load_numbers_known(account, turn.peer, section.life > state.peer_life));
    auto verdict = sync::judge_section(state, section, known, turn.random);
    if (verdict.state != state) TRY(store::save_epochs(account, turn.peer, verdict.state));
    if (verdict.adopted || verdict.begun) TRY(store::forget_applied(account, turn.peer));
    if (verdict.adopted && turn.core) TRY(store::await_state(account, turn.peer, store::state_not_told));
    if (!turn.core && (verdict.adopted || verdict.begun)) TRY(show_what_came(account, turn));
    // An epoch that nobody has heard of yet was begun for the same loss: there is no second leap.
    bool leap = verdict.restored && (state.heard || !state.begun);
    if (verdict.begun)
        TRY(turn.core ? begin_at_core(account, turn, verdict.restored, leap)
                      : begin_at_remote(account, turn, leap));
    // What was told in this epoch may be from before the last that was applied of core's former one.
    if (!turn.core && verdict.adopted && !verdict.begun)
        TRY(put_back(account, turn.peer, TRY(state_rows(account, TRY(load_visible(account)), turn.now))));
    if (verdict.acks && !section.acks.empty()) TRY(account.acknowledge(turn.peer, section.acks));
    return verdict;
}

Result<> begin_after_loss(store::AccountStore& account, const std::vector<EpochTurn>& turns) {
    bool leap = true;
    for (const auto& turn : turns) {
        auto state = TRY(store::load_epochs(account, turn.peer, turn.own, turn.other));
        TRY(store::save_epochs(account, turn.peer, sync::begin_epoch(state, turn.random)));
        TRY(store::forget_applied(account, turn.peer));
        if (!turn.core) TRY(show_what_came(account, turn));
        TRY(turn.core ? begin_at_core(account, turn, true, leap) : begin_at_remote(account, turn, leap));
        leap = false;
    }
    return {};
}

Result<> add_state_rows(store::AccountStore& account, const std::vector<MailboxId>& mailboxes, bool names,
                        UnixMillis now, std::vector<store::OutboxRow>& rows) {
    Visible all = TRY(load_visible(account)), visible;
    for (auto mailbox : mailboxes)
        if (auto known = all.extract(mailbox)) visible.insert(std::move(known));
    return add_rows(account, visible, names, true, now, rows);
}

Result<sync::AccountSection> begin_section(store::AccountStore& account, const EpochTurn& turn,
                                           std::size_t ack_octets) {
    auto state = TRY(store::load_epochs(account, turn.peer, turn.own, turn.other));
    sync::AccountSection section;
    section.epoch = state.own;
    section.echo = state.peer;
    section.life = account.life();
    section.first = TRY(store::first_of_life(account, turn.peer));
    section.lost = state.lost;
    sync::Incoming incoming{TRY(account.load_applied(turn.peer))};
    if (!state.peer.is_none()) section.acks = incoming.acks(ack_octets);
    return section;
}

}  // namespace fwmail::service
