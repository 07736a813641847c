// Makes frames of what lies in the outboxes and of what is to be acknowledged, and sends them as mail, a few
// at a time. An entry counts as sent when the next hop has its mail, or the queue; it goes from the outbox
// when it is acknowledged, and is sent again, in another frame, when that does not come.
#pragma once

#include <functional>
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
    // Sends a mail, or puts it into the queue: QueueRunner::send_now().
    using SendMail = std::function<net::Task<Result<>>(store::QueueItem item, std::string content)>;

    LinkSender(Node& node, const LinkTable& links, LinkReceiver& receiver, SealCache& cache,
               SendMail send_mail)
        : node_(node), links_(links), receiver_(receiver), cache_(cache), send_mail_(std::move(send_mail)) {}

    // Until the node stops; on the main executor, as all that follows from it.
    net::Task<> run();
    // The queue has got rid of a node mail; an error means that the peer has refused it.
    void on_mail_done(NodeId link, const std::string& error);

  private:
    // What became of outbox rows: an entry, or nothing left to say.
    struct Made {
        std::map<EntryNumber, sync::Entry> entries;
        NumberSet voids;
    };
    struct Pause {
        UnixMillis until;
        unsigned refusals = 0;
    };
    struct Budget {
        UnixMillis hour;
        std::uint64_t mails = 0;
    };

    using Rows = std::vector<store::OutboxRow>;
    // Frames of an account that are being made or sent.
    struct Flight {
        NumberSet numbers;
        std::size_t frames = 0;
        bool alone = false;
    };
    using Place = std::pair<NodeId, AccountId>;

    net::Task<> gather();
    net::Task<Result<>> hurry(LinkRecord link, AccountId account, ChangeHub::Haste haste);
    net::Task<Result<>> send_entries(LinkRecord link);
    net::Task<Result<bool>> send_account(LinkRecord link, AccountId account);
    void log_failure(AccountId account, const Error& error);
    net::Task<Result<bool>> send_next(LinkRecord link, AccountId account);
    net::Task<> send_rows(LinkRecord link, AccountId account, Rows rows, sync::Epoch epoch);
    net::Task<Result<>> send_made(LinkRecord link, AccountId account, Rows rows, sync::Epoch epoch);
    net::Task<Result<>> mark_sent(LinkRecord link, AccountId account, NumberSet numbers, sync::Epoch epoch);
    net::Task<Result<>> note_next_due(NodeId peer, AccountId account);
    void note_due(UnixMillis when);
    std::size_t frames_under_way(NodeId peer) const;
    std::uint64_t target_octets(NodeId peer);
    using ToCompare = std::map<AccountId, UnixMillis>;  // since when
    net::Task<> send_all_digests();
    net::Task<Result<>> send_digests(LinkRecord link, ToCompare& accounts);
    net::Task<Result<std::optional<sync::AccountSection>>> digest_section(LinkRecord link, AccountId account,
                                                                          std::size_t ack_octets);
    net::Task<Result<>> send_acks(UnixMillis now, std::set<AccountId> at_once);
    net::Task<> send_sections(LinkRecord link, std::vector<sync::AccountSection> sections);
    net::Task<Result<bool>> may_send(const LinkRecord& link);
    net::Task<Result<Made>> make(NodeId peer, AccountId account, std::vector<store::OutboxRow> rows);
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
    SendMail send_mail_;
    std::map<NodeId, std::set<AccountId>> busy_;  // accounts whose outbox holds something
    std::map<Place, Flight> flights_;
    std::map<Place, UnixMillis> resting_;     // something went wrong: until then
    std::map<NodeId, ToCompare> to_compare_;  // accounts, when they are at rest
    std::optional<UnixMillis> next_ack_, next_due_;
    UnixMillis last_flush_;  // when a frame went that was not full
    bool flush_ = true;      // such a frame may go
    bool backlog_ = false;   // entries wait for the queue to get shorter, or for a frame to arrive
    std::mutex mutex_;
    std::map<NodeId, Pause> pauses_;
    std::map<NodeId, Budget> budgets_;
};

}  // namespace fwmail::service
