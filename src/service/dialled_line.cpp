#include "service/dialled_line.hpp"

#include <utility>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "net/dns.hpp"

namespace fwmail::service {
namespace {

constexpr auto ping_interval = std::chrono::seconds(20);
constexpr auto answer_time =
    std::chrono::hours(1);  // a frame's way there, its turn, and the answer's way back

sync::LineAnswer answer_of(std::uint64_t number, const Result<>& taken) {
    using enum sync::LineVerdict;
    if (taken) return {number, applied, {}};
    switch (taken.error().kind) {
        case ErrorKind::usage:
        case ErrorKind::protocol:
        case ErrorKind::refused:
            return {number, refused, sync::line_answer_text(taken.error().text)};
        case ErrorKind::temporary:
            return {number, later, sync::line_answer_text(taken.error().text)};
        case ErrorKind::internal:
            return {number, later, "this server has trouble of its own, try again later"};
    }
    return {number, later, {}};
}

}  // namespace

DialledLine::DialledLine(Node& node, LinkReceiver& receiver, MailLimits& limits, LinePeer peer,
                         std::unique_ptr<net::WebSocket> socket)
    : node_(node),
      receiver_(receiver),
      limits_(limits),
      peer_(std::move(peer)),
      opened_(node.clock()),
      socket_(std::move(socket)),
      executor_(socket_->stream().executor()),
      wake_(executor_),
      pulse_(executor_),
      stop_(node.hub.subscribe(AccountId{}, pulse_)) {
    socket_->set_deadline(net::no_deadline);
    socket_->set_max_message(largest_line_frame(node.config) + sync::line_frame_overhead);
}

void DialledLine::send(std::string sealed, Answered answered) {
    if (sealed.size() > peer_.largest)
        return answered(
            fail(ErrorKind::refused, "the frame has " + std::to_string(sealed.size()) +
                                         " octets, and the peer takes " + std::to_string(peer_.largest) +
                                         ": give max-mail-size in [replicate] the same value on both sides"));
    {
        std::lock_guard lock(mutex_);
        if (!ended_) waiting_.push_back({std::move(sealed), std::exchange(answered, nullptr)});
    }
    if (answered) return answered(fail(ErrorKind::temporary, "the line has ended"));
    wake_.notify();
}

void DialledLine::end(std::string reason, net::CloseCode code) {
    std::vector<Answered> left;
    {
        std::lock_guard lock(mutex_);
        if (ended_) return;
        ended_ = reason;
        close_code_ = code;
        for (auto& outgoing : std::exchange(waiting_, {})) left.push_back(std::move(outgoing.answered));
        for (auto& [number, frame] : std::exchange(unanswered_, {}))
            left.push_back(std::move(frame.answered));
        answers_.clear();
    }
    for (auto& answered : left) answered(fail(ErrorKind::temporary, "the line was lost: " + reason));
    wake_.notify();
    pulse_.notify();
}

bool DialledLine::has_ended() const {
    std::lock_guard lock(mutex_);
    return ended_.has_value();
}

bool DialledLine::waits_in_vain() const {
    std::lock_guard lock(mutex_);
    return !unanswered_.empty() && unanswered_.begin()->second.until < std::chrono::steady_clock::now();
}

net::Task<std::string> DialledLine::run() {
    node_.runtime.spawn_on(executor_, "line", write(shared_from_this()));
    node_.runtime.spawn_on(executor_, "line", keep_alive(shared_from_this()));
    while (!has_ended()) {
        auto received = co_await read_message();
        auto taken = received ? on_message(std::move(*received)) : fail(received.error());
        if (!taken)
            end(taken.error().text, taken.error().kind == ErrorKind::protocol ? net::CloseCode::protocol_error
                                                                              : net::CloseCode::going_away);
    }
    std::lock_guard lock(mutex_);
    co_return *ended_;
}

// Answers first: the peer's window waits for them.
std::optional<std::string> DialledLine::next_message() {
    std::lock_guard lock(mutex_);
    if (!answers_.empty()) {
        std::string octets = std::move(answers_.front());
        answers_.pop_front();
        return octets;
    }
    if (waiting_.empty() || unanswered_.size() >= sync::line_window) return std::nullopt;
    auto outgoing = std::move(waiting_.front());
    waiting_.pop_front();
    unanswered_.emplace(++last_sent_,
                        Unanswered{std::move(outgoing.answered), net::deadline_after(answer_time)});
    return sync::write_line_message(sync::LineFrame{last_sent_, std::move(outgoing.sealed)});
}

net::Task<> DialledLine::write(Self) {
    while (!has_ended()) {
        auto octets = next_message();
        if (!octets) {
            (void)co_await wake_.wait();
            continue;
        }
        auto written = co_await socket_->write(*octets);
        if (!written) end(written.error().text);
    }
}

// The reader finds out that nothing comes; here something goes, so that the peer's does not.
net::Task<> DialledLine::keep_alive(Self) {
    while (!has_ended()) {
        bool woken = co_await pulse_.wait(net::deadline_after(ping_interval));
        auto link = node_.links.find(peer_.link.link.peer);
        if (node_.stopping)
            end("this server stops", net::CloseCode::going_away);
        else if (!link || link->peer_key != peer_.link.peer_key)
            end("the link is no longer active");
        else if (waits_in_vain())
            end("a frame has no answer for an hour");
        else if (!woken) {
            auto pinged = co_await socket_->ping();
            if (!pinged) end(pinged.error().text);
        }
    }
    std::string reason;
    {
        std::lock_guard lock(mutex_);
        reason = *ended_;
    }
    co_await socket_->close(close_code_, std::move(reason));
}

net::Task<Result<DialledLine::Received>> DialledLine::read_message() {
    Received received;
    for (;;) {
        auto piece = CO_TRY(co_await socket_->read_some());
        // Without room the beginning is kept: who is to be answered stands there.
        bool beginning = received.octets.size() < sync::line_frame_overhead;
        if (!received.no_room && !received.share.grow(receiver_.room(), piece.octets.size()))
            received.no_room = true;
        if (!received.no_room || beginning) received.octets += piece.octets;
        if (piece.last) co_return std::move(received);
    }
}

Result<> DialledLine::on_message(Received received) {
    auto message = TRY(sync::parse_line_message(received.octets));
    if (auto* answer = std::get_if<sync::LineAnswer>(&message)) return on_answer(std::move(*answer));
    auto* frame = std::get_if<sync::LineFrame>(&message);
    if (!frame) return fail(ErrorKind::protocol, "the handshake of the line is over");
    if (frame->number != ++last_received_)
        return fail(ErrorKind::protocol, "frames of the line are not in order");
    if (++in_hand_ > sync::line_window)
        return fail(ErrorKind::protocol, "more frames without an answer than the line takes");
    if (received.no_room) {
        answer(frame->number, sync::LineVerdict::later, "too much node mail is under way, try again later");
        return {};
    }
    received.octets = {};
    node_.runtime.spawn_on(
        executor_, "line",
        apply(shared_from_this(), frame->number, std::move(frame->sealed), std::move(received.share)));
    return {};
}

Result<> DialledLine::on_answer(sync::LineAnswer answer) {
    Answered answered;
    {
        std::lock_guard lock(mutex_);
        auto found = unanswered_.extract(answer.number);
        if (found) answered = std::move(found.mapped().answered);
    }
    if (!answered) return fail(ErrorKind::protocol, "an answer to a frame that was not sent");
    wake_.notify();
    switch (answer.verdict) {
        case sync::LineVerdict::applied:
            answered({});
            return {};
        case sync::LineVerdict::later:
            answered(fail(ErrorKind::temporary, std::move(answer.text)));
            return {};
        case sync::LineVerdict::refused:
            answered(fail(ErrorKind::refused, std::move(answer.text)));
            return {};
    }
    return {};
}

net::Task<> DialledLine::apply(Self, std::uint64_t number, std::string sealed, NodeMailRoom::Share) {
    auto taken = co_await take(std::move(sealed));
    crash_point("line.applied");
    auto outcome = answer_of(number, taken);
    answer(number, outcome.verdict, std::move(outcome.text));
}

net::Task<Result<>> DialledLine::take(std::string sealed) {
    if (!limits_.address_mails.take(net::limited_as(peer_address())))
        co_return fail(ErrorKind::temporary, "too many mails within an hour, try again later");
    co_return co_await receiver_.receive_frame(peer_.link.link.peer, std::move(sealed));
}

void DialledLine::answer(std::uint64_t number, sync::LineVerdict verdict, std::string text) {
    --in_hand_;
    std::string octets = sync::write_line_message(sync::LineAnswer{number, verdict, std::move(text)});
    {
        std::lock_guard lock(mutex_);
        if (ended_) return;
        answers_.push_back(std::move(octets));
    }
    wake_.notify();
}

}  // namespace fwmail::service
