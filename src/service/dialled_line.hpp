// One dialled line whose peer has proved who it is: frames of one link, both ways, each answered when it has
// been applied and stored. It lives on its WebSocket's executor; what others call may be called from any
// thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "net/websocket.hpp"
#include "service/line_handshake.hpp"
#include "service/link_receiver.hpp"
#include "service/mail_limits.hpp"
#include "service/node.hpp"

namespace fwmail::service {

class DialledLine : public std::enable_shared_from_this<DialledLine> {
  public:
    DialledLine(Node& node, LinkReceiver& receiver, MailLimits& limits, LinePeer peer,
                std::unique_ptr<net::WebSocket> socket);

    // Called once, from any thread. Ok: the peer has applied and stored the frame. `refused`: it will not;
    // all else is `temporary`.
    using Answered = std::function<void(Result<>)>;
    // A sealed frame. At most sync::line_window are on the way at one time; the others wait here.
    void send(std::string sealed, Answered answered);
    // All that has no answer is answered now; the connection is closed. The first reason counts.
    void end(std::string reason, net::CloseCode code = net::CloseCode::policy_violation);

    // Until the line has ended; why.
    net::Task<std::string> run();

    const LinkRecord& link() const { return peer_.link; }
    UnixMillis opened() const { return opened_; }
    std::string peer_address() const { return socket_->stream().peer_address(); }

  private:
    struct Outgoing {
        std::string sealed;
        Answered answered;
    };
    struct Unanswered {
        Answered answered;
        net::Deadline until;
    };
    struct Received {
        std::string octets;
        NodeMailRoom::Share share{};
        bool no_room = false;
    };

    std::optional<std::string> next_message();
    bool has_ended() const;
    bool waits_in_vain() const;
    // These go on for a while when run() has ended, so they hold the line.
    using Self = std::shared_ptr<DialledLine>;
    net::Task<> write(Self self);
    net::Task<> keep_alive(Self self);
    net::Task<> apply(Self self, std::uint64_t number, std::string sealed, NodeMailRoom::Share share);
    net::Task<Result<Received>> read_message();
    Result<> on_message(Received received);
    Result<> on_answer(sync::LineAnswer answer);
    void answer(std::uint64_t number, sync::LineVerdict verdict, std::string text);
    net::Task<Result<>> take(std::string sealed);

    Node& node_;
    LinkReceiver& receiver_;
    MailLimits& limits_;
    const LinePeer peer_;
    const UnixMillis opened_;
    std::unique_ptr<net::WebSocket> socket_;
    const net::Executor executor_;
    net::Notifier wake_, pulse_;  // the writer; who pings and closes
    ChangeHub::Subscription stop_;
    std::uint64_t last_received_ = 0;
    std::size_t in_hand_ = 0;  // frames received and not answered

    mutable std::mutex mutex_;
    std::deque<Outgoing> waiting_;
    std::deque<std::string> answers_;
    std::map<std::uint64_t, Unanswered> unanswered_;
    std::uint64_t last_sent_ = 0;
    std::optional<std::string> ended_;
    net::CloseCode close_code_ = net::CloseCode::going_away;
};

}  // namespace fwmail::service
