// What a node does when one of the two has lost what it knew (fwmail-sync(7), EPOCHS): both begin to count
// anew; the remote tells core all that it has; core compares, and tells the remote what that lacks.
#pragma once

#include "config/config.hpp"
#include "service/link_table.hpp"
#include "store/account_store.hpp"
#include "sync/link.hpp"

namespace fwmail::service {

// The epochs of one account on one link, which the peer's section is of, in one transaction: its
// acknowledgements are taken, and what has to begin anew begins.
struct EpochTurn {
    NodeId peer;
    bool core = false;             // this node is
    std::size_t chunk_octets = 1;  // of what goes home
    sync::Epoch own, other;        // the link's
    std::uint64_t random = 0;      // of a new epoch
    UnixMillis now;
};
EpochTurn epoch_turn(const LinkRecord& link, bool core, const config::Config& config, UnixMillis now);
Result<sync::SectionVerdict> take_epochs(store::AccountStore& account, const EpochTurn& turn,
                                         const sync::AccountSection& section);
// This node knows by itself that it has lost what it knew: a turn for each link.
Result<> begin_after_loss(store::AccountStore& account, const std::vector<EpochTurn>& turns);
// At a remote that has applied all that core has told: rows that tell all that is in these mailboxes, and the
// subscribed names.
Result<> add_state_rows(store::AccountStore& account, const std::vector<MailboxId>& mailboxes, bool names,
                        UnixMillis now, std::vector<store::OutboxRow>& rows);
// A section without entries, of the account as it is now.
Result<sync::AccountSection> begin_section(store::AccountStore& account, const EpochTurn& turn,
                                           std::size_t ack_octets);

}  // namespace fwmail::service
