#include "service/resealing.hpp"

#include <algorithm>

#include "service/outbox_kinds.hpp"
#include "store/epochs.hpp"
#include "store/outside_numbers.hpp"
#include "store/resealed.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {

namespace {

// What tells of a new object and brings it.
void add_resealed(store::OutboxPlan& plan, MailboxId mailbox, const Resealed& one, std::size_t chunk,
                  UnixMillis now) {
    store::OutboxRow row;
    row.kind = outbox_resealed;
    row.mailbox = mailbox;
    row.uid = one.uid;
    row.object = one.object;
    row.email_id = one.email;
    row.due = now;
    row.replaces = true;
    plan.rows.push_back(row);
    add_chunks(plan, std::move(row), one.packed_size, chunk);
}

}  // namespace

Result<ResealBatch> next_to_reseal(store::AccountStore& account, const std::vector<NodeId>& peers,
                                   std::string_view recipe_end, const store::Place& at) {
    ResealBatch batch;
    for (auto peer : peers) {
        batch.waits |= TRY(store::awaited_state(account, peer)) > 0;
        // A remote takes nothing that is sealed to a key of which it has not heard.
        batch.waits |= TRY(account.waits_in_outbox(peer, outbox_account, MailboxId{}, Uid{}));
    }
    if (batch.waits) return batch;
    auto mailboxes = TRY(account.load_mailboxes());
    std::ranges::sort(mailboxes, {}, &store::Mailbox::id);
    for (const auto& mailbox : mailboxes) {
        if (mailbox.id < at.mailbox) continue;
        Uid after = mailbox.id == at.mailbox ? at.uid : Uid{};
        auto uids = TRY(store::sealed_otherwise(account, mailbox.id, recipe_end, after, reseal_batch + 1));
        if (uids.empty() && !TRY(store::is_partly_resealed(account, mailbox.id))) continue;
        batch.mailbox = mailbox.id;
        batch.last = uids.count() <= reseal_batch;
        batch.messages = TRY(account.load_messages(
            mailbox.id, uids,
            store::column_identity | store::column_size | store::column_date | store::column_seal,
            reseal_batch));
        break;
    }
    return batch;
}

Result<> save_resealed(store::AccountStore& account, const std::vector<NodeId>& peers, MailboxId mailbox,
                       const std::vector<Resealed>& resealed, bool last, std::size_t chunk, UnixMillis now) {
    auto there = TRY(account.find_mailbox(mailbox));
    if (!there || there->deleted) return {};
    std::vector<store::OutboxPlan> plans(peers.size());
    std::vector<Uid> planned;
    for (std::size_t i = 0; i < peers.size(); ++i) {
        plans[i].cursor = TRY(account.cursor(peers[i]));
        planned.push_back(TRY(account.planned(peers[i], mailbox)).last);
    }
    bool partly = TRY(store::is_partly_resealed(account, mailbox));
    for (const auto& one : resealed) {
        UidSet uid;
        uid.add(one.uid.value);
        auto rows = TRY(account.load_messages(mailbox, uid, store::column_seal, 1));
        if (rows.empty() || rows[0].seal.seed != one.before) continue;
        TRY(account.record_seal({mailbox, one.uid, one.seal}));
        partly = true;
        for (std::size_t i = 0; i < peers.size(); ++i)
            // Else it goes with the message itself; but what the peer has filed comes without its object.
            if (one.uid <= planned[i] || TRY(store::is_adopted(account, peers[i], {mailbox, one.uid})))
                add_resealed(plans[i], mailbox, one, chunk, now);
    }
    for (std::size_t i = 0; i < peers.size(); ++i)
        if (!plans[i].rows.empty()) TRY(account.append_outbox(peers[i], plans[i]));
    if (partly && last)
        TRY(account.set_uid_state(mailbox, UidValidity{}, TRY(account.next_uidvalidity()), Uid{}));
    return store::set_partly_resealed(account, mailbox, partly && !last);
}

void add_chunks(store::OutboxPlan& plan, store::OutboxRow row, std::uint64_t packed_size, std::size_t chunk) {
    row.kind = outbox_chunk;
    row.replaces = false;
    for (const auto& stretch : sync::split_object(packed_size, chunk)) {
        row.offset = stretch.offset;
        row.length = stretch.size;
        plan.rows.push_back(row);
    }
}

}  // namespace fwmail::service
