// Messages that are sealed anew, to another key of their user. What a UID names never changes: so a remote
// shows the new octets only under another UIDVALIDITY, those of a mailbox all at once, and until then the old
// ones.
#pragma once

#include "store/account_store.hpp"
#include "sync/entries.hpp"

namespace fwmail::store {

// ---- at core

// Of the messages above `after`, the first `limit` that are sealed with a recipe that does not end so.
Result<UidSet> sealed_otherwise(AccountStore& account, MailboxId mailbox, std::string_view recipe_end,
                                Uid after, std::size_t limit);
// Whether some messages of the mailbox have been sealed anew, and the UIDVALIDITY does not say so yet.
Result<bool> is_partly_resealed(AccountStore& account, MailboxId mailbox);
Result<void> set_partly_resealed(AccountStore& account, MailboxId mailbox, bool partly);

// ---- at a remote

// A message is to be shown with other octets. False: it is not shown yet, and must be said again.
Result<bool> expect_resealed(AccountStore& account, const sync::ResealedEntry& entry, UnixMillis now);
// All that was to be said before this has been: the mailbox gets this UIDVALIDITY when all bodies are here.
Result<void> expect_uidvalidity(AccountStore& account, MailboxId mailbox, UidValidity next);
// Shows the new octets, where they are all here and another UIDVALIDITY is due.
Result<bool> show_resealed(AccountStore& account, MailboxId mailbox);
// How many messages are expected, or wait for the others.
Result<std::uint64_t> count_resealed(AccountStore& account);

}  // namespace fwmail::store
