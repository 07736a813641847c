// The dialled lines of this node: opens them, at core by dialling and at the remote by being dialled, keeps
// one a link, and sends frames over them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/listener.hpp"
#include "service/dialled_line.hpp"
#include "service/line_state.hpp"

namespace fwmail::service {

class DialledLines {
  public:
    // `opened`: a line of this link has become open; on its executor.
    using Opened = std::function<void(NodeId link)>;

    DialledLines(Node& node, LinkReceiver& receiver, MailLimits& limits, Opened opened)
        : node_(node), receiver_(receiver), limits_(limits), opened_(std::move(opened)) {}

    // Whether what the configuration says of dialling makes sense. `listens`: there is a listener to be
    // dialled at.
    static Result<> check(const config::Config& config, bool listens);

    // At the remote: a connection, TLS up, that somebody has made to the listener.
    net::Task<> serve(net::StreamPtr stream);
    // At core: dials for one link after the other, each until the node stops.
    void dial_all();

    // When the runtime has stopped and before it goes: what is left refers to it.
    void forget();

    // From any thread.
    bool is_open(NodeId link) const;
    std::map<NodeId, LineState> states() const;

    // Ok: the peer has applied and stored the frame in this node mail.
    net::Task<Result<>> send(NodeId link, std::string node_mail);

  private:
    using Line = std::shared_ptr<DialledLine>;

    net::Task<> dial(std::string name);
    // Ok: there was a line, and it is lost.
    net::Task<Result<>> dial_once(LinkRecord link, net::HostPort to, std::shared_ptr<net::TlsClient> tls);
    net::Task<> keep(LinePeer peer, std::unique_ptr<net::WebSocket> socket);
    void note(NodeId link, const Line& line, std::string error);
    std::optional<LinkRecord> find_by_name(const std::string& name) const;

    Node& node_;
    LinkReceiver& receiver_;
    MailLimits& limits_;
    const Opened opened_;
    RateLimit refusals_{6};  // of one address, that are worth a line in the log
    mutable std::mutex mutex_;
    std::map<NodeId, Line> lines_;
    std::map<NodeId, std::string> errors_;
};

}  // namespace fwmail::service
