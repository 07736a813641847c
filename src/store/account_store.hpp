// accounts/<hex>.db: mailboxes, messages and replication state of one account.
//
// Every call blocks and is atomic: it joins the open transaction (the executor's batch) or makes one of its
// own. Nothing is cached in memory. One thread at a time.
//
// Modseqs: one account-wide counter; each changed message, expunge and mailbox row takes a value of its own,
// so that "the next N changes after this modseq" never splits a group. RFC 7162 3.1 is satisfied by that.
//
// Bodies lie in system.db, where each message row holds its body by its HoldId. Take the reference there
// first (spooled mail has it), then insert here. What goes here is journalled in `released`, in the same
// transaction: load_pending_releases, SystemStore::release_references, forget_releases, each repeatable.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "store/system_store.hpp"
#include "store/types.hpp"
#include "sync/epoch.hpp"

namespace fwmail::store {

class AccountStore {
  public:
    // Read-write makes and migrates the file; `now` starts the uidvalidity counter. A file of a newer program
    // is a usage error, a file of another account an internal one. `life`: of the process, where it gives
    // numbers.
    static Result<std::unique_ptr<AccountStore>> open(const std::filesystem::path& data_dir,
                                                      AccountId account, UnixMillis now,
                                                      Access access = Access::read_write,
                                                      const sync::Life& life = {});
    static std::filesystem::path path_of(const std::filesystem::path& data_dir, AccountId account);
    ~AccountStore();

    Result<ModSeq> highest_modseq();
    // A new value of the account-wide rising counter.
    Result<UidValidity> next_uidvalidity();
    // The caller's own small values (shadow states, watermarks).
    Result<std::optional<std::string>> value(std::string_view name);
    Result<void> set_value(std::string_view name, std::string_view value);
    // Values that are counters, from 0.
    Result<std::uint64_t> counter(std::string_view name);
    Result<void> count_up(std::string_view name);

    // ---- mailboxes. `inbox` in any case is INBOX. Unknown ones are refused.
    Result<Mailbox> create_mailbox(std::string_view name, std::string_view special_use, UnixMillis now,
                                   std::optional<MailboxId> id = std::nullopt,
                                   std::optional<UidValidity> uidvalidity = std::nullopt);
    // As another node gives it: id, names, special_use, stamps, both uidvalidities, created, deleted, became,
    // read_only are taken over; uidnext only upwards. A name that another live mailbox has is refused.
    Result<Mailbox> upsert_mailbox(const Mailbox& mailbox);
    // With its inferiors, which is refused when a new name is taken or lies below the old one. Returns all
    // that were renamed.
    Result<std::vector<MailboxId>> rename_mailbox(std::string_view from, std::string_view to,
                                                  const Author& author);
    // Expunges all messages but these, which stay in it unseen. Inferiors stay.
    Result<void> delete_mailbox(MailboxId id, const UidSet& kept = {});
    Result<void> set_special_use(MailboxId id, std::string_view special_use);
    Result<void> set_read_only(MailboxId id, bool read_only);
    // Zero leaves that one alone; uidnext never goes down.
    Result<void> set_uid_state(MailboxId id, UidValidity uidvalidity, UidValidity sealed, Uid uidnext);
    // ---- subscriptions: of names, which need not be those of mailboxes (RFC 9051 6.3.7)
    // True: that is a change. Refused, [LIMIT], when very many names have been given.
    Result<bool> set_subscribed(std::string_view name, bool subscribed, const Author& author);
    // What a peer says; its stamp is kept as it is. What would be too many names is not taken.
    Result<Merged> merge_subscription(NodeId peer, std::string_view name, const sync::Subscription& theirs);
    Result<std::optional<sync::Subscription>> find_subscription(std::string_view name);
    Result<std::vector<std::string>> load_subscriptions();  // those that are on, by name
    Result<std::vector<ChangedSubscription>> subscriptions_changed_since(ModSeq since,
                                                                         NodeId but_by = NodeId{});

    // Of all mailboxes, from sums that are kept up.
    Result<Usage> usage();
    // Refused, [OVERQUOTA], when `more` does not fit.
    Result<void> check_quota(const Quota& quota, const Usage& more);
    // Refused, [LIMIT], when there are so many already, or ten times as many have been. 0: no limit.
    Result<void> check_mailbox_count(std::uint64_t most);
    Result<std::vector<Mailbox>> load_mailboxes();                       // live, by name
    Result<std::optional<Mailbox>> find_mailbox(std::string_view name);  // live
    Result<std::optional<Mailbox>> find_mailbox(MailboxId id);           // deleted ones too
    // For a read-write SELECT: returns the first UID that is \Recent for it, and counts all as seen.
    Result<Uid> claim_recent(MailboxId id);

