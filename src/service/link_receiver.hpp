// Takes node mail in: opens and verifies it, hands entries to the replica and acknowledgements to the outbox.
// What is not from the linked node, for this node, whole and unseen is refused, counted, and changes nothing.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "service/appended.hpp"
#include "service/link_table.hpp"
#include "service/node.hpp"
#include "service/remote_entries.hpp"
#include "service/replica.hpp"
#include "sync/frame.hpp"
#include "sync/link.hpp"

namespace fwmail::service {

// Memory for node mail that is being received, over all connections.
class NodeMailRoom {
  public:
    class Share {
      public:
        Share() = default;
        Share(Share&& other) noexcept
            : room_(std::exchange(other.room_, nullptr)), octets_(std::exchange(other.octets_, 0)) {}
        Share& operator=(Share&&) = delete;
        ~Share() {
            if (room_) room_->used_ -= octets_;
        }
        // False: there is not so much left.
        bool grow(NodeMailRoom& room, std::size_t octets) {
            room_ = &room;
            octets_ += octets;
            return (room.used_ += octets) <= limit;
        }

      private:
        NodeMailRoom* room_ = nullptr;
        std::size_t octets_ = 0;
    };

  private:
    static constexpr std::size_t limit = 192 << 20;
    std::atomic<std::size_t> used_ = 0;
};

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
    // A sealed frame from a peer that has proved who it is. One that was applied before is Ok as well, and
    // changes nothing: its answer was cut off.
    net::Task<Result<>> receive_frame(NodeId peer, std::string sealed);

    NodeMailRoom& room() { return room_; }

    struct AckDue {
        NodeId peer;
        std::vector<std::pair<AccountId, std::optional<sync::Compared>>> accounts;
    };
    // Whom to acknowledge to now; those are then no longer due. `next`: when to ask again.
    // `at_once`: these are due whatever the time.
    std::vector<AckDue> take_due_acks(UnixMillis now, const std::set<AccountId>& at_once,
                                      std::optional<UnixMillis>& next);

  private:
    enum class Carrier { mail, line };
    net::Task<Result<>> take(LinkRecord record, Carrier carrier, std::string octets);
    net::Task<Result<sync::Frame>> open(LinkRecord record, Carrier carrier, std::string octets);
    net::Task<Result<>> apply(LinkRecord record, sync::Frame frame);
    net::Task<Result<bool>> is_known(AccountId account);
    struct Prepared {
        std::map<EntryNumber, store::Reference> bodies;  // of copies
        std::map<EntryNumber, AppendedMail> appended;
        std::set<EntryNumber> refused;
    };
    net::Task<Result<Prepared>> prepare(NodeId peer, sync::AccountSection section);
    net::Task<Result<>> prepare_append(AccountId account, EntryNumber number,
                                       sync::AppendRequestEntry request, Prepared& prepared);
    net::Task<Result<>> reopen(AccountId account, std::vector<crypto::PublicKey> user_keys,
                               sync::AppendRequestEntry request, OpenedAppend& mail);
    net::Task<Result<>> apply_at_core(NodeId peer, sync::AccountSection section);
    // What the section says of epochs, and its acknowledgements.
    net::Task<Result<sync::SectionVerdict>> enter_epoch(const LinkRecord& record,
                                                        sync::AccountSection& section);
    net::Task<Result<>> compare(LinkRecord record, AccountId account, sync::Digests digests);
    net::Task<Result<>> take_compared(NodeId peer, AccountId account, sync::Compared compared);
    net::Task<> note_refusal(LinkRecord record, std::string reason);

    Node& node_;
    LinkTable& table_;
    Replica& replica_;
    NodeMailRoom room_;
    std::mutex mutex_;
    struct Answer {
        sync::AckTimer timer;
        std::optional<sync::Compared> compared =
            {};  // goes along, and is lost with the process: core asks again
    };
    std::map<std::pair<NodeId, AccountId>, Answer> answers_;
};

}  // namespace fwmail::service
