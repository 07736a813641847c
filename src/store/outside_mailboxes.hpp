// What another node says of a mailbox: made, renamed, deleted. The rules are sync/mailboxes.hpp's; here they
// are applied to the rows.
#pragma once

#include "store/account_store.hpp"

namespace fwmail::store {

struct MailboxWord {
    MailboxId id;
    sync::MailboxState state;
    UidValidity sealed_uidvalidity;  // zero: none has been given
    Uid last_uid;                    // where it is deleted: the highest that whoever did it had seen
};

struct OutsideLimits {
    std::uint64_t mailboxes = 0;  // of an account; 0: no limit
    std::uint64_t expunges = 0;   // of a day
};
struct OutsideTaken {
    bool changed = false;
    bool held = false;     // more would be deleted than may be in a day: it waits for the operator
    bool refused = false;  // there are too many mailboxes
};
// At core, of a remote.
Result<OutsideTaken> take_from_remote(AccountStore& account, NodeId peer, const MailboxWord& word,
                                      const Author& core, const OutsideLimits& limits);
// At a remote, of core: its word about names is the last.
Result<void> take_from_core(AccountStore& account, const MailboxWord& word, UnixMillis now);

// Gives mailboxes the names that they are to have, as far as those are free: after a name has become free.
Result<void> settle_names(AccountStore& account);

}  // namespace fwmail::store
