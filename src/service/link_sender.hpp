// Makes frames of what lies in the outboxes and of what is to be acknowledged, and puts them into the mail
// queue. An entry counts as sent when its mail is in the queue; it goes from the outbox when it is
// acknowledged, and is sent again, in another frame, when that does not come.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "service/link_receiver.hpp"
#include "service/link_table.hpp"
#include "service/node.hpp"
#include "service/poller.hpp"
#include "sync/frame.hpp"

namespace fwmail::service {

class LinkSender {
  public:
    LinkSender(Node& node, const LinkTable& links, LinkReceiver& receiver, SealCache& cache)
        : node_(node), links_(links), receiver_(receiver), cache_(cache) {}

    // Until the node stops.
    net::Task<> run();
    // The queue has got rid of a node mail; an error means that the peer has refused it.
    void on_mail_done(NodeId link, const std::string& error);

  private:
    struct Made;  // entries made of rows
    struct Pause {
        UnixMillis until;
        unsigned refusals = 0;
    };
    struct Budget {
        UnixMillis hour;
        std::uint64_t mails = 0;
    };

    enum class Sent { all, due_later, no_room };  // no_room: the queue is full, or the hour's mails are sent

    net::Task<Result<>> send_entries(LinkRecord link);
    net::Task<Result<Sent>> send_account(LinkRecord link, AccountId account);
    net::Task<Result<>> send_acks(UnixMillis now);
    net::Task<Result<bool>> may_send(const LinkRecord& link);
    net::Task<Result<Made>> make(AccountId account, std::vector<store::OutboxRow> rows);
    net::Task<Result<>> make_chunks(AccountId account, std::vector<store::OutboxRow> rows,
                                    std::vector<store::Message> messages, Made& made);
    net::Task<Result<>> send_section(LinkRecord link, sync::AccountSection section);
    net::Task<Result<>> send_frame(LinkRecord link, std::vector<sync::AccountSection> sections);
    net::Task<Result<sync::AccountSection>> new_section(LinkRecord link, AccountId account);
    std::int64_t wait_ms(UnixMillis now) const;

    Node& node_;
    const LinkTable& links_;
    LinkReceiver& receiver_;
    SealCache& cache_;
    std::map<NodeId, std::set<AccountId>> busy_;  // accounts whose outbox holds something
    std::optional<UnixMillis> next_ack_, next_due_;
    bool backlog_ = false;  // entries wait for the queue to get shorter
    std::mutex mutex_;
    std::map<NodeId, Pause> pauses_;
    std::map<NodeId, Budget> budgets_;
};

}  // namespace fwmail::service
