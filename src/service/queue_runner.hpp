// Sends the queue: a few connections a next hop, mails one after another on each, or over a link's dialled
// line; retries with backoff, notifications to the sender when it ends badly. All on the main executor, so it
// needs no lock.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "service/dialled_lines.hpp"
#include "service/intake.hpp"
#include "service/node.hpp"
#include "service/notices.hpp"
#include "smtp/client_session.hpp"

namespace fwmail::service {

// A mail as it begins its life in the queue, due at once. `object` is left to the caller.
store::QueueItem new_queue_item(Node& node, store::QueueKind kind, std::string sender,
                                std::vector<std::string> recipients);

class QueueRunner {
  public:
    // Told of each node mail that left the queue: an empty error means that the next hop has taken it.
    using NodeMailDone = std::function<void(NodeId link, const std::string& error)>;

    QueueRunner(Node& node, Intake& intake, DialledLines& lines, NodeMailDone done)
        : node_(node), intake_(intake), lines_(lines), done_(std::move(done)) {}

    // Until the node stops.
    net::Task<> run();

    // Node mail goes straight from memory; only what the next hop does not take at once comes to lie in the
    // queue. Returns when either is so, or the hop has refused it. A crash before that loses the mail: its
    // entries must still be due. On the main executor.
    net::Task<Result<>> send_now(store::QueueItem item, std::string content);

  private:
    struct Hop {
        config::HostPort to;
        std::string domain;  // whose exchangers are to be found; empty: `to` is the host
        smtp::TlsPolicy tls = smtp::TlsPolicy::opportunistic;
        bool implicit_tls = false;
        net::TlsClientOptions verify;
        std::optional<smtp::Credentials> credentials;
        bool line = false;  // not by SMTP: over the link's dialled line
    };
    // One next hop.
    struct Worker {
        std::deque<store::QueueItem> items;
        std::size_t running = 0;           // connections, or mails on the line
        std::vector<net::Notifier*> idle;  // of those that wait for another mail
    };
    // A mail that is in memory only.
    struct Direct {
        std::string content;
        net::Notifier done;
        std::optional<Result<>> settled;
    };
    class Connection;

    net::Task<Result<>> dispatch();
    void give(store::QueueItem item, Hop hop);
    void let_go(std::deque<store::QueueItem> left);
    Result<Hop> direct_hop(const store::QueueItem& item);
    net::Task<Result<std::vector<config::HostPort>>> hosts_of(Hop hop);
    net::Task<Result<std::vector<store::QueueItem>>> by_destination(store::QueueItem item);
    net::Task<Result<Hop>> hop_for(store::QueueItem item);
    Result<Hop> hop_from_config(const std::string& section, config::HostPort to);
    net::Task<> work(std::string key, Hop hop);
    net::Task<> work_line(std::string key);
    net::Task<Result<>> send_by_line(store::QueueItem item);
    net::Task<Result<>> talk(Worker& worker, Hop hop, std::shared_ptr<net::TlsClient> tls);
    net::Task<> record(store::QueueItem item, smtp::TransactionResult result);
    net::Task<> defer(store::QueueItem item, Error why);
    using Recipients = std::vector<store::QueueRecipient>;
    // `relayed`: delivered just now to a server without DSN, and the sender wants to hear of it.
    net::Task<> finish(store::QueueItem item, Recipients relayed);
    net::Task<Result<>> settle(store::QueueItem item, Recipients relayed);
    net::Task<Result<>> settle_node_mail(store::QueueItem item, std::string error);
    net::Task<Result<std::vector<Notice>>> notices_of(store::QueueItem item, Recipients relayed, bool warn);

    Node& node_;
    Intake& intake_;
    DialledLines& lines_;
    NodeMailDone done_;
    std::map<std::string, Worker> workers_;
    std::set<store::QueueId> under_way_;  // what this process has taken and not settled
    std::map<store::QueueId, std::shared_ptr<Direct>> direct_;
};

}  // namespace fwmail::service
