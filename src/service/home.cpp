#include "service/home.hpp"

#include <algorithm>
#include <utility>

#include "service/imap_refusal.hpp"
#include "service/outbox_kinds.hpp"
#include "service/sealed_mail.hpp"
#include "store/elsewhere.hpp"
#include "store/provisional.hpp"
#include "store/stated.hpp"
#include "sync/entries.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {

std::vector<NodeId> home_of(const Node& node) {
    std::vector<NodeId> home;
    auto links = node.links.all();
    for (const auto& record : *links)
        if (record.link.role == "core") home.push_back(record.link.peer);
    return home;
}

namespace {

constexpr std::uint32_t returned_columns = store::column_identity | store::column_flags |
                                           store::column_registers | store::column_seal | store::column_size |
                                           store::column_date;

// Of the object that is shown; zero: none is.
sync::Sha256 sha256_of(const store::Seal& seal) {
    sync::Sha256 hash{};
    if (seal.sha256.size() == hash.size()) std::ranges::copy(seal.sha256, hash.begin());
    return hash;
}

Result<> plan_home(store::AccountStore& account, const std::vector<NodeId>& home,
                   std::vector<store::OutboxRow> rows) {
    if (rows.empty()) return {};
    for (auto core : home) {
        if (!TRY(account.knows_peer(core))) continue;  // another core's account
        store::OutboxPlan plan;
        plan.cursor = TRY(account.cursor(core));
        plan.rows = rows;
        TRY(account.append_outbox(core, plan));
    }
    return {};
}

// Flags that were set here since core has told of the message: they stand before core has heard of them.
Result<> carry_flags_over(store::AccountStore& account, MailboxId mailbox, const UidSet& leaving) {
    for (const auto& pair : TRY(store::successors(account, mailbox))) {
        if (!leaving.contains(pair.from.value)) continue;
        UidSet given;
        given.add(pair.from.value);
        for (auto& message :
             TRY(account.load_messages(mailbox, given, store::column_flags | store::column_registers, 1)))
            TRY(account.merge_flags(NodeId{}, mailbox, pair.to,
                                    {std::move(message.flags), std::move(message.registers)}));
    }
    return {};
}

// Core knows what has become of these: it hears of flags that were set on them since.
Result<> let_go(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                const UidSet& uids, UnixMillis now) {
    for (NodeId core : home) TRY(keep_said_flags(account, core, mailbox, uids, now));
    TRY(account.expunge_any(mailbox, uids));
    return {};
}

Result<> let_go_elsewhere(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                          const UidSet& uids, UnixMillis now) {
    TRY(let_go(account, home, mailbox, uids, now));
    return store::note_elsewhere(account, mailbox, uids);
}

// What was kept goes where the message is seen elsewhere now.
Result<> let_go_seen(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                     const std::vector<Uid>& shown, UnixMillis now) {
    for (const auto& [from, uids] : TRY(store::seen_elsewhere(account, mailbox, shown)))
        TRY(let_go_elsewhere(account, home, from, uids, now));
    return {};
}

Result<> leave_given_up(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                        UnixMillis now) {
    UidSet leaving;
    for (const auto& number : TRY(store::given_up(account, mailbox)))
        if (number.leaving) leaving.add(number.given.value);
    if (leaving.empty()) return {};
    TRY(carry_flags_over(account, mailbox, leaving));
    return leave_unless_kept(account, home, mailbox, std::move(leaving), now);
}

}  // namespace

bool takes_changes(const Node& node) { return node.is_core() || !home_of(node).empty(); }

Result<> plan_flags_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                         const std::vector<store::FlagRow>& rows, UnixMillis now) {
    UidSet uids;
    for (const auto& changed : rows) uids.add(changed.uid.value);
    UidSet waiting = TRY(store::unconfirmed(account, mailbox, uids));
    std::vector<store::OutboxRow> out;
    store::OutboxRow row;
    row.kind = outbox_flags;
    row.mailbox = mailbox;
    row.due = now;
    row.replaces = true;
    for (const auto& changed : rows) {
        if (!changed.changed || waiting.contains(changed.uid.value)) continue;
        row.uid = changed.uid;
        out.push_back(row);
    }
    return plan_home(account, home, std::move(out));
}

