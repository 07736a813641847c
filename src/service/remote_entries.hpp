// What the entries of a remote do at core.
#pragma once

#include <map>
#include <set>

#include "store/outside_mailboxes.hpp"
#include "store/outside_numbers.hpp"
#include "sync/link.hpp"

namespace fwmail::service {

// Mail that was appended at the remote and is whole here.
struct AppendedMail {
    store::NewMessage message;  // its body's reference was taken in system.db
    store::Seal seal;
    bool as_shown = true;
};

// What entries of a remote are applied to.
struct AtCore {
    store::AccountStore& account;
    NodeId peer;
    UnixMillis now;
    store::Author author;
    store::OutsideLimits limits;
    std::map<EntryNumber, store::Reference> bodies;     // that entries need; taken in system.db
    std::map<EntryNumber, AppendedMail> appended = {};  // likewise
    std::set<EntryNumber> refused = {};                 // requests whose mail is not what they say
    sync::Incoming told = {};                           // what of the peer's entries has been applied, by now
    UnixMillis since = {};                              // what is older was perhaps never replicated
    std::map<MailboxId, UidSet> expunged = {};          // came home, and was expunged at another remote
    bool changed = false, ahead = false, held = false, too_many = false;
};

bool may_come_from_remote(const sync::Entry& entry);

// A section of the remote. What cannot be applied yet comes again. Of another epoch than the present nothing
// is applied. Once the peer has told all that it has, what it lacks is planned.
Result<> apply_remote_entries(AtCore& to, const sync::AccountSection& section);

// What a copy request says, for the store.
store::CopyWord copy_word(const sync::CopyRequestEntry& entry, store::Reference body = {});

}  // namespace fwmail::service
