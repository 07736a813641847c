// At core: messages by the numbers that a remote knows them by, and what it has filed itself.
// The rules are sync/numbers.hpp's; here they are applied to the rows.
#pragma once

#include <map>

#include "store/account_store.hpp"

namespace fwmail::store {

// Where the message is that this peer calls so: what it has filed itself is known by its number, and what was
// moved or renumbered here is followed. Its UID is zero when it is gone. Nothing: the peer was not told of
// such a number, so that the request that made it is still on the way; or the mailbox is not known yet.
Result<std::optional<Place>> find_place(AccountStore& account, NodeId peer, const Place& called);
// Likewise, whatever the peer was told of; and what it has filed of its own is forgotten.
Result<Place> where_now(AccountStore& account, NodeId peer, const Place& called);
// Likewise, for an expunge: as in own_places().
Result<Place> where_expunged(AccountStore& account, NodeId peer, const Place& called);
// Whether the peer has filed that message under this number, and it was expunged since.
Result<bool> is_gone_for_good(AccountStore& account, NodeId peer, const Place& called, EmailId email);
// What the peer has under this number is not known here. `asked`: this message is to come home. Until it
// does, the number means nothing: what core had given it to has another one.
Result<void> note_unknown(AccountStore& account, NodeId peer, const Place& called, EmailId asked);
// It is the message that has another number here.
Result<void> note_known(AccountStore& account, NodeId peer, const Place& called, const Place& now);
// A client at a peer has expunged this message, of which nothing is known here under that number: it is
// hidden when it comes home. The place to which another peer has brought it already, or UID zero.
Result<Place> note_expunged_unknown(AccountStore& account, const Place& called, EmailId email);
Result<bool> is_expunged_unknown(AccountStore& account, const Place& called, EmailId email);
Result<bool> is_noted(AccountStore& account, NodeId peer, const Place& called);
Result<bool> is_asked_for(AccountStore& account, NodeId peer, const Place& called);
Result<void> forget_number(AccountStore& account, NodeId peer, const Place& called);
// Of these numbers, those for which find_place() has nothing. The mailbox is known.
Result<UidSet> unheard_numbers(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids);
// The messages of these numbers, for an expunge: those that have other numbers than the peer gave them are
// `elsewhere`. What was moved to another mailbox here is not followed, unless the peer has filed it: a
// message that moves away from where it is expunged lives on. What the peer was asked for is noted.
struct OwnPlaces {
    UidSet here;
    std::map<MailboxId, UidSet> elsewhere;
};
Result<OwnPlaces> own_places(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids);
// Whether this number is the peer's own: it has the message that core will tell it of.
Result<bool> is_adopted(AccountStore& account, NodeId peer, const Place& place);

// What a client at the peer has copied or moved.
struct CopyWord {
    Place from, to;
    EmailId email;
    sync::Stamp moved;  // zero: copied
    sync::FlagState flags;
    // Of a copy: the body's reference in system.db was taken for it. Given back when it is not used.
    Reference body;
    sync::Sha256 sealed_sha256{};  // of the object that the peer shows; zero: none
};
// The body that a copy of this will need; zero: none, or it is not known yet.
Result<ObjectId> find_copied_body(AccountStore& account, NodeId peer, const CopyWord& word);

// What a client at the peer has appended.
struct AppendWord {
    Place to;
    // Its body's reference was taken. Nothing: it has gone again, only the number was used.
    std::optional<NewMessage> message;
    Seal seal;              // of the object that the peer shows
    bool as_shown = true;   // else the object cannot be made here, and the number cannot be kept
    bool returned = false;  // core has had it: where the mailbox has it by now it is not filed again
};

struct Filed {
    bool waits = false;  // something else must be heard before; so it is with the mailbox, if it is not known
    bool repeat = false;  // it was heard before, and perhaps its confirmation was lost
    Place now;            // where the message is; UID zero: nowhere
    bool unknown =
        false;  // nothing was ever heard of the message here, and much has been lost: it must come home
    bool expunged = false;  // it has come home, and was expunged at another peer meanwhile: to be hidden
};
// Copies or moves here as well, and notes what became of the number.
Result<Filed> file_copy(AccountStore& account, NodeId peer, const CopyWord& word, UnixMillis now);

Result<Filed> file_append(AccountStore& account, NodeId peer, const AppendWord& word, UnixMillis now);

}  // namespace fwmail::store
