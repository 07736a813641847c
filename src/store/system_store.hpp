// system.db: settings, users, links, bodies, spool and queue of one data directory.
//
// Every call blocks and is atomic: it joins the open transaction (the executor's batch) or makes one of its
// own. Nothing is cached in memory, so that a rollback leaves nothing behind. One thread at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string_view>

#include "base/result.hpp"
#include "store/types.hpp"

namespace fwmail::store {

class Database;
enum class Access { read_write, read_only };

class SystemStore {
  public:
    // Read-write makes and migrates the file, and forgets the queue's leases: hold the Lock. A file of a
    // newer program is a usage error. Read-only wants the file to exist.
    static Result<std::unique_ptr<SystemStore>> open(const std::filesystem::path& data_dir,
                                                     Access access = Access::read_write);
    ~SystemStore();

    // What `work` does to this file is committed as one; its error undoes it.
    Result<void> together(const std::function<Result<void>()>& work);

    // ---- settings
    Result<std::optional<std::string>> setting(std::string_view name);
    Result<void> set_setting(std::string_view name, std::string_view value);
    Result<void> remove_setting(std::string_view name);

    // ---- users. Names and addresses are compared ignoring ASCII case; one that is taken is refused.
    Result<void> add_user(const User& user, const std::vector<std::string>& addresses = {});
    Result<void> set_user_state(AccountId account, UserState state);
    // Without a value the configuration's holds.
    Result<void> set_user_limits(AccountId account, std::optional<std::uint64_t> octets,
                                 std::optional<std::uint64_t> messages);
    Result<std::optional<User>> find_user(std::string_view name);
    Result<std::optional<User>> find_user(AccountId account);
    Result<std::optional<User>> find_user_by_address(std::string_view address);
    Result<std::vector<User>> load_users();
    Result<void> add_address(AccountId account, std::string_view address);
    Result<void> remove_address(std::string_view address);
    Result<std::vector<std::string>> load_addresses(AccountId account);
    // An address that a user has is refused. Targets that are there already stay.
    Result<void> add_alias(std::string_view address, const std::vector<std::string>& targets);
    // Without targets: all of it.
    Result<void> remove_alias(std::string_view address, const std::vector<std::string>& targets = {});
    Result<std::vector<Alias>> load_aliases();

    Result<std::int64_t> add_credential(const Credential& credential);  // returns its id
    Result<std::vector<Credential>> load_credentials(AccountId account);
    Result<void> revoke_credential(std::int64_t id, UnixMillis when);
    Result<void> add_key(const UserKey& key);
    Result<std::vector<UserKey>> load_keys(AccountId account);  // newest first
    // The new key takes the place of all others, which are kept, retired since it was created.
    Result<void> rotate_key(const UserKey& key);
    // Everything has been sealed anew to this key.
    Result<void> finish_resealing(AccountId account, std::string_view fingerprint);
    Result<void> retire_key(AccountId account, std::string_view fingerprint, UnixMillis when);

    // ---- links
    // Inserts or replaces everything but the counters, times and last error, which note_link_mail keeps.
    Result<void> save_link(const Link& link);
    Result<void> remove_link(NodeId peer);
    Result<std::optional<Link>> find_link(NodeId peer);
    Result<std::optional<Link>> find_link(std::string_view name);
    Result<std::vector<Link>> load_links();
    // Counts the mail. `error` becomes the link's last error when it is not empty; sent and received clear it
    // else.
    Result<void> note_link_mail(NodeId peer, LinkEvent event, UnixMillis when, std::string_view error = {});
    // The newest 1000 are kept.
    Result<void> add_refusal(UnixMillis when, std::string_view what, std::string_view reason);
    Result<std::vector<Refusal>> load_refusals(std::size_t limit);  // newest first

    // ---- bodies: immutable octets under an id, compressed where that pays, in chunks of chunk_size
    // False: a complete object lies there already and is left alone. True: write it from chunk 0 on; what an
    // unfinished attempt left is thrown away.
    Result<bool> begin_object(ObjectId id, UnixMillis now);
    // In order from 0; all but the last have chunk_size octets. One that has come already is left alone.
    Result<void> append_chunk(ObjectId id, std::uint32_t index, std::string_view octets,
                              Packing packing = Packing::if_it_pays);
    // Makes it readable; `size` must be what was appended.
    Result<void> finish_object(ObjectId id, std::uint64_t size);
    // All of it in one call, of any size; meant for up to chunk_size.
    Result<void> put_object(ObjectId id, std::string_view octets, UnixMillis now,
                            Packing packing = Packing::if_it_pays);
    Result<std::optional<ObjectInfo>> find_object(ObjectId id);
    // Octets [offset, offset + length), fewer at the end. Unknown or unfinished objects are an internal
    // error.
    Result<std::string> read_object(ObjectId id, std::uint64_t offset, std::uint64_t length);

