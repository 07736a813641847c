// Messages that were expunged from outside. No client sees them any more, but a stolen remote must not empty
// the house: for a while they can be put back, and what goes beyond a day's measure waits for the operator.
#pragma once

#include "store/account_store.hpp"

namespace fwmail::store {

struct HeldExpunge {
    std::int64_t id = 0;  // given by hold_expunge
    NodeId peer;
    MailboxId mailbox;
    UidSet uids;
    std::uint64_t count = 0;  // messages that were there
    UnixMillis since;
    bool deletes = false;  // the mailbox was deleted
};
struct HiddenSummary {
    std::uint64_t hidden = 0, held = 0;  // messages
};

// How many of these are in the mailbox.
Result<std::uint64_t> count_messages(AccountStore& account, MailboxId mailbox, const UidSet& uids);
// Expunges them, and keeps them aside. Returns how many. The peer is not told of it, unless it called them by
// other numbers.
Result<std::uint64_t> hide_messages(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids,
                                    UnixMillis now, bool tell = false);
// How many were hidden at this time or later.
Result<std::uint64_t> count_hidden(AccountStore& account, UnixMillis since);
// Puts back, under new UIDs, what was hidden at this time or later; into another mailbox of the name where
// the mailbox has gone, which is made if there is none. Returns how many.
Result<std::uint64_t> restore_hidden(AccountStore& account, UnixMillis since, UnixMillis now);
// The mailbox is deleted, as somebody outside said: these messages are hidden. What else is in it lives on in
// a new mailbox of its name, and so does a special use. Returns how many were hidden.
Result<std::uint64_t> delete_outside(AccountStore& account, NodeId peer, MailboxId mailbox,
                                     const UidSet& uids, UnixMillis now);
// Of the messages that the peer was told of, or has filed itself, those up to this one.
Result<UidSet> told_up_to(AccountStore& account, NodeId peer, MailboxId mailbox, Uid last);
// Lets go of the bodies of those that were hidden before this time.
Result<void> forget_hidden(AccountStore& account, UnixMillis before);

// Refused when a thousand wait already.
Result<void> hold_expunge(AccountStore& account, const HeldExpunge& held);
Result<std::vector<HeldExpunge>> load_held_expunges(AccountStore& account);
Result<void> drop_held_expunge(AccountStore& account, std::int64_t id);
Result<HiddenSummary> summarize_hidden(AccountStore& account);

}  // namespace fwmail::store
