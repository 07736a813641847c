#include "service/smtp_driver.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <span>

#include "base/co_try.hpp"
#include "service/mail_receiver.hpp"
#include "smtp/server_session.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t read_size = 64 * 1024;  // held while it is read only
constexpr auto write_time = std::chrono::minutes(5);
constexpr auto command_time = std::chrono::minutes(10);  // from our last reply to the whole next command
constexpr auto idle_time = std::chrono::minutes(30);     // from one message's end to the next one's beginning

class SmtpConnection {
  public:
    SmtpConnection(Node& node, Intake& intake, LinkReceiver& links, MailLimits& limits, MailService service,
                   net::StreamPtr stream)
        : node_(node),
          stream_(std::move(stream)),
          service_(service),
          wake_(stream_->executor()),
          stop_(node.hub.subscribe(AccountId{}, wake_)),
          receiver_(node, intake, links, limits, service, stream_->peer_address()),
          session_(config()) {
        receiver_.bind_to(*stream_);
    }

    net::Task<> run() {
        auto result = co_await perform(session_.start());
        while (result && !session_.is_closed()) {
            auto limit = session_.deadline();
            auto deadline = limit ? net::deadline_after(*limit) : net::no_deadline;
            // An octet now and then must not hold a connection for ever.
            bool in_data = session_.in_data();
            deadline = std::min(deadline, last_said_ + (in_data ? message_time_ : command_time));
            if (!in_data) deadline = std::min(deadline, last_message_ + idle_time);
            auto wake = co_await stream_->wait_readable(wake_, deadline);
            if (node_.stopping) {
                result = co_await perform(session_.on_shutdown());
            } else if (wake == net::Wake::deadline) {
                result = co_await perform(session_.on_deadline());
            } else if (wake == net::Wake::readable) {
                auto buffer = std::make_unique_for_overwrite<char[]>(read_size);
                auto got = co_await stream_->read_some(std::span(buffer.get(), read_size), deadline);
                if (!got || *got == 0) break;
                auto actions = session_.on_bytes({buffer.get(), *got});
                buffer.reset();
                result = co_await perform(std::move(actions));
            }
            if (session_.in_data()) last_message_ = std::chrono::steady_clock::now();
        }
        if (!session_.abuse().empty())
            node_.log.warning("smtp", stream_->peer_address() + " was sent away: " + session_.abuse());
        if (!result && result.error().kind == ErrorKind::internal)
            node_.log.error("smtp", result.error().text);
        if (!session_.is_closed()) co_await perform_quietly(session_.on_closed());
        if (result) (void)co_await stream_->shutdown(net::deadline_after(std::chrono::seconds(5)));
    }

  private:
    smtp::ServerConfig config() const {
        smtp::ServerConfig config;
        config.hostname = node_.host_name();
        config.max_message_size = node_.config.octets("smtp.max-message-size");
        config.max_recipients = static_cast<std::size_t>(node_.config.count("smtp.max-recipients"));
        config.offer_starttls = node_.tls != nullptr && !stream_->tls();
        config.tls_from_start = stream_->tls();
        config.lmtp = service_ == MailService::delivery;
        if (service_ == MailService::submission) {
            config.auth_mechanisms.assign(sasl::offered.begin(), sasl::offered.end());
            config.require_auth = true;
            config.clear_auth = net::is_loopback(stream_->peer_address());
        }
        return config;
    }

    net::Task<> perform_quietly(smtp::ServerActions actions) {
        for (auto& action : actions)
            if (auto* ask = std::get_if<smtp::Ask>(&action);
                ask && std::holds_alternative<smtp::Abort>(ask->request))
                co_await receiver_.abort();
    }

    net::Task<smtp::Reply> answer(smtp::Request request) {
        if (auto* mail = std::get_if<smtp::MailFrom>(&request))
            co_return co_await receiver_.begin(std::move(*mail));
        if (auto* rcpt = std::get_if<smtp::RcptTo>(&request))
            co_return co_await receiver_.recipient(std::move(*rcpt));
        if (std::holds_alternative<smtp::DataBegin>(request))
            co_return co_await receiver_.data(session_.helo(), session_.protocol());
        if (auto* start = std::get_if<smtp::AuthStart>(&request))
            co_return co_await receiver_.log_in(std::move(*start));
        if (auto* response = std::get_if<smtp::AuthResponse>(&request))
            co_return co_await receiver_.log_in(std::move(*response));
        co_return smtp::Reply{502, {5, 5, 1}, "not offered here"};
    }

    net::Task<Result<>> perform(smtp::ServerActions actions) {
        std::deque<smtp::ServerAction> todo(std::make_move_iterator(actions.begin()),
                                            std::make_move_iterator(actions.end()));
        std::string out;
        while (!todo.empty()) {
            smtp::ServerAction action = std::move(todo.front());
            todo.pop_front();
            smtp::ServerActions more;
            if (auto* send = std::get_if<smtp::Send>(&action)) {
                out += send->octets;
            } else if (auto* ask = std::get_if<smtp::Ask>(&action)) {
                if (auto* chunk = std::get_if<smtp::MessageChunk>(&ask->request)) {
                    co_await receiver_.chunk(std::move(chunk->octets));
                } else if (std::holds_alternative<smtp::Abort>(ask->request)) {
                    co_await receiver_.abort();
                } else {
                    std::vector<smtp::Reply> replies;
                    if (auto* end = std::get_if<smtp::MessageEnd>(&ask->request))
                        replies = co_await receiver_.end(end->replies);
                    else
                        replies.push_back(co_await answer(std::move(ask->request)));
                    for (const auto& reply : replies)
                        for (auto& next : session_.on_reply(reply)) more.push_back(std::move(next));
                }
            } else if (auto* pause = std::get_if<smtp::Pause>(&action)) {
                if (!node_.stopping) co_await net::sleep_for(pause->time);
            } else if (std::holds_alternative<smtp::StartTls>(action)) {
                CO_TRY(co_await stream_->write_all(out, net::deadline_after(write_time)));
                out.clear();
                CO_TRY(co_await stream_->start_tls_server(node_.tls,
                                                          net::deadline_after(std::chrono::seconds(30))));
                receiver_.bind_to(*stream_);
                more = session_.on_tls_started();
            }
            for (auto& next : more) todo.push_back(std::move(next));
        }
        if (out.empty()) co_return Result<>();
        auto written = co_await stream_->write_all(out, net::deadline_after(write_time));
        last_said_ = std::chrono::steady_clock::now();
        co_return written;
    }

    Node& node_;
    net::StreamPtr stream_;
    const MailService service_;
    net::Notifier wake_;
    ChangeHub::Subscription stop_;
    MailReceiver receiver_;
    smtp::ServerSession session_;
    const std::chrono::seconds message_time_ = node_.config.duration("smtp.message-time");
    net::Deadline last_said_ = std::chrono::steady_clock::now(), last_message_ = last_said_;
};

}  // namespace

net::Task<> serve_smtp(Node& node, Intake& intake, LinkReceiver& links, MailLimits& limits,
                       MailService service, net::StreamPtr stream) {
    auto connection =
        std::make_unique<SmtpConnection>(node, intake, links, limits, service, std::move(stream));
    co_await connection->run();
}

}  // namespace fwmail::service
