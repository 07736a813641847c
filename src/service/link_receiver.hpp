// Takes node mail in: opens and verifies it, hands entries to the replica and acknowledgements to the outbox.
// What is not from the linked node, for this node, whole and unseen is refused, counted, and changes nothing.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "service/link_table.hpp"
#include "service/node.hpp"
#include "service/replica.hpp"
#include "sync/frame.hpp"
#include "sync/link.hpp"

namespace fwmail::service {

class LinkReceiver {
  public:
    LinkReceiver(Node& node, LinkTable& table, Replica& replica)
        : node_(node), table_(table), replica_(replica) {}

    std::optional<NodeId> find_address(std::string_view address) const {
        return table_.find_address(address);
    }
    // A whole mail to the link's address. Ok: applied and durable; or a notification (`from_nobody`: the null
    // reverse path), which is noted and dropped.
    net::Task<Result<>> receive(NodeId peer, bool from_nobody, std::string mail);

    struct AckDue {
        NodeId peer;
        std::vector<AccountId> accounts;
    };
    // Whom to acknowledge to now; those are then no longer due. `next`: when to ask again.
    std::vector<AckDue> take_due_acks(UnixMillis now, std::optional<UnixMillis>& next);

  private:
    net::Task<Result<sync::Frame>> open(LinkRecord record, std::string mail);
    net::Task<Result<>> apply(LinkRecord record, sync::Frame frame);
    net::Task<Result<bool>> is_known(AccountId account);
    net::Task<Result<>> apply_at_core(NodeId peer, sync::AccountSection section);
    net::Task<> note_refusal(LinkRecord record, std::string reason);

    Node& node_;
    LinkTable& table_;
    Replica& replica_;
    std::mutex mutex_;
    std::map<std::pair<NodeId, AccountId>, sync::AckTimer> acks_;
};

}  // namespace fwmail::service