    // A body lives while someone holds it. Both calls may be repeated. The last release deletes the body.
    Result<void> add_reference(ObjectId id, const Holder& holder);
    Result<void> add_references(AccountId account, const std::vector<Reference>& references);
    Result<void> release_reference(ObjectId id, const Holder& holder);
    Result<void> release_references(AccountId account, const std::vector<Reference>& references);
    // Objects without holder that are older than this, at most `limit`. It may read the whole table: not for
    // the writer.
    Result<std::vector<ObjectId>> find_garbage(const GarbageAge& age, std::size_t limit = 1000);
    // Those of them that are garbage still; returns how many.
    Result<std::size_t> delete_garbage(const std::vector<ObjectId>& found, const GarbageAge& age);
    // What an attempt that has ended has written, complete or not; nothing happens when it is held.
    Result<void> drop_object(ObjectId id);
    // Lets go of this account's references that are neither in `known` nor in the spool: what a crash between
    // the two files left behind. Only while nobody works in the account. Returns how many.
    // `awaited`: objects that stay without a holder, as messages of the account that have been announced will
    // hold them: what brought them does not come again.
    // `since`: of holds made from then on only, so that an account file out of an old backup costs no newer
    // mail.
    Result<std::size_t> reconcile_references(AccountId account, const std::vector<Reference>& known,
                                             const std::set<ObjectId>& awaited = {},
                                             UnixMillis since = UnixMillis{});

    // ---- spool. The commit of spool_message is what makes a 250 true.
    // Stores the body (if given), a row a delivery with its reference, and the digest. With a digest that was
    // seen nothing is stored, and a body that was put under `object` for this is deleted. A delivery id that
    // is there already is left alone.
    Result<Spooled> spool_message(const SpoolRequest& request);
    Result<std::vector<SpoolRow>> load_spool(AccountId account, std::size_t limit);  // oldest first
    // After AccountStore::deliver has taken them up: the reference has passed to the message row.
    Result<void> delete_spool(const std::vector<DeliveryId>& ids);
    Result<std::vector<AccountId>> accounts_with_spool();
    Result<bool> seen_within(std::string_view digest, UnixMillis since);
    Result<void> prune_digests(UnixMillis before);

    // ---- queue of outgoing mail
    // False: that id is known already and nothing was changed. Without `content` the object must be complete.
    Result<bool> enqueue(const QueueItem& item, std::optional<std::string_view> content = std::nullopt);
    // What may be sent now, greatest priority first, with its pending recipients. It is not due again before
    // `lease_until`; leases do not outlive the process.
    Result<std::vector<QueueItem>> due(UnixMillis now, UnixMillis lease_until, std::size_t limit);
    Result<std::optional<UnixMillis>> next_due_time();  // leases counted in
    Result<void> update_recipients(QueueId id, const std::vector<QueueRecipient>& recipients);
    Result<void> reschedule(QueueId id, UnixMillis next_attempt);  // ends the lease
    // What waits for a link is due now; what is being sent, or held, stays as it is.
    Result<void> hurry_link(NodeId link, UnixMillis now);
    Result<void> set_held(QueueId id, bool held);
    Result<void> set_warned(QueueId id);
    // Gives these recipients to a new mail `to` that is `id`'s equal otherwise, lease and body included.
    Result<void> split(QueueId id, QueueId to, const std::vector<std::string>& addresses);
    Result<void> remove(QueueId id);                               // and its body's reference
    Result<std::optional<QueueItem>> find_queue_item(QueueId id);  // with all recipients
    Result<std::vector<QueueItem>> load_queue(std::size_t limit);  // oldest first, all recipients
    Result<QueueSummary> queue_summary(NodeId link);               // zero: mail of no link

    // ---- consistency
    // One sentence a problem; empty: all is well. `accounts`: what AccountStore::load_references gave,
    // releases that are pending included.
    Result<std::vector<std::string>> check(const std::vector<AccountReferences>& accounts);
    // Is it there, and complete?
    Result<bool> object_complete(ObjectId id);

    Database& database() { return *db_; }  // the executor's

  private:
    explicit SystemStore(std::unique_ptr<Database> db);
    std::unique_ptr<Database> db_;
};

}  // namespace fwmail::store