Result<> plan_expunge_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                           const std::vector<Uid>& uids, UnixMillis now) {
    std::vector<store::OutboxRow> out;
    UidSet set;
    auto flush = [&] {
        store::OutboxRow row;
        row.kind = outbox_expunge;
        row.mailbox = mailbox;
        row.due = now;
        row.payload = sync::encode_entry(sync::ExpungeEntry{mailbox, std::exchange(set, {}), Uid{}});
        out.push_back(std::move(row));
    };
    UidSet all;
    for (auto uid : uids) all.add(uid.value);
    UidSet waiting = TRY(store::unconfirmed(account, mailbox, all));
    TRY(store::note_expunged(account, mailbox, waiting));
    for (auto uid : uids) {
        if (waiting.contains(uid.value)) continue;
        set.add(uid.value);
        if (set.list().size() == sync::max_uid_intervals) flush();
    }
    if (!set.empty()) flush();
    TRY(plan_home(account, home, std::move(out)));
    return store::drop_unwanted_bodies(account, mailbox, all);
}

Result<> plan_mailboxes_home(store::AccountStore& account, const std::vector<NodeId>& home,
                             const std::vector<MailboxId>& ids, UnixMillis now) {
    std::vector<store::OutboxRow> out;
    for (auto id : ids) {
        store::OutboxRow row;
        row.kind = outbox_mailbox;
        row.mailbox = id;
        row.due = now;
        row.replaces = true;
        out.push_back(row);
    }
    return plan_home(account, home, std::move(out));
}

Result<> plan_subscription_home(store::AccountStore& account, const std::vector<NodeId>& home,
                                std::string_view name, UnixMillis now) {
    store::OutboxRow row;
    row.kind = outbox_subscription;
    row.payload = name;
    row.due = now;
    return plan_home(account, home, {row});
}

Result<> plan_copies_home(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId from,
                          MailboxId to, const std::vector<store::UidPair>& pairs, bool moved,
                          UnixMillis now) {
    std::vector<store::OutboxRow> out;
    UidSet uids;
    for (const auto& pair : pairs) uids.add(pair.to.value);
    auto copies = TRY(account.load_messages(
        to, uids, store::column_identity | store::column_flags | store::column_registers | store::column_seal,
        pairs.size()));
    if (copies.size() != pairs.size()) return fail(ErrorKind::internal, "a copy has vanished");
    UidSet originals;
    for (const auto& pair : pairs) originals.add(pair.from.value);
    UidSet waiting = TRY(store::unconfirmed(account, from, originals));
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const auto& copy = copies[i];
        // Of a stub: when the message comes it would stand beside it.
        if (copy.seal.state != store::SealState::sealed)
            return fail(coded(ErrorKind::refused, "CANNOT",
                              "A message that has not arrived here yet is neither copied nor moved"));
        TRY(store::note_provisional(account, {to, copy.uid}, copy.email_id, {}, now));
        store::OutboxRow row;
        row.kind = outbox_copy;
        row.mailbox = to;
        row.uid = copy.uid;
        row.due = now;
        row.payload = sync::encode_entry(
            sync::CopyRequestEntry{from, pairs[i].from, copy.email_id, to, copy.uid,
                                   moved ? TRY(account.placed({to, copy.uid})) : sync::Stamp{}, copy.flags,
                                   copy.registers, sha256_of(copy.seal)});
        if (waiting.contains(pairs[i].from.value))
            TRY(store::hold_request(account, {to, copy.uid}, {from, pairs[i].from}, row.payload));
        else
            out.push_back(std::move(row));
    }
    TRY(show_arrived(account, home, to, now));  // core's message of such a number holds up nothing any more
    return plan_home(account, home, std::move(out));
}

namespace {

// Core has told twice of a number, and the message has gone on in between: what it told of that may be among
// what a core that was restored does not tell any more.
Result<> leave_confirmed(store::AccountStore& account, NodeId core, const store::Place& place,
                         const store::Place& now_at, UnixMillis now) {
    if (now_at == place || !TRY(account.find_mailbox(place.mailbox))) return {};
    UidSet uid;
    uid.add(place.uid.value);
    if (now_at.uid == Uid{}) return let_go(account, {core}, place.mailbox, uid, now);
    for (const auto& number : TRY(store::given_up(account, place.mailbox)))
        if (number.given == place.uid) return {};  // it stays until it has come
    return leave_unless_kept(account, {core}, place.mailbox, std::move(uid), now);
}

}  // namespace

