// Mailboxes and subscriptions as registers, and what core and a remote make of each other's word about them.
// Pure: the caller keeps the rows, and does what is decided here.
//
// A name and a special use have a stamp once they were changed; the first ones came with the mailbox. A
// mailbox that was deleted stays so, and its id is never used again. A subscription is of a name, not of a
// mailbox, and outlives it (RFC 9051 6.3.7).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "sync/stamp.hpp"

namespace fwmail::sync {

struct MailboxState {
    std::string name;  // empty: not heard yet
    Stamp named;
    std::string special_use;
    Stamp used;
    bool deleted = false;
    bool operator==(const MailboxState&) const = default;
};

// Each attribute has the value of the later stamp. Commutative, associative, idempotent. Where stamps are
// equal and values differ all the same the lesser value wins, and any over none.
MailboxState merge_mailboxes(const MailboxState& a, const MailboxState& b);

// Another name for a mailbox whose own one is taken: made of its id, so that it is the same wherever it is
// made. `again`: where that one is taken too, one of its own for each number.
std::string name_beside(std::string_view name, MailboxId id, unsigned again = 0);

// What core makes of a remote's word. Names are unique at core, so it has the last word about them.
struct MailboxVerdict {
    enum Act {
        nothing,  // `state` is what is known already, or the word is not taken
        add,      // as `state`
        update,   // to `state`
        join,     // one of that name is there: the remote's is deleted, and stands for that one
        remove,   // it was deleted outside
    };
    Act act = nothing;
    MailboxState state;
    bool own = false;  // core has decided otherwise: the remote is to be told
};
struct AtCore {
    std::optional<MailboxState> known;   // of this id
    std::optional<MailboxId> same_name;  // another live mailbox that has the name of the word
    bool use_taken = false;              // another live mailbox has its special use
    bool is_inbox = false;               // of this id: it keeps its name, and is not deleted
};
// `stamp` is core's, for what it decides itself.
MailboxVerdict judge_at_core(const AtCore& here, MailboxId id, const MailboxState& theirs, Stamp stamp);

// A name is subscribed or not.
struct Subscription {
    bool on = false;
    Stamp stamp;
    bool operator==(const Subscription&) const = default;
};
// The later one; of two with one stamp, being subscribed.
Subscription merge_subscriptions(const Subscription& a, const Subscription& b);

}  // namespace fwmail::sync