    // ---- messages
    // Idempotent by hold: one that was applied before is answered with the UID that it got then.
    Result<std::vector<Delivered>> deliver(const std::vector<NewMessage>& messages);
    // Once their spool rows are gone.
    Result<void> forget_deliveries(const std::vector<DeliveryId>& ids);
    Result<Uid> append(const NewMessage& message);
    Result<std::vector<Uid>> append(const std::vector<NewMessage>& messages);  // all or none
    // As append, in one transaction with the note that `key` is transferred. Nothing: it was already.
    Result<std::optional<Uid>> append_transferred(const NewMessage& message, std::string_view key);
    Result<bool> is_transferred(std::string_view key);
    Result<void> note_transferred(std::string_view key);
    // Copying: plan_copy (reads, gives each copy a hold), SystemStore::add_references, copy. What is gone by
    // then is left out and its hold released.
    Result<std::vector<CopyItem>> plan_copy(MailboxId from, const UidSet& uids, UnixMillis now);
    Result<std::vector<UidPair>> copy(MailboxId from, const std::vector<CopyItem>& items, MailboxId to,
                                      UnixMillis now);
    // The row moves with its hold and its flags' stamps; `to` may be `from`, which renumbers. The old UIDs
    // are expunged, and it is known what they became. `author`: who has decided where the message is from now
    // on; none: it is only given another number.
    Result<std::vector<UidPair>> move(MailboxId from, const UidSet& uids, MailboxId to, UnixMillis now,
                                      std::optional<Author> author = std::nullopt);
    // When the message was moved to where it is; zero: never.
    Result<sync::Stamp> placed(const Place& place);
    // All that one call changes has one stamp.
    Result<StoreResult> store_flags(MailboxId mailbox, const UidSet& uids, StoreMode mode,
                                    const FlagSet& flags, const Author& author,
                                    std::optional<ModSeq> unchanged_since = std::nullopt);
    // What a peer says of a message's flags, a pending one's too; its stamps are kept as they are. Zero: of
    // one that it knows by another number, so that it is told as well.
    Result<Merged> merge_flags(NodeId peer, MailboxId mailbox, Uid uid, const sync::FlagState& theirs);
    // Without `uids`: all that are \Deleted. With: those of them that are \Deleted.
    Result<ExpungeResult> expunge(MailboxId mailbox, std::optional<UidSet> uids = std::nullopt);
    // Whatever their flags; of a deleted mailbox what is kept in it.
    Result<ExpungeResult> expunge_any(MailboxId mailbox, const UidSet& uids);

    // `known`: an earlier one. While its modseq still stands the rows are not read again.
    Result<Snapshot> select_snapshot(MailboxId mailbox, const Snapshot* known = nullptr);
    Result<MailboxStatus> status(MailboxId mailbox);
    Result<Changes> changes_since(MailboxId mailbox, ModSeq since);
    // Changed after `since`; expunged after it, but not after `until`. Reads only what changed.
    Result<ChangedUids> changed_uids(MailboxId mailbox, ModSeq since, ModSeq until);
    // By UID, at most `limit`, above `after`; of a deleted mailbox what is kept in it. `columns`:
    // MessageColumns. Page on with the last UID.
    Result<std::vector<Message>> load_messages(MailboxId mailbox, const UidSet& uids, std::uint32_t columns,
                                               std::size_t limit, Uid after = Uid{});
    // Calls `take` with each of these messages, by UID, above `after`, until it says false; returns whether
    // there were no more. It may move out what it wants.
    Result<bool> visit_messages(MailboxId mailbox, const UidSet& uids, std::uint32_t columns, Uid after,
                                const std::function<Result<bool>(Message&)>& take);
    // Likewise.
    Result<bool> visit_keys(MailboxId mailbox, const UidSet& uids, Uid after, bool with_keys,
                            const std::function<Result<bool>(const KeyRow&)>& take);
    // What the search index has not seen: by storage id, above `after`, at most `limit`, with identity, size
    // and parts.
    Result<std::vector<Message>> load_unindexed(std::int64_t after, std::size_t limit);
    Result<std::vector<std::pair<std::int64_t, ObjectId>>> load_storage_ids(std::int64_t after,
                                                                            std::size_t limit);
    Result<std::uint64_t> count_after(std::int64_t storage_id);

    // Where a message lies: (mailbox, uid) of every row with this EmailId.
    Result<std::vector<ChangedMessage>> find_by_email_id(EmailId id);
    // uid_map: from this node's own storage id to core's UID.
    Result<std::optional<ChangedMessage>> find_by_storage_id(std::int64_t storage_id);
    Result<void> record_seal(const SealRecord& record);

    // ---- references
    // One that was taken in system.db and is not used.
    Result<void> release(const Reference& reference);
    // `before`: those only that date_releases had seen by then.
    Result<std::vector<Reference>> load_pending_releases(std::size_t limit,
                                                         std::optional<UnixMillis> before = std::nullopt);
    Result<ReleasesWaiting> releases_waiting();
    Result<void> date_releases(UnixMillis now);
    Result<void> forget_releases(const std::vector<Reference>& references);
    Result<AccountReferences> load_references();

