#include "service/pop3_driver.hpp"

#include <deque>
#include <memory>
#include <span>

#include "service/maildrop_service.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t read_size = 4 * 1024, flush_at = 64 * 1024;
constexpr auto login_time = std::chrono::seconds(60);  // from the connection's beginning
constexpr auto command_time =
    std::chrono::minutes(11);  // from our last reply to the whole next command (RFC 1939 3)
constexpr auto write_time = std::chrono::minutes(5);  // for one buffer to a slow reader

class Pop3Connection {
  public:
    Pop3Connection(Node& node, net::StreamPtr stream)
        : node_(node),
          stream_(std::move(stream)),
          wake_(stream_->executor()),
          stop_(node.hub.subscribe(AccountId{}, wake_)),
          service_(node, stream_->peer_address()),
          session_(config()) {
        service_.bind_to(*stream_);
    }

    net::Task<> run() {
        auto connected = std::chrono::steady_clock::now();
        auto result = co_await perform(session_.start());
        while (result && !session_.is_closed()) {
            auto limit = session_.deadline();
            auto deadline = limit ? net::deadline_after(*limit) : net::no_deadline;
            // An octet now and then must not hold a connection for ever.
            deadline = std::min(
                deadline, session_.is_before_login() ? connected + login_time : last_said_ + command_time);
            auto wake = co_await stream_->wait_readable(wake_, deadline);
            if (node_.stopping) {
                result = co_await perform(session_.on_shutdown());
            } else if (wake == net::Wake::deadline) {
                result = co_await perform(session_.on_deadline());
            } else if (wake == net::Wake::readable) {
                // Only while there is something to read: thousands of sessions are idle.
                auto buffer = std::make_unique_for_overwrite<char[]>(read_size);
                auto got = co_await stream_->read_some(std::span(buffer.get(), read_size), deadline);
                if (!got || *got == 0) break;  // without QUIT: nothing is removed
                auto actions = session_.on_bytes({buffer.get(), *got});
                buffer.reset();
                result = co_await perform(std::move(actions));
            }
        }
        if (result) (void)co_await stream_->shutdown(net::deadline_after(std::chrono::seconds(5)));
    }

  private:
    pop3::ServerConfig config() const {
        pop3::ServerConfig config;
        config.hostname = node_.host_name();
        config.offer_stls = node_.tls != nullptr && !stream_->tls();
        config.tls_from_start = stream_->tls();
        config.clear_login = net::is_loopback(stream_->peer_address());
        return config;
    }

    net::Task<Result<>> flush() {
        if (out_.empty()) co_return Result<>();
        std::string octets = std::move(out_);
        out_.clear();
        auto written = co_await stream_->write_all(octets, net::deadline_after(write_time));
        last_said_ = std::chrono::steady_clock::now();
        co_return written;
    }

    // The next piece of a message, once what came before it has left.
    net::Task<Result<pop3::ServerActions>> body_actions() {
        if (out_.size() >= flush_at) CO_TRY(co_await flush());
        auto piece = co_await service_.next_piece();
        if (!piece) co_return session_.on_body_failed();
        co_return piece->empty() ? session_.on_body_end() : session_.on_body(*piece);
    }

    net::Task<Result<>> perform(pop3::ServerActions actions) {
        std::deque<pop3::ServerAction> todo(std::make_move_iterator(actions.begin()),
                                            std::make_move_iterator(actions.end()));
        while (!todo.empty() || session_.wants_body()) {
            pop3::ServerActions more;
            if (todo.empty()) {
                more = CO_TRY(co_await body_actions());
            } else {
                pop3::ServerAction action = std::move(todo.front());
                todo.pop_front();
                if (auto* send = std::get_if<pop3::Send>(&action)) {
                    out_ += send->octets;
                } else if (auto* ask = std::get_if<pop3::Ask>(&action)) {
                    auto reply = co_await service_.execute(std::move(ask->request));
                    more = session_.on_reply(std::move(reply));
                } else if (std::holds_alternative<pop3::Continue>(action)) {
                    CO_TRY(co_await flush());
                    more = session_.on_continue();
                } else if (std::holds_alternative<pop3::StartTls>(action)) {
                    CO_TRY(co_await flush());
                    CO_TRY(co_await stream_->start_tls_server(node_.tls,
                                                              net::deadline_after(std::chrono::seconds(30))));
                    service_.bind_to(*stream_);
                    more = session_.on_tls_started();
                }
            }
            for (auto& next : more) todo.push_back(std::move(next));
        }
        co_return co_await flush();
    }

    Node& node_;
    net::StreamPtr stream_;
    net::Notifier wake_;
    ChangeHub::Subscription stop_;
    MaildropService service_;
    pop3::ServerSession session_;
    std::string out_;
    net::Deadline last_said_ = std::chrono::steady_clock::now();
};

}  // namespace

net::Task<> serve_pop3(Node& node, net::StreamPtr stream) {
    auto connection = std::make_unique<Pop3Connection>(node, std::move(stream));
    co_await connection->run();
}

}  // namespace fwmail::service
