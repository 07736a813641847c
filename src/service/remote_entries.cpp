#include "service/remote_entries.hpp"

#include "imap/parser.hpp"
#include "service/flag_entries.hpp"
#include "service/outbox_kinds.hpp"
#include "store/epochs.hpp"
#include "store/outside_expunges.hpp"
#include "store/stated.hpp"

namespace fwmail::service {

bool may_come_from_remote(const sync::Entry& entry) {
    if (const auto* expunge = std::get_if<sync::ExpungeEntry>(&entry)) return expunge->prev_uid == Uid{};
    return std::holds_alternative<sync::StubbedEntry>(entry) ||
           std::holds_alternative<sync::FlagsEntry>(entry) ||
           std::holds_alternative<sync::MailboxEntry>(entry) ||
           std::holds_alternative<sync::SubscriptionEntry>(entry) ||
           std::holds_alternative<sync::CopyRequestEntry>(entry) ||
           std::holds_alternative<sync::AppendRequestEntry>(entry) ||
           std::holds_alternative<sync::ChunkEntry>(entry) ||
           std::holds_alternative<sync::StateEntry>(entry) ||
           std::holds_alternative<sync::StatedEntry>(entry) ||
           std::holds_alternative<sync::UnknownEntry>(entry);
}

store::CopyWord copy_word(const sync::CopyRequestEntry& entry, store::Reference body) {
    return {{entry.from, entry.from_uid},
            {entry.mailbox, entry.uid},
            entry.email,
            entry.moved,
            {entry.flags, entry.registers},
            body,
            entry.sealed_sha256};
}

namespace {

// False: the mailbox has gone, and what is said of it is past; or the remote was never told of this message.
Result<bool> was_told(AtCore& to, MailboxId mailbox, Uid uid) {
    auto known = TRY(to.account.find_mailbox(mailbox));
    return known && !known->deleted && uid <= TRY(to.account.planned(to.peer, mailbox)).last;
}

// A stub stands where the body has come after all: the message gets a new number.
Result<bool> apply_stubbed(AtCore& to, const sync::StubbedEntry& entry) {
    if (!TRY(was_told(to, entry.mailbox, entry.uid))) return true;
    UidSet uid;
    uid.add(entry.uid.value);
    to.changed |= !TRY(to.account.move(entry.mailbox, uid, entry.mailbox, to.now)).empty();
    return true;
}

// Follows the message: it may have been moved here, or have another number than the remote knows.
Result<bool> apply_flags_entry(AtCore& to, const sync::FlagsEntry& entry) {
    store::Place called{entry.mailbox, entry.uid};
    auto place = TRY(store::find_place(to.account, to.peer, called));
    if (!place) return false;
    if (place->uid == Uid{}) return true;
    auto applied = TRY(apply_flags(to.account, *place == called ? to.peer : NodeId{}, place->mailbox,
                                   place->uid, {entry.flags, entry.registers}, to.now));
    to.changed |= applied.merged == store::Merged::changed;
    to.ahead |= applied.ahead;
    return !applied.ahead;
}

// The remote hears what became of the number, in the transaction that has decided it.
Result<> plan_confirmation(AtCore& to, const store::Place& called, const store::Place& now) {
    store::OutboxPlan plan;
    plan.cursor = TRY(to.account.cursor(to.peer));
    store::OutboxRow row;
    row.kind = outbox_confirm;
    row.payload = sync::encode_entry(sync::ConfirmEntry{called.mailbox, called.uid, now.mailbox, now.uid});
    row.due = to.now;
    plan.rows.push_back(std::move(row));
    TRY(to.account.append_outbox(to.peer, plan));
    return {};
}

Result<> plan_return(AtCore& to, MailboxId mailbox, UidSet bodies, UidSet copies) {
    store::OutboxPlan plan;
    plan.cursor = TRY(to.account.cursor(to.peer));
    store::OutboxRow row;
    row.kind = outbox_return;
    row.mailbox = mailbox;
    row.payload = sync::encode_entry(sync::ReturnEntry{mailbox, std::move(bodies), std::move(copies)});
    row.due = to.now;
    plan.rows.push_back(std::move(row));
    TRY(to.account.append_outbox(to.peer, plan));
    return {};
}

Result<bool> apply_copy(AtCore& to, const sync::CopyRequestEntry& entry, store::Reference body) {
    sync::FlagState flags{entry.flags, entry.registers};
    if (sync::is_ahead(entry.moved, to.now) || sync::drop_ahead(flags, to.now)) {
        to.ahead = true;
        TRY(to.account.release(body));
        return false;
    }
    auto filed = TRY(store::file_copy(to.account, to.peer, copy_word(entry, body), to.now));
    if (filed.waits) return false;
    if (filed.unknown) {
        UidSet uid;
        uid.add(entry.uid.value);
        bool whole = TRY(store::find_copied_body(to.account, to.peer, copy_word(entry))).is_zero();
        TRY(plan_return(to, entry.mailbox, whole ? uid : UidSet(), whole ? UidSet() : uid));
        return true;
    }
    to.changed |= !filed.repeat;
    TRY(plan_confirmation(to, {entry.mailbox, entry.uid}, filed.now));
    if (filed.expunged) to.expunged[filed.now.mailbox].add(filed.now.uid.value);
    return true;
}

// `number`: under which the mail was made ready.
Result<bool> apply_append(AtCore& to, EntryNumber number, const sync::AppendRequestEntry& entry) {
    store::AppendWord word{{entry.mailbox, entry.uid}, {}, {}, true};
    sync::FlagState flags{entry.flags, entry.registers};
    if (sync::drop_ahead(flags, to.now)) {
        to.ahead = true;
        return false;
    }
    if (auto mail = to.appended.extract(number)) {
        word.message = std::move(mail.mapped().message);
        word.message->flags = entry.flags;
        word.message->registers = entry.registers;
        word.seal = std::move(mail.mapped().seal);
        word.as_shown = mail.mapped().as_shown;
        word.returned = entry.kind == sync::AppendRequestEntry::returned;
    } else if (entry.kind != sync::AppendRequestEntry::gone && !to.refused.contains(number)) {
        // Some of it is on the way; or it went with another request for the message, which is here now.
        store::CopyWord copy{word.to, word.to, entry.email, {}, {}, {}};
        if (TRY(store::find_copied_body(to.account, to.peer, copy)).is_zero()) return false;
        UidSet uid;
        uid.add(entry.uid.value);
        TRY(plan_return(to, entry.mailbox, {}, uid));
        return true;
    }
    // It is not as it was: it stays where it is.
    if (!word.message && entry.kind == sync::AppendRequestEntry::returned) return true;
    auto filed = TRY(store::file_append(to.account, to.peer, word, to.now));
    if (filed.waits) return false;
    TRY(to.account.delete_chunks(entry.email, crypto::view_of(entry.sealed_sha256)));
    to.changed |= !filed.repeat;
    TRY(plan_confirmation(to, word.to, filed.now));
    if (filed.expunged) to.expunged[filed.now.mailbox].add(filed.now.uid.value);
    return true;
}

// A stolen remote must not empty the house: what goes can be put back for a while, and what is more than a
// day's measure waits for the operator.
Result<bool> hide_or_hold(AtCore& to, MailboxId mailbox, const store::OwnPlaces& places) {
    constexpr std::int64_t day = 86'400'000;
    struct Going {
        MailboxId mailbox;
        UidSet uids;
        std::uint64_t count;
        bool tell;
    };
    std::vector<Going> all;
    std::uint64_t count = 0;
    auto add = [&](MailboxId in, const UidSet& uids, bool tell) -> Result<> {
        auto known = TRY(to.account.find_mailbox(in));
        if (!known || known->deleted) return {};
        all.push_back({in, uids, TRY(store::count_messages(to.account, in, uids)), tell});
        count += all.back().count;
        return {};
    };
    TRY(add(mailbox, places.here, false));
    for (const auto& [elsewhere, uids] : places.elsewhere) TRY(add(elsewhere, uids, true));
    if (count == 0) return true;
    bool hold =
        TRY(store::count_hidden(to.account, UnixMillis{to.now.value - day})) + count > to.limits.expunges;
    for (const auto& going : all) {
        if (going.count == 0) continue;
        if (hold)
            TRY(store::hold_expunge(to.account,
                                    {0, to.peer, going.mailbox, going.uids, going.count, to.now}));
        else
            TRY(store::hide_messages(to.account, to.peer, going.mailbox, going.uids, to.now, going.tell));
    }
    (hold ? to.held : to.changed) = true;
    return true;
}

Result<bool> apply_expunge(AtCore& to, const sync::ExpungeEntry& entry) {
    if (!TRY(to.account.find_mailbox(entry.mailbox))) return false;
    // What the remote has not been told of it has filed itself, and core has not heard of that yet.
    if (!TRY(store::unheard_numbers(to.account, to.peer, entry.mailbox, entry.uids)).empty()) return false;
    return hide_or_hold(to, entry.mailbox,
                        TRY(store::own_places(to.account, to.peer, entry.mailbox, entry.uids)));
}

// Compared with what is here, and what comes of it goes back in the same transaction.
Result<bool> apply_state(AtCore& to, EntryNumber number, const sync::StateEntry& entry) {
    if (!TRY(to.account.find_mailbox(entry.mailbox))) {
        // All that was told before it has been applied: the mailbox was not taken here.
        return to.told.applied.contiguous_from_one() + 1 == number.value;
    }
    auto found = TRY(store::compare_state(to.account, to.peer, entry, to.since, to.now));
    to.changed |= found.changed;
    to.ahead |= found.ahead;
    TRY(hide_or_hold(to, entry.mailbox, found.hide));
    for (auto uid : found.nowhere) TRY(plan_confirmation(to, {entry.mailbox, uid}, {entry.mailbox, Uid{}}));
    store::OutboxPlan plan;
    plan.cursor = TRY(to.account.cursor(to.peer));
    store::OutboxRow row;
    row.due = to.now;
    row.mailbox = entry.mailbox;
    if (!found.leave.empty()) {
        row.kind = outbox_expunge;
        row.payload = sync::encode_entry(sync::ExpungeEntry{entry.mailbox, found.leave, Uid{}});
        plan.rows.push_back(row);
    }
    if (!found.bodies.empty() || !found.copies.empty())
        TRY(plan_return(to, entry.mailbox, found.bodies, found.copies));
    row.payload.clear();
    row.kind = outbox_flags;
    row.replaces = true;
    for (auto uid : found.flags) {
        row.uid = uid;
        plan.rows.push_back(row);
    }
    if (!plan.rows.empty()) TRY(to.account.append_outbox(to.peer, plan));
    return !found.ahead;
}

Result<bool> apply_stated(AtCore& to, EntryNumber number) {
    if (TRY(store::awaited_state(to.account, to.peer)) == store::state_not_told)
        TRY(store::await_state(to.account, to.peer, number.value));
    return true;
}

Result<bool> apply_mailbox(AtCore& to, const sync::MailboxEntry& entry) {
    if (!entry.deleted && !imap::fault_of_new_name(entry.name).empty())
        return true;  // no client of a remote gives such a name
    if (sync::is_ahead(entry.named, to.now) || sync::is_ahead(entry.used, to.now)) {
        to.ahead = true;
        return false;
    }
    auto taken = TRY(store::take_from_remote(to.account, to.peer, mailbox_word(entry), to.author, to.limits));
    to.changed |= taken.changed;
    to.held |= taken.held;
    to.too_many |= taken.refused;
    return true;
}

Result<bool> apply_subscription(AtCore& to, const sync::SubscriptionEntry& entry) {
    auto applied = TRY(apply_subscription_entry(to.account, to.peer, entry, to.now));
    to.changed |= applied.merged == store::Merged::changed;
    to.ahead |= applied.ahead;
    return !applied.ahead;
}

Result<> settle_state(AtCore& to) {
    auto awaited = TRY(store::awaited_state(to.account, to.peer));
    if (awaited == 0 || awaited == store::state_not_told || to.told.applied.contiguous_from_one() < awaited)
        return {};
    to.changed = true;  // there is much to plan
    return store::await_state(to.account, to.peer, 0);
}

// False: it cannot be applied yet, and must come again. Applying it twice does nothing.
Result<bool> apply_entry(AtCore& to, EntryNumber number, const sync::Entry& entry) {
    if (const auto* state = std::get_if<sync::StateEntry>(&entry)) return apply_state(to, number, *state);
    if (std::holds_alternative<sync::StatedEntry>(entry)) return apply_stated(to, number);
    if (const auto* stubbed = std::get_if<sync::StubbedEntry>(&entry)) return apply_stubbed(to, *stubbed);
    if (const auto* flags = std::get_if<sync::FlagsEntry>(&entry)) return apply_flags_entry(to, *flags);
    if (const auto* expunge = std::get_if<sync::ExpungeEntry>(&entry)) return apply_expunge(to, *expunge);
    if (const auto* mailbox = std::get_if<sync::MailboxEntry>(&entry)) return apply_mailbox(to, *mailbox);
    if (const auto* name = std::get_if<sync::SubscriptionEntry>(&entry)) return apply_subscription(to, *name);
    if (const auto* copy = std::get_if<sync::CopyRequestEntry>(&entry)) {
        auto body = to.bodies.extract(number);
        return apply_copy(to, *copy, body ? body.mapped() : store::Reference{});
    }
    if (const auto* append = std::get_if<sync::AppendRequestEntry>(&entry))
        return apply_append(to, number, *append);
    return true;
}

}  // namespace

Result<> apply_remote_entries(AtCore& to, const sync::AccountSection& section) {
    to.told = sync::Incoming{TRY(to.account.load_applied(to.peer))};
    NumberSet applied;
    if (TRY(store::is_in_epoch(to.account, to.peer, section.epoch))) {
        applied = to.told.reachable(section.voids);
        to.told.applied.add(applied);
        for (const auto& [number, entry] : section.entries) {
            if (to.told.classify(number) != sync::Arrival::fresh) continue;
            if (!TRY(apply_entry(to, number, entry))) continue;
            applied.add(number.value);
            to.told.on_applied(number);
        }
    }
    TRY(hide_or_hold(to, {}, {{}, std::exchange(to.expunged, {})}));
    TRY(to.account.mark_applied(to.peer, applied));
    for (const auto& [number, body] : to.bodies) TRY(to.account.release(body));
    for (const auto& [number, mail] : to.appended)
        TRY(to.account.release({mail.message.object, mail.message.hold}));
    return settle_state(to);
}

}  // namespace fwmail::service