    // ---- the account-wide change list
    Result<std::vector<ExpungedMessage>> expunged_since(ModSeq since, std::size_t limit);
    // Without those in which this peer's own word was the last, and said all that there is; so also below.
    Result<std::vector<ChangedMessage>> messages_changed_since(ModSeq since, std::size_t limit,
                                                               NodeId but_by = NodeId{});
    Result<std::vector<Mailbox>> mailboxes_changed_since(
        ModSeq since, NodeId but_by = NodeId{});  // deleted ones too, by modseq

    // ---- replication, sending side
    Result<ModSeq> cursor(NodeId peer);
    Result<EntryNumber> next_number(NodeId peer);  // the one that the next row gets; does not take it
    // Everything in one transaction. Returns the numbers that the rows got.
    Result<std::vector<EntryNumber>> append_outbox(NodeId peer, const OutboxPlan& plan);
    Result<std::vector<OutboxRow>> load_outbox_due(NodeId peer, UnixMillis now, std::size_t limit);
    Result<std::vector<OutboxRow>> load_outbox(NodeId peer, const NumberSet& numbers, std::size_t limit);
    // Of these UIDs, those for which a row of this kind waits that replaces earlier ones.
    Result<UidSet> uids_in_outbox(NodeId peer, int kind, MailboxId mailbox, const UidSet& among);
    // Whether such a row waits for this message.
    Result<bool> waits_in_outbox(NodeId peer, int kind, MailboxId mailbox, Uid uid);
    Result<std::optional<UnixMillis>> next_outbox_due(NodeId peer);
    // Everything is due now, but for what was sent after `unless_sent_since`.
    Result<> hurry_outbox(NodeId peer, UnixMillis now, UnixMillis unless_sent_since);
    Result<void> mark_sent(NodeId peer, const NumberSet& numbers, UnixMillis when, UnixMillis next_due);
    Result<void> mark_void(NodeId peer, const NumberSet& numbers, UnixMillis due);
    // Returns how many rows went. Numbers that were never given out: see the caller's epoch rules; nothing
    // here.
    Result<std::size_t> acknowledge(NodeId peer, const NumberSet& numbers);
    Result<OutboxSummary> outbox_summary(NodeId peer, int message_kind);
    Result<Planned> planned(NodeId peer, MailboxId mailbox);
    Result<void> set_planned(NodeId peer, MailboxId mailbox, Planned planned);
    Result<bool> knows_peer(NodeId peer);
    // Forgets a peer's outbox, cursor, planned UIDs and applied numbers.
    Result<void> forget_peer(NodeId peer);

    // ---- replication, receiving side
    Result<bool> is_applied(NodeId peer, EntryNumber number);
    Result<void> mark_applied(NodeId peer, const NumberSet& numbers);
    Result<NumberSet> load_applied(NodeId peer);

    // False: not wanted, because the UID has been passed or the message is pending already (an unknown
    // prev_uid or identity is then filled in; a gone one stays gone).
    Result<bool> insert_pending(const PendingMessage& message);
    Result<std::optional<PendingMessage>> find_pending(MailboxId mailbox, Uid uid);
    Result<std::vector<PendingMessage>> find_pending(EmailId id);
    Result<std::vector<PendingMessage>> load_pending(BodyState state,
                                                     std::size_t limit);  // by arrival, no texts
    // The body has come (or the stub stands for it); its reference was taken in system.db before.
    Result<bool> set_pending_body(MailboxId mailbox, Uid uid, const PendingBody& body);
    // Expunged before it was shown. UIDs that are not pending yet, and above the watermark, are remembered.
    Result<void> set_pending_gone(MailboxId mailbox, const UidSet& uids, UnixMillis now);
    // Shows pending messages by UID as long as each one's predecessor is shown or gone and its own body is
    // there. Returns the UIDs that became visible.
    Result<std::vector<Uid>> advance_visible(MailboxId mailbox, UnixMillis now);

    // Pieces of objects that are not whole yet; one that is there already is left alone. The total must
    // agree.
    Result<void> insert_chunk(EmailId id, std::string_view sha256, std::uint64_t offset, std::uint64_t total,
                              std::string_view data);
    Result<ChunkCoverage> chunk_coverage(EmailId id, std::string_view sha256);
    // What is known from `offset` on, up to the end of the piece that holds it; empty: that octet is missing.
    Result<std::string> read_chunk(EmailId id, std::string_view sha256, std::uint64_t offset);
    Result<void> delete_chunks(EmailId id, std::string_view sha256);
    Result<std::uint64_t> piece_octets();  // of all pieces together
    // Deletes pieces that no message has waited for since `before`, as found by earlier calls. A piece may
    // come long before its message.
    Result<void> sweep_pieces(UnixMillis now, UnixMillis before);

    // ---- consistency
    // One sentence a problem; empty: all is well. `object_exists` is asked for each body that a row names.
    Result<std::vector<std::string>> check(const std::function<bool(ObjectId)>& object_exists);

    Database& database() { return *db_; }  // the executor's
    const sync::Life& life() const { return life_; }

  private:
    AccountStore(std::unique_ptr<Database> db, const sync::Life& life);
    std::unique_ptr<Database> db_;
    sync::Life life_;
};

}  // namespace fwmail::store
