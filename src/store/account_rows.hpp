// What the parts of AccountStore share. Private to store.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "store/account_store.hpp"
#include "store/database.hpp"

namespace fwmail::store {

struct MailboxRow {
    std::int64_t row = 0;
    Mailbox mailbox;
    std::uint64_t messages = 0, unseen = 0, deleted = 0, octets = 0, deleted_octets = 0;
};

constexpr int deleted_by_core = 2;  // in mailboxes.deleted

// INBOX in any case is one name (RFC 9051 5.1).
std::string normal_mailbox_name(std::string_view name);

Result<std::optional<MailboxRow>> find_mailbox_row(Database& db, MailboxId id);
// Refused when it is unknown or deleted.
Result<MailboxRow> get_mailbox_row(Database& db, MailboxId id);
// Deleted ones too.
Result<MailboxRow> any_mailbox_row(Database& db, MailboxId id);

// The mailbox, or where it is deleted one of its name, which is made if there is none.
Result<MailboxRow> mailbox_or_its_like(Database& db, AccountStore& account, MailboxId id, UnixMillis now);

// Whether the message of this number is that one.
Result<bool> is_of(Database& db, const Place& place, EmailId email);

// The file's number for a peer, made if needed.
Result<std::int64_t> peer_row(Database& db, NodeId peer);

// Keywords as one text; the system flags have a column of their own.
std::string keywords_text(const FlagSet& flags);
FlagSet flags_from(std::uint32_t system, std::string_view keywords);

// The counters that one call raises: taken in memory, written once by save(), in the call's transaction.
class AccountChange {
  public:
    static Result<AccountChange> begin(Database& db);
    // The next modseq, also noted as the mailbox's highest.
    ModSeq next_modseq(std::int64_t mailbox);
    std::int64_t next_storage_id() { return ++last_row_; }
    // A message with these flags came (+1) or went (-1).
    void count(std::int64_t mailbox, std::uint32_t system_flags, std::uint64_t size, int sign);
    // The stamp of what this call changes: one, however often it is asked for.
    sync::Stamp stamp(const Author& author);
    // A stamp of this time was seen: later ones are above it.
    void see_stamp(std::uint64_t time) { clock_ = std::max(clock_, time); }
    // This UID is in use now.
    void use_uid(std::int64_t mailbox, Uid uid);
    Result<void> save();

  private:
    struct Delta {
        std::int64_t messages = 0, unseen = 0, deleted = 0, octets = 0, deleted_octets = 0;
        std::uint64_t highest = 0;
        std::uint32_t last_uid = 0;
    };
    explicit AccountChange(Database& db) : db_(&db) {}
    Database* db_;
    std::uint64_t modseq_ = 0;
    std::int64_t last_row_ = 0;
    std::uint64_t clock_ = 0, clock_before_ = 0;
    sync::Stamp stamp_;
    std::map<std::int64_t, Delta> deltas_;
};

// Writes the row and its texts; `message.uid` is the UID it gets, above all in the mailbox.
Result<void> insert_message(Database& db, AccountChange& change, std::int64_t mailbox,
                            const NewMessage& message, const Seal& seal = {});
// The UID after `uidnext - 1`, or refused when the mailbox has used up its numbers.
Result<Uid> take_uid(Uid& uidnext);

// When the message was moved to where it is.
Result<void> set_placed(Database& db, std::int64_t mailbox, Uid uid, const sync::Stamp& stamp);

enum class Which { all, deleted_only };
Result<ExpungeResult> expunge_rows(Database& db, AccountChange& change, std::int64_t mailbox,
                                   const UidSet& uids, Which which);
// merge_flags for a message that is not shown yet.
Result<Merged> merge_pending_flags(Database& db, std::int64_t mailbox, Uid uid,
                                   const sync::FlagState& theirs);
Result<void> journal_release(Database& db, ObjectId object, HoldId hold);
Result<void> drop_pending(Database& db, std::int64_t mailbox);

inline UidSet every_uid() {
    UidSet all;
    all.add(1, 0xffffffffu);
    return all;
}

}  // namespace fwmail::store