Result<> take_confirmation(store::AccountStore& account, NodeId core, const store::Place& place,
                           const store::Place& now_at, UnixMillis now) {
    UidSet uid;
    uid.add(place.uid.value);
    std::vector<store::OutboxRow> out;
    store::OutboxRow row;
    row.due = now;
    // Flags that were set meanwhile may have come too late for the request.
    if (auto known = TRY(account.find_mailbox(place.mailbox));
        known && !TRY(store::unconfirmed(account, place.mailbox, uid)).empty()) {
        auto found =
            TRY(account.load_messages(place.mailbox, uid, store::column_flags | store::column_registers, 1));
        if (!found.empty() && !found[0].registers.empty()) {
            row.kind = outbox_said;
            row.payload = sync::encode_entry(
                sync::FlagsEntry{place.mailbox, place.uid, found[0].flags, found[0].registers});
            out.push_back(row);
        }
    }
    auto confirmed = TRY(store::confirm(account, place, now_at, now));
    if (!confirmed) return leave_confirmed(account, core, place, now_at, now);
    TRY(leave_given_up(account, {core}, place.mailbox, now));
    if (confirmed->leaves) TRY(leave_unless_kept(account, {core}, place.mailbox, uid, now));
    if (now_at == place) TRY(let_go_seen(account, {core}, place.mailbox, {place.uid}, now));
    if (confirmed->expunged) {
        row.kind = outbox_expunge;
        row.mailbox = place.mailbox;
        row.payload = sync::encode_entry(sync::ExpungeEntry{place.mailbox, uid, Uid{}});
        out.push_back(row);
    }
    for (auto& request : confirmed->requests) {
        row.kind = outbox_copy;
        row.mailbox = request.place.mailbox;
        row.uid = request.place.uid;
        row.payload = std::move(request.octets);
        out.push_back(row);
    }
    return plan_home(account, {core}, std::move(out));
}

// The request comes last: with it all is there.
void add_chunks(std::vector<store::OutboxRow>& rows, const store::OutboxRow& request_row,
                const sync::AppendRequestEntry& request, ObjectId body, std::size_t chunk_octets) {
    store::OutboxRow row = request_row;
    row.kind = outbox_home_chunk;
    row.object = body;
    for (const auto& stretch : sync::split_object(request.size, chunk_octets)) {
        row.offset = stretch.offset;
        row.length = stretch.size;
        rows.push_back(row);
    }
}

Result<> plan_appends_home(store::AccountStore& account, const std::vector<NodeId>& home,
                           std::vector<AppendedHere> appended, const std::vector<Uid>& uids,
                           std::size_t chunk_octets, UnixMillis now) {
    std::vector<store::OutboxRow> out;
    for (std::size_t i = 0; i < appended.size(); ++i) {
        auto& [request, body] = appended[i];
        request.uid = uids[i];
        TRY(store::note_provisional(account, {request.mailbox, request.uid}, request.email, body, now));
        store::OutboxRow row;
        row.kind = outbox_append;
        row.mailbox = request.mailbox;
        row.uid = request.uid;
        row.object = body.object;
        row.email_id = request.email;
        row.due = now;
        row.payload = sync::encode_entry(request);
        add_chunks(out, row, request, body.object, chunk_octets);
        out.push_back(std::move(row));
    }
    if (!appended.empty()) TRY(show_arrived(account, home, appended[0].request.mailbox, now));
    return plan_home(account, home, std::move(out));
}

