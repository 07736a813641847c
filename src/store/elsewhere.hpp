// Messages that core has moved, or has given another number. A remote keeps such a message where it was until
// it has the message where that is now: what core tells and then loses must not be lost outside as well.
//
// Invariants: a message that is kept goes when it is seen elsewhere, when core says that it is nowhere, or
// when a client here expunges it; in a new epoch none is kept, all are told of, and core says again where
// they are. Whatever core has told to be elsewhere it says to be gone once it is.
#pragma once

#include <map>

#include "store/account_store.hpp"

namespace fwmail::store {

// ---- at a remote

// Of these, which are elsewhere by core's word, those that are not seen there yet: they are kept. Of deleted
// mailboxes, too.
Result<UidSet> keep_unseen(AccountStore& account, MailboxId mailbox, const UidSet& uids, UnixMillis now);
// All that core has confirmed, of a mailbox that it says is deleted: each is gone or elsewhere, as it will
// say.
Result<void> keep_all(AccountStore& account, MailboxId mailbox, UnixMillis now);
// Those that are kept, and are seen elsewhere since these are there.
Result<std::map<MailboxId, UidSet>> seen_elsewhere(AccountStore& account, MailboxId mailbox,
                                                   const std::vector<Uid>& shown);
// None is kept any more, and no number is given up whose message is still under it: they are told of like the
// rest.
Result<void> forget_kept(AccountStore& account);
// Deleted mailboxes that hold messages.
Result<std::vector<MailboxId>> deleted_and_kept(AccountStore& account);

// ---- at core

struct Gone {
    std::map<MailboxId, UidSet> uids;  // for expunge entries
    std::vector<Place> given;          // numbers that the peer gave itself: their messages are nowhere
};
// What the peer is to hear of these expunges: of those it was told of and has not said itself; and where a
// message has gone for good, of the numbers before, of which it may know only that the message was elsewhere.
Result<Gone> gone_at(AccountStore& account, NodeId peer, const std::vector<ExpungedMessage>& expunged);
// Of these numbers by which the peer knows messages, which are not here any more, those whose messages are
// here under others, and will be told of; of 10,000 stretches at most.
Result<UidSet> moved_among(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids);

}  // namespace fwmail::store
