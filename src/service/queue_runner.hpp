// Sends the queue: one connection a next hop, mails one after another on it, retries with backoff,
// notifications to the sender when it ends badly. All on one executor, so it needs no lock.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "service/intake.hpp"
#include "service/node.hpp"
#include "smtp/client_session.hpp"

namespace fwmail::service {

// A mail as it begins its life in the queue, due at once. `object` is left to the caller.
store::QueueItem new_queue_item(Node& node, store::QueueKind kind, std::string sender,
                                std::vector<std::string> recipients);

class QueueRunner {
  public:
    // Told of each node mail that left the queue: an empty error means that the next hop has taken it.
    using NodeMailDone = std::function<void(NodeId link, const std::string& error)>;

    QueueRunner(Node& node, Intake& intake, NodeMailDone done)
        : node_(node), intake_(intake), done_(std::move(done)) {}

    // Until the node stops.
    net::Task<> run();

  private:
    struct Hop {
        config::HostPort to;
        smtp::TlsPolicy tls = smtp::TlsPolicy::opportunistic;
        bool implicit_tls = false;
        net::TlsClientOptions verify;
        std::optional<smtp::Credentials> credentials;
    };
    struct Worker {
        std::deque<store::QueueItem> items;
        bool running = false;
    };
    class Connection;

    net::Task<Result<>> dispatch();
    net::Task<Result<Hop>> hop_for(store::QueueItem item);
    Result<Hop> hop_from_config(const std::string& section, config::HostPort to);
    net::Task<> work(std::string key, Hop hop);
    net::Task<> record(store::QueueItem item, smtp::TransactionResult result);
    net::Task<> defer(store::QueueItem item, std::string why);
    net::Task<Result<>> bounce(const store::QueueItem& item, std::vector<store::QueueRecipient> failed);
    net::Task<> finish(store::QueueItem item);
    net::Task<Result<>> settle(store::QueueItem item);

    Node& node_;
    Intake& intake_;
    NodeMailDone done_;
    std::map<std::string, Worker> workers_;
    std::set<store::QueueId> under_way_;  // what this process has taken and not settled
};

}  // namespace fwmail::service
