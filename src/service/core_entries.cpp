#include "service/core_entries.hpp"

#include "crypto/hash.hpp"
#include "service/flag_entries.hpp"
#include "service/home.hpp"
#include "store/epochs.hpp"
#include "store/provisional.hpp"
#include "store/resealed.hpp"
#include "store/stated.hpp"
#include "sync/link.hpp"

namespace fwmail::service {
namespace {

UidSet all_uids() {
    UidSet all;
    all.add(1, UINT32_MAX);
    return all;
}

Result<UidSet> without_given_up(store::AccountStore& account, MailboxId mailbox, UidSet uids) {
    for (const auto& i : TRY(store::all_given_up(account, mailbox)).list()) uids.remove(i.first, i.last);
    return uids;
}

// False: it cannot be applied yet and must come again.
Result<bool> apply_entry(AtRemote& to, const sync::MailboxEntry& entry) {
    if (sync::is_ahead(entry.named, to.now) || sync::is_ahead(entry.used, to.now)) {
        to.ahead = true;
        return false;
    }
    auto known = TRY(to.account.find_mailbox(entry.mailbox));
    if (entry.deleted && known && !known->deleted)
        TRY(keep_said_flags(to.account, to.peer, entry.mailbox, all_uids(), to.now));
    auto word = mailbox_word(entry);
    // What has been sealed anew is shown under it, so all of that must have been told.
    bool raised =
        known && known->sealed_uidvalidity.value && word.sealed_uidvalidity > known->sealed_uidvalidity;
    if (raised) word.sealed_uidvalidity = {};
    TRY(store::take_from_core(to.account, word, to.now));
    if (!raised) return true;
    if (!to.in_order) return false;
    TRY(store::expect_uidvalidity(to.account, entry.mailbox, entry.sealed_uidvalidity));
    return true;
}

Result<bool> apply_entry(AtRemote& to, const sync::SubscriptionEntry& entry) {
    auto applied = TRY(apply_subscription_entry(to.account, to.peer, entry, to.now));
    to.ahead |= applied.ahead;
    return !applied.ahead;
}

// Makes sure that there is a mailbox to work in. False: it has been deleted, and what is said of it is past.
Result<bool> need_mailbox(AtRemote& to, MailboxId id) {
    if (auto known = TRY(to.account.find_mailbox(id))) return !known->deleted;
    store::Mailbox placeholder;  // its own entry is still on the way
    placeholder.id = id;
    placeholder.name = id.hex();
    placeholder.created = to.now;
    TRY(to.account.upsert_mailbox(placeholder));
    return true;
}

Result<bool> apply_entry(AtRemote& to, const sync::MessageEntry& entry) {
    if (!TRY(need_mailbox(to, entry.mailbox))) return true;
    store::PendingMessage message;
    message.mailbox = entry.mailbox;
    message.uid = entry.uid;
    message.prev_uid = entry.prev_uid;
    message.email_id = entry.email;
    message.size = entry.sealed_size;
    message.sha256 = crypto::view_of(entry.sealed_sha256);
    message.date = entry.internal_date;
    message.zone_minutes = entry.zone_minutes;
    sync::FlagState state{entry.flags, entry.registers};
    bool ahead = sync::drop_ahead(state, to.now);
    to.ahead |= ahead;
    message.flags = state.flags;
    message.registers = state.registers;
    message.arrived = to.now;
    // One that is known has the flags of its first word: what was changed since is in the second.
    if (TRY(to.account.insert_pending(message))) return !ahead;
    UidSet uid;
    uid.add(entry.uid.value);
    if (!TRY(store::unconfirmed(to.account, entry.mailbox, uid)).empty()) return false;
    // A message that was filed here under this number is another one: core has given up its own.
    auto shown = TRY(to.account.load_messages(entry.mailbox, uid, store::column_identity, 1));
    if (shown.empty() || shown[0].email_id == entry.email)
        TRY(to.account.merge_flags(to.peer, entry.mailbox, entry.uid, state));
    return !ahead;
}

Result<bool> apply_entry(AtRemote& to, const sync::ChunkEntry& entry) {
    if (is_whole(entry)) return true;  // stored already, by its content's name
    TRY(to.account.insert_chunk(entry.email, crypto::view_of(entry.sealed_sha256), entry.offset, entry.total,
                                entry.data));
    return true;
}

Result<bool> apply_entry(AtRemote& to, const sync::FlagsEntry& entry) {
    if (!TRY(need_mailbox(to, entry.mailbox))) return true;
    UidSet uid;
    uid.add(entry.uid.value);
    if (!TRY(store::unconfirmed(to.account, entry.mailbox, uid)).empty()) return false;
    // Of core's own message of that number, which has another one by now.
    if (!TRY(without_given_up(to.account, entry.mailbox, uid)).contains(entry.uid.value)) return true;
    auto applied = TRY(
        apply_flags(to.account, to.peer, entry.mailbox, entry.uid, {entry.flags, entry.registers}, to.now));
    to.ahead |= applied.ahead;
    if (applied.merged != store::Merged::unknown) return !applied.ahead;
    // Gone; or its message has not come: then it must come again.
    auto mailbox = TRY(to.account.find_mailbox(entry.mailbox));
    return !mailbox || entry.uid <= mailbox->visible;
}

Result<bool> apply_entry(AtRemote& to, const sync::ExpungeEntry& entry) {
    bool there = TRY(need_mailbox(to, entry.mailbox));
    UidSet waiting = TRY(store::unconfirmed(to.account, entry.mailbox, entry.uids)), uids = entry.uids;
    // All below the first message that was to come: not by parts.
    if (there && !waiting.empty() && entry.uids.list()[0].first == 1) return false;
    for (const auto& i : waiting.list()) uids.remove(i.first, i.last);
    if (there) TRY(to.account.set_pending_gone(entry.mailbox, uids, to.now));
    uids = TRY(without_given_up(to.account, entry.mailbox, std::move(uids)));
    UidSet moved = uids.intersection(entry.moved);
    for (const auto& i : moved.list()) uids.remove(i.first, i.last);
    TRY(leave_unless_kept(to.account, {to.peer}, entry.mailbox, std::move(moved), to.now));
    TRY(keep_said_flags(to.account, to.peer, entry.mailbox, uids, to.now));
    TRY(to.account.expunge_any(entry.mailbox, uids));
    if (there && entry.prev_uid.value) {  // it stands in for the message entry of the first of these
        store::PendingMessage gone;
        gone.mailbox = entry.mailbox;
        gone.uid = Uid{entry.uids.list().front().first};
        gone.prev_uid = entry.prev_uid;
        gone.arrived = to.now;
        gone.state = store::BodyState::gone;
        TRY(to.account.insert_pending(gone));
    }
    return waiting.empty();
}

Result<bool> apply_entry(AtRemote& to, const sync::ConfirmEntry& entry) {
    TRY(take_confirmation(to.account, to.peer, {entry.mailbox, entry.uid}, {entry.now, entry.now_uid},
                          to.now));
    return true;
}

Result<bool> apply_entry(AtRemote& to, const sync::ReturnEntry& entry) {
    TRY(plan_returns_home(to.account, to.peer, entry, to.bodies, to.chunk_octets, to.now));
    return true;
}

Result<bool> apply_entry(AtRemote& to, const sync::ResealedEntry& entry) {
    if (!TRY(need_mailbox(to, entry.mailbox))) return true;
    return store::expect_resealed(to.account, entry, to.now);
}

Result<bool> apply_entry(AtRemote&, const sync::AccountEntry&) { return true; }  // system.db's
Result<bool> refuse_entry() { return fail(ErrorKind::internal, "an entry that apply() refuses"); }
Result<bool> apply_entry(AtRemote&, const sync::StubbedEntry&) { return refuse_entry(); }
Result<bool> apply_entry(AtRemote&, const sync::CopyRequestEntry&) { return refuse_entry(); }
Result<bool> apply_entry(AtRemote&, const sync::AppendRequestEntry&) { return refuse_entry(); }
Result<bool> apply_entry(AtRemote&, const sync::StateEntry&) { return refuse_entry(); }
Result<bool> apply_entry(AtRemote&, const sync::StatedEntry&) { return refuse_entry(); }
Result<bool> apply_entry(AtRemote&, const sync::UnknownEntry&) { return true; }

}  // namespace

bool is_stand_in(const store::Mailbox& mailbox) {
    return mailbox.name == mailbox.id.hex() && mailbox.named == sync::Stamp{};
}

bool only_a_remote_sends(const sync::Entry& entry) {
    return std::holds_alternative<sync::StubbedEntry>(entry) ||
           std::holds_alternative<sync::StateEntry>(entry) ||
           std::holds_alternative<sync::StatedEntry>(entry) ||
           std::holds_alternative<sync::CopyRequestEntry>(entry) ||
           std::holds_alternative<sync::AppendRequestEntry>(entry);
}

Result<AppliedAtRemote> apply_core_entries(AtRemote& to, const sync::AccountSection& section) {
    AppliedAtRemote applied;
    if (!TRY(store::is_in_epoch(to.account, to.peer, section.epoch))) return applied;
    NumberSet known = TRY(to.account.load_applied(to.peer));
    sync::Incoming incoming{known};
    applied.numbers = incoming.reachable(section.voids);
    for (const auto& [number, entry] : section.entries) {
        auto arrival = incoming.classify(number);
        applied.all &= arrival != sync::Arrival::too_far;
        if (arrival != sync::Arrival::fresh) continue;
        if (std::holds_alternative<sync::MailboxEntry>(entry)) {
            NumberSet before = known;
            before.add(applied.numbers);
            to.in_order = before.contiguous_from_one() + 1 >= number.value;
        }
        // False: it cannot be applied yet, and must come again. Applying it twice does nothing.
        if (!TRY(std::visit([&](const auto& e) { return apply_entry(to, e); }, entry))) continue;
        applied.numbers.add(number.value);
        if (const auto* chunk = std::get_if<sync::ChunkEntry>(&entry))
            applied.arrived.insert({chunk->email, chunk->sealed_sha256});
    }
    return applied;
}

}  // namespace fwmail::service
