#include "service/imap_client.hpp"

#include "base/co_try.hpp"
#include "net/deflate_stream.hpp"
#include "net/listener.hpp"
#include "service/sasl_login.hpp"

namespace fwmail::service {
namespace {

namespace client = imap::client;
constexpr auto patience = std::chrono::minutes(5);

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

client::Config session_config(const ImapServer& server) {
    client::Config config;
    bool loopback = is_loopback(server.address.host);
    config.tls_from_start = server.implicit_tls;
    config.tls = loopback ? client::TlsPolicy::opportunistic : client::TlsPolicy::required;
    config.clear_auth = loopback;
    config.credentials = client::Credentials{server.user, server.password};
    config.limits.streamed = 1ull << 30;
    config.compress = true;
    return config;
}

}  // namespace

ImapClient::ImapClient(ImapServer server, net::StreamPtr stream, std::shared_ptr<net::TlsClient> tls)
    : name_(server.address.host),
      stream_(std::move(stream)),
      tls_(std::move(tls)),
      session_(session_config(server)) {}

net::Task<Result<std::unique_ptr<ImapClient>>> ImapClient::connect(Node& node, ImapServer server) {
    net::TlsClientOptions options;
    options.ca_file = server.ca_file;
    options.pinned_sha256 = server.pinned_sha256;
    if (!server.pinned_sha256.empty()) options.verify = net::TlsVerify::pin;
    auto tls = CO_TRY(net::TlsClient::make(std::move(options)));
    bool implicit = server.implicit_tls;
    auto stream = CO_TRY(
        co_await net::connect(node.resolver, server.address, net::deadline_after(std::chrono::minutes(1))));
    std::unique_ptr<ImapClient> made(new ImapClient(std::move(server), std::move(stream), std::move(tls)));
    if (implicit)
        CO_TRY(co_await made->stream_->start_tls_client(made->tls_, made->name_,
                                                        net::deadline_after(std::chrono::seconds(30))));
    made->session_.bind_to(bindings_of(*made->stream_));
    for (;;) {
        auto event = CO_TRY(co_await made->next());
        if (std::holds_alternative<client::Ready>(event)) co_return made;
    }
}

net::Task<Result<>> ImapClient::perform(client::Events events) {
    for (auto& event : events) {
        if (auto* send = std::get_if<client::Send>(&event)) {
            auto sent = co_await stream_->write_all(send->octets, net::deadline_after(patience));
            wipe(send->octets);
            if (!sent) co_return sent;
        } else if (std::holds_alternative<client::StartTls>(event)) {
            CO_TRY(co_await stream_->start_tls_client(tls_, name_,
                                                      net::deadline_after(std::chrono::seconds(30))));
            session_.bind_to(bindings_of(*stream_));
            auto more = session_.on_tls_started();
            for (auto& next : more) {  // CAPABILITY, nothing else
                auto* line = std::get_if<client::Send>(&next);
                if (line) CO_TRY(co_await stream_->write_all(line->octets, net::deadline_after(patience)));
            }
        } else if (std::holds_alternative<client::StartCompression>(event)) {
            stream_ = net::make_deflate_stream(std::move(stream_));
        } else if (!std::holds_alternative<client::Close>(event)) {
            events_.push_back(std::move(event));
        }
    }
    co_return Result<>();
}

net::Task<Result<>> ImapClient::read() {
    auto limit = session_.deadline();
    auto got = co_await stream_->read_some(buffer_, net::deadline_after(limit ? *limit : patience));
    if (!got || *got == 0) co_return co_await perform(session_.on_closed());
    co_return co_await perform(session_.on_bytes({buffer_.data(), *got}));
}

net::Task<Result<client::Event>> ImapClient::next() {
    while (events_.empty()) {
        if (session_.is_closed()) co_return fail(ErrorKind::temporary, name_ + ": the connection has ended");
        CO_TRY(co_await read());
    }
    client::Event event = std::move(events_.front());
    events_.pop_front();
    if (auto* failed = std::get_if<client::Failed>(&event)) {
        // RFC 9051 7.1.5: after the login a BYE is about this connection only.
        bool passing = !failed->refused || failed->phase == client::Phase::commands;
        co_return std::unexpected(error_of(failed->text, failed->code, passing));
    }
    co_return event;
}

Error ImapClient::error_of(std::string_view text, std::string_view code, bool passing) const {
    passing = passing || client::is_passing(code);
    return {passing ? ErrorKind::temporary : ErrorKind::refused,
            name_ + ": " + std::string(text.substr(0, 300)) + (passing ? " (try again later)" : "")};
}

net::Task<Result<>> ImapClient::give(client::Command command) {
    co_return co_await perform(session_.command(std::move(command)));
}

net::Task<Result<>> ImapClient::append_content(std::string octets) {
    co_return co_await perform(session_.append_content(octets));
}

net::Task<Result<client::Answer>> ImapClient::run(client::Command command) {
    CO_TRY(co_await give(std::move(command)));
    for (;;) {
        auto event = CO_TRY(co_await next());
        auto* answer = std::get_if<client::Answer>(&event);
        if (!answer) continue;
        if (!answer->ok) co_return std::unexpected(error_of(answer->text, answer->code));
        co_return std::move(*answer);
    }
}

net::Task<> ImapClient::log_out() {
    if (!session_.is_closed()) (void)co_await run(client::Logout{});
    (void)co_await stream_->shutdown(net::deadline_after(std::chrono::seconds(5)));
}

}  // namespace fwmail::service
