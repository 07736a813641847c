#include "service/imap_driver.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <span>

#include "base/co_try.hpp"
#include "imap/server_session.hpp"
#include "net/deflate_stream.hpp"
#include "service/mailbox_service.hpp"
#include "service/object_reader.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t read_size = 16 * 1024, flush_at = 64 * 1024;
constexpr auto write_time = std::chrono::minutes(5);  // for one buffer to a slow reader

class ImapConnection {
  public:
    ImapConnection(Node& node, net::StreamPtr stream)
        : node_(node),
          stream_(std::move(stream)),
          changed_(stream_->executor()),
          stop_(node.hub.subscribe(AccountId{}, changed_)),
          service_(node, stream_->peer_address(), changed_, [this] { return stream_->peer_gone(); }),
          session_(options()) {
        service_.bind_to(*stream_);
    }

    net::Task<> run() {
        auto connected = std::chrono::steady_clock::now();
        last_input_ = connected;
        auto last_progress = connected;
        auto progress = session_.progress();
        bool was_partial = false;
        auto result = co_await perform(session_.start());
        while (result && !closed_) {
            auto deadline = session_.deadline();
            auto now = std::chrono::steady_clock::now();
            bool partial = deadline.from == imap::Deadline::From::progress;
            bool moved = std::exchange(progress, session_.progress()) != session_.progress();
            if (moved || !was_partial) last_progress = now;
            was_partial = partial;
            auto from = deadline.from == imap::Deadline::From::connected    ? connected
                        : deadline.from == imap::Deadline::From::last_input ? last_input_
                                                                            : last_progress;
            auto wake = co_await stream_->wait_readable(changed_, from + deadline.after);
            if (node_.stopping) {
                result = co_await perform(session_.on_shutdown());
            } else if (!service_.login_stands()) {
                result = co_await perform(session_.on_login_void());
            } else if (wake == net::Wake::notified) {
                result = co_await perform(session_.on_mailbox_changed());
            } else if (wake == net::Wake::deadline) {
                result = co_await perform(session_.on_deadline());
            } else {
                result = co_await read_and_perform();
            }
        }
        co_await service_.append_abort();
        if (!session_.abuse().empty())
            node_.log.warning("imap", stream_->peer_address() + " was sent away: " + session_.abuse());
        if (!result && result.error().kind == ErrorKind::internal)
            node_.log.error("imap", result.error().text);
        if (result) (void)co_await stream_->shutdown(net::deadline_after(std::chrono::seconds(5)));
    }

  private:
    imap::ServerOptions options() const {
        imap::ServerOptions options;
        options.tls_active = stream_->tls();
        options.starttls_available = !stream_->tls() && node_.tls != nullptr;
        options.plaintext_login_allowed = net::is_loopback(stream_->peer_address());
        options.greeting_name = node_.host_name();
        options.append_limit = node_.config.octets("smtp.max-message-size");
        options.message_time = node_.config.duration("smtp.message-time");
        options.message_limit = node_.config.count("imap.message-limit");
        // RFC 9738 3: not below this.
        if (options.message_limit)
            options.message_limit = std::max<std::uint64_t>(options.message_limit, 1000);
        return options;
    }

    net::Task<Result<>> read_and_perform() {
        // Only while there is something to read: thousands of sessions are idle.
        auto buffer = std::make_unique_for_overwrite<char[]>(read_size);
        auto got =
            co_await stream_->read_some(std::span(buffer.get(), read_size), net::deadline_after(write_time));
        if (!got) co_return std::unexpected(got.error());
        if (*got == 0) co_return fail(ErrorKind::temporary, "the client has gone");
        last_input_ = std::chrono::steady_clock::now();
        auto actions = session_.on_bytes({buffer.get(), *got});
        buffer.reset();
        co_return co_await perform(std::move(actions));
    }

    net::Task<Result<>> flush() {
        if (out_.empty()) co_return Result<>();
        std::string octets = std::move(out_);
        out_.clear();
        co_return co_await stream_->write_all(octets, net::deadline_after(write_time));
    }

    net::Task<Result<>> perform(imap::Actions actions) {
        std::deque<imap::Action> todo(std::make_move_iterator(actions.begin()),
                                      std::make_move_iterator(actions.end()));
        while (!todo.empty() && !closed_) {
            imap::Action action = std::move(todo.front());
            todo.pop_front();
            imap::Actions more;
            if (auto* send = std::get_if<imap::Send>(&action)) {
                if (out_.empty())
                    out_ = std::move(send->octets);
                else
                    out_ += send->octets;
                if (out_.size() >= flush_at) CO_TRY(co_await flush());
            } else if (auto* object = std::get_if<imap::SendObject>(&action)) {
                CO_TRY(co_await send_object(object->range));
            } else if (auto* ask = std::get_if<imap::Ask>(&action)) {
                auto reply = co_await service_.execute(std::move(ask->request));
                more = session_.on_reply(std::move(reply));
            } else if (auto* data = std::get_if<imap::AppendData>(&action)) {
                co_await service_.append_data(std::move(data->octets));
            } else if (std::holds_alternative<imap::AppendAbort>(action)) {
                co_await service_.append_abort();
            } else if (std::holds_alternative<imap::StartTls>(action)) {
                CO_TRY(co_await flush());
                CO_TRY(co_await stream_->start_tls_server(node_.tls,
                                                          net::deadline_after(std::chrono::seconds(30))));
                service_.bind_to(*stream_);
                more = session_.on_tls_started();
            } else if (std::holds_alternative<imap::StartCompression>(action)) {
                CO_TRY(co_await flush());
                stream_ = net::make_deflate_stream(std::move(stream_));
            } else {
                closed_ = true;
            }
            for (auto& next : more) todo.push_back(std::move(next));
        }
        co_return co_await flush();
    }

    net::Task<Result<>> send_object(imap::ObjectRange range) {
        CO_TRY(co_await flush());
        bool encoded = range.encoding != mime::TransferEncoding::identity;
        mime::TransferDecoder decoder(range.encoding);
        std::uint64_t skip = range.skip, left = range.octets();
        ObjectReader reader(node_, range.object, range.offset, range.length);
        for (bool more = true; more && left > 0;) {
            std::string octets = CO_TRY(co_await reader.next());
            more = !octets.empty();
            if (encoded) {
                std::string out;
                decoder.feed(octets, out);
                if (!more) decoder.finish(out);
                std::uint64_t skipped = std::min<std::uint64_t>(skip, out.size());
                skip -= skipped;
                octets = out.substr(skipped, left);
            }
            left -= std::min<std::uint64_t>(left, octets.size());
            CO_TRY(co_await stream_->write_all(octets, net::deadline_after(write_time)));
        }
        // A literal that was promised longer cannot be ended.
        if (left) co_return fail(ErrorKind::internal, "a part decodes to less than was found before");
        co_return Result<>();
    }

    Node& node_;
    net::StreamPtr stream_;
    net::Notifier changed_;
    ChangeHub::Subscription stop_;
    MailboxService service_;
    imap::ServerSession session_;
    std::string out_;
    std::chrono::steady_clock::time_point last_input_;
    bool closed_ = false;
};

}  // namespace

net::Task<> serve_imap(Node& node, net::StreamPtr stream) {
    auto connection = std::make_unique<ImapConnection>(node, std::move(stream));
    co_await connection->run();
}

}  // namespace fwmail::service