Result<> plan_returns_home(store::AccountStore& account, NodeId core, const sync::ReturnEntry& wanted,
                           std::map<store::Place, store::Reference>& bodies, std::size_t chunk_octets,
                           UnixMillis now) {
    auto known = TRY(account.find_mailbox(wanted.mailbox));
    if (!known) return {};
    UidSet uids = wanted.bodies;
    uids.add(wanted.copies);
    // Those that wait to be confirmed among them: core has lost the original.
    UidSet gone = uids;
    std::vector<store::OutboxRow> copies;
    for (auto& message : TRY(account.load_messages(wanted.mailbox, uids, returned_columns, SIZE_MAX >> 1))) {
        gone.remove(message.uid.value, message.uid.value);
        if (message.seal.state != store::SealState::sealed) continue;
        store::Place place{wanted.mailbox, message.uid};
        if (wanted.copies.contains(message.uid.value)) {
            TRY(store::forget_provisional(account, place));
            TRY(store::note_provisional(account, place, message.email_id, {}, now));
            store::OutboxRow row;
            row.kind = outbox_copy;
            row.mailbox = place.mailbox;
            row.uid = place.uid;
            row.due = now;
            row.payload = sync::encode_entry(sync::CopyRequestEntry{place.mailbox,
                                                                    place.uid,
                                                                    message.email_id,
                                                                    place.mailbox,
                                                                    place.uid,
                                                                    {},
                                                                    message.flags,
                                                                    message.registers,
                                                                    sha256_of(message.seal)});
            copies.push_back(std::move(row));
            continue;
        }
        auto body = bodies.extract(place);
        if (!body) continue;
        TRY(store::forget_provisional(account, place));
        AppendedHere appended{{}, body.mapped()};
        auto& request = appended.request;
        request.kind = sync::AppendRequestEntry::returned;
        request.mailbox = place.mailbox;
        request.email = message.email_id;
        request.sealed_size = message.size;
        request.sealed_sha256 = sha256_of(message.seal);
        request.size = size_as_it_is(message.size);
        request.internal_date = message.date;
        request.zone_minutes = static_cast<std::int16_t>(message.zone_minutes);
        request.flags = message.flags;
        request.registers = message.registers;
        TRY(plan_appends_home(account, {core}, {appended}, {message.uid}, chunk_octets, now));
    }
    TRY(plan_home(account, {core}, std::move(copies)));
    // What waits to be confirmed, and has gone on from here, is asked for where it is now.
    for (const auto& i : TRY(store::unconfirmed(account, wanted.mailbox, gone)).list())
        for (auto uid = i.first; uid <= i.last; ++uid)
            TRY(take_confirmation(account, core, {wanted.mailbox, Uid{uid}}, {wanted.mailbox, Uid{}}, now));
    return {};
}

Result<> leave_unless_kept(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                           UidSet uids, UnixMillis now) {
    for (const auto& i : TRY(store::keep_unseen(account, mailbox, uids, now)).list())
        uids.remove(i.first, i.last);
    if (uids.empty()) return {};
    return let_go_elsewhere(account, home, mailbox, uids, now);
}

Result<> keep_said_flags(store::AccountStore& account, NodeId core, MailboxId mailbox, const UidSet& uids,
                         UnixMillis now) {
    UidSet said = TRY(account.uids_in_outbox(core, outbox_flags, mailbox, uids));
    if (said.empty()) return {};
    store::OutboxPlan plan;
    plan.cursor = TRY(account.cursor(core));
    for (const auto& message : TRY(account.load_messages(
             mailbox, said, store::column_flags | store::column_registers, said.count()))) {
        store::OutboxRow row;
        row.kind = outbox_said;
        row.payload =
            sync::encode_entry(sync::FlagsEntry{mailbox, message.uid, message.flags, message.registers});
        row.due = now;
        plan.rows.push_back(std::move(row));
    }
    TRY(account.append_outbox(core, plan));
    return {};
}

Result<> show_arrived(store::AccountStore& account, const std::vector<NodeId>& home, MailboxId mailbox,
                      UnixMillis now) {
    auto known = TRY(account.find_mailbox(mailbox));
    if (!known || known->deleted) return {};
    auto shown = TRY(account.advance_visible(mailbox, now));
    TRY(leave_given_up(account, home, mailbox, now));
    return let_go_seen(account, home, mailbox, shown, now);
}

void wake_sender(Node& node, AccountId account) {
    node.hub.outbox_changed(account);
    node.link_wake.notify();
}

}  // namespace fwmail::service
