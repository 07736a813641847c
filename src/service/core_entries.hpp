// What the entries of core do at a remote.
#pragma once

#include <map>
#include <set>

#include "store/account_store.hpp"
#include "sync/frame.hpp"

namespace fwmail::service {

// What entries of core are applied to.
struct AtRemote {
    store::AccountStore& account;
    NodeId peer;
    UnixMillis now;
    bool ahead = false;  // stamps were too far ahead
    // For messages that core wants back: references to their objects, taken in system.db. What is left here
    // is to be given back.
    std::map<store::Place, store::Reference> bodies = {};
    std::size_t chunk_octets = 1;
    bool in_order = false;  // all that core has said before this entry has been applied
};

// Made here because something was said of it before its own entry came.
bool is_stand_in(const store::Mailbox& mailbox);

bool only_a_remote_sends(const sync::Entry& entry);

// A chunk that is the whole object goes to the body store before.
inline bool is_whole(const sync::ChunkEntry& chunk) {
    return chunk.offset == 0 && chunk.data.size() == chunk.total;
}

struct AppliedAtRemote {
    NumberSet numbers;                                   // to be marked as applied in the same transaction
    bool all = true;                                     // else some were numbered too far ahead
    std::set<std::pair<EmailId, sync::Sha256>> arrived;  // objects of which pieces came
};
// A section of core, but for its chunks that are whole and what it says of the account. Of another epoch than
// the present nothing is applied.
Result<AppliedAtRemote> apply_core_entries(AtRemote& to, const sync::AccountSection& section);

}  // namespace fwmail::service
