// At core: what is sealed to a user's earlier keys is sealed anew, a batch at a time, and told to the
// remotes. How far it has come is known by the recipes, so that it can be broken off and taken up at any
// time.
#pragma once

#include <optional>
#include <vector>

#include "store/account_store.hpp"

namespace fwmail::service {

inline constexpr std::size_t reseal_batch = 64;  // messages

struct ResealBatch {
    std::optional<MailboxId> mailbox = {};  // none: there is nothing more
    std::vector<store::Message> messages = {};
    bool last = false;   // of the mailbox
    bool waits = false;  // a peer is not ready: nothing can be done yet
};
// `recipe_end`: how recipes for the new key end. `at`: what comes before this has been looked at.
Result<ResealBatch> next_to_reseal(store::AccountStore& account, const std::vector<NodeId>& peers,
                                   std::string_view recipe_end, const store::Place& at);

struct Resealed {
    Uid uid;
    EmailId email;
    ObjectId object;
    std::string before;  // the recipe
    store::Seal seal;
    std::uint64_t packed_size = 0;
};
// Of one mailbox. Once its last message is done it gets another sealed UIDVALIDITY, which is told behind all
// of them. `chunk`: octets of a chunk.
Result<> save_resealed(store::AccountStore& account, const std::vector<NodeId>& peers, MailboxId mailbox,
                       const std::vector<Resealed>& resealed, bool last, std::size_t chunk, UnixMillis now);

// Of a row of a message: those that bring its object.
void add_chunks(store::OutboxPlan& plan, store::OutboxRow row, std::uint64_t packed_size, std::size_t chunk);

}  // namespace fwmail::service
