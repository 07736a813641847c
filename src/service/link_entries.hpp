// Entries made of the outbox's rows, from the state of the account as it is now.
#pragma once

#include <map>

#include "store/account_store.hpp"
#include "sync/entries.hpp"

namespace fwmail::service {

struct EntriesRead {
    std::map<EntryNumber, sync::Entry> entries;
    NumberSet voids;
    std::vector<store::OutboxRow> chunks;
    std::vector<store::Message> messages;  // of the chunks
    std::vector<store::OutboxRow> home_chunks;
    std::vector<EntryNumber> accounts;
    std::vector<std::string> invalid;
};
// For the peer, of what lies in the account's own file; accounts and chunks are for the caller to make.
Result<EntriesRead> read_entries(store::AccountStore& store, NodeId peer,
                                 const std::vector<store::OutboxRow>& rows, bool core);

}  // namespace fwmail::service
