// What the entries of core do at a remote, one by one.
#pragma once

#include <map>

#include "store/account_store.hpp"
#include "sync/entries.hpp"

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
};

bool only_a_remote_sends(const sync::Entry& entry);

// A chunk that is the whole object goes to the body store before.
inline bool is_whole(const sync::ChunkEntry& chunk) {
    return chunk.offset == 0 && chunk.data.size() == chunk.total;
}

// False: it cannot be applied yet, and must come again. Applying it twice does nothing.
Result<bool> apply_core_entry(AtRemote& to, const sync::Entry& entry);

}  // namespace fwmail::service
