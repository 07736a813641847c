#include "service/dialled_lines.hpp"

#include <algorithm>
#include <utility>

#include "base/co_try.hpp"
#include "base/random.hpp"
#include "service/tls_options.hpp"
#include "smtp/backoff.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::service {
namespace {

constexpr auto handshake_time = std::chrono::seconds(10);
constexpr auto dial_time = std::chrono::seconds(30);
constexpr auto settled = std::chrono::seconds(10);       // a line that lasted so long was a good one
constexpr auto unlinked_wait = std::chrono::seconds(2);  // until `link accept` is looked for again

// Doubling to a minute, spread by a quarter, so that not all dial at once whom a failure has cut off.
net::Deadline next_dial(unsigned failures) {
    std::uint8_t octet = 0;
    fill_random({&octet, 1});
    auto wait = smtp::RetrySchedule{.first_ms = 1'000, .longest_ms = 60'000}.wait_ms(failures);
    return net::deadline_after(std::chrono::milliseconds(wait * (192 + octet / 2) / 256));
}

net::WebSocketOptions handshake_options() {
    net::WebSocketOptions options;
    options.subprotocol = sync::line_protocol;
    options.max_message = sync::max_handshake_octets;
    return options;
}

net::Task<Result<std::string>> sealed_of(Node& node, std::string node_mail) {
    auto job = [mail = std::move(node_mail)](store::SystemStore&) -> Result<std::string> {
        return TRY(sync::parse_node_mail(mail)).content;
    };
    co_return co_await node.read(store::system_file, std::move(job));
}

}  // namespace

Result<> DialledLines::check(const config::Config& config, bool listens) {
    bool remote = config.role() == config::role_remote;
    for (const auto& name : config.names("link")) {
        if (!is_dialled(config, name)) continue;
        if (remote && !listens)
            return fail(
                ErrorKind::usage,
                "link." + name + ".dialled wants a place to be dialled at: set listen in [websocket]");
        if (!remote) TRY(tls_options_of(config, "link." + name, true));
    }
    return {};
}

net::Task<> DialledLines::serve(net::StreamPtr stream) {
    std::string address = stream->peer_address();
    auto deadline = net::deadline_after(handshake_time);
    auto socket = co_await net::WebSocket::accept(std::move(stream), handshake_options(), deadline);
    Result<LinePeer> peer = fail(ErrorKind::refused, "");
    if (socket)
        peer = co_await greet_line_client(node_, **socket);
    else
        peer = fail(socket.error());
    if (peer) {
        co_await keep(std::move(*peer), std::move(*socket));
        co_return;
    }
    auto level = refusals_.take(net::limited_as(address)) ? LogLevel::warning : LogLevel::debug;
    node_.log.write(level, "line", "a line from " + address + " is refused: " + peer.error().text);
    if (socket) co_await (*socket)->close(net::CloseCode::policy_violation, {});
}

void DialledLines::dial_all() {
    for (const auto& name : node_.config.names("link"))
        if (is_dialled(node_.config, name)) node_.runtime.spawn("line", dial(name));
}

net::Task<> DialledLines::dial(std::string name) {
    net::Notifier wake(co_await boost::asio::this_coro::executor);
    auto stop = node_.hub.subscribe(AccountId{}, wake);
    std::string section = "link." + name, told;
    auto to = node_.config.host_port(section + ".dial");
    unsigned failures = 0;
    while (!node_.stopping) {
        auto link = find_by_name(name);
        if (!link) {
            (void)co_await wake.wait(net::deadline_after(unlinked_wait));
            continue;
        }
        auto began = std::chrono::steady_clock::now();
        // Anew each time: the file of certificates may have changed.
        auto options = tls_options_of(node_.config, section, true);
        auto tls = options ? net::TlsClient::make(*options) : fail(options.error());
        Result<> lasted;
        if (tls)
            lasted = co_await dial_once(*link, to, *tls);
        else
            lasted = fail(tls.error());
        if (node_.stopping) co_return;
        failures = lasted && std::chrono::steady_clock::now() - began > settled ? 1 : failures + 1;
        std::string why = lasted ? std::string() : lasted.error().text;
        if (!lasted) note(link->link.peer, nullptr, why);
        if (std::exchange(told, why) != why && !why.empty())
            node_.log.warning("line", "link " + name + ": " + to.text() + " is dialled in vain: " + why +
                                          "; it is tried again, each minute in the end");
        (void)co_await wake.wait(next_dial(failures));
    }
}

net::Task<Result<>> DialledLines::dial_once(LinkRecord link, net::HostPort to,
                                            std::shared_ptr<net::TlsClient> tls) {
    auto deadline = net::deadline_after(dial_time);
    auto stream = CO_TRY(co_await net::connect(node_.resolver, to, deadline));
    CO_TRY(co_await stream->start_tls_client(tls, to.host, deadline));
    auto socket =
        CO_TRY(co_await net::WebSocket::connect(std::move(stream), to.text(), handshake_options(), deadline));
    auto peer = co_await greet_line_server(node_, *socket, std::move(link));
    if (!peer) {
        co_await socket->close(net::CloseCode::policy_violation, {});
        co_return fail(peer.error());
    }
    co_await keep(std::move(*peer), std::move(socket));
    co_return Result<>();
}

net::Task<> DialledLines::keep(LinePeer peer, std::unique_ptr<net::WebSocket> socket) {
    NodeId id = peer.link.link.peer;
    std::string tls = socket->stream().tls_summary();
    auto line = std::make_shared<DialledLine>(node_, receiver_, limits_, std::move(peer), std::move(socket));
    std::string about = "link " + line->link().link.name + ": the line with " + line->peer_address();
    Line before;
    {
        std::lock_guard lock(mutex_);
        before = std::exchange(lines_[id], line);
        errors_.erase(id);
    }
    if (before) before->end("a newer line of this link has taken its place");
    node_.log.info("line", about + " is open, " + tls);
    opened_(id);
    std::string why = co_await line->run();
    note(id, line, why);
    node_.log.write(node_.stopping ? LogLevel::info : LogLevel::warning, "line", about + " is lost: " + why);
}

// `line`: it has ended, and unless another one has taken its place, this is why.
void DialledLines::note(NodeId link, const Line& line, std::string error) {
    std::lock_guard lock(mutex_);
    auto found = lines_.find(link);
    if (line) {
        if (found == lines_.end() || found->second != line) return;
        lines_.erase(found);
    }
    errors_[link] = std::move(error);
}

std::optional<LinkRecord> DialledLines::find_by_name(const std::string& name) const {
    auto links = node_.links.all();
    auto found = std::ranges::find_if(*links, [&](const auto& record) { return record.link.name == name; });
    return found == links->end() ? std::nullopt : std::optional(*found);
}

void DialledLines::forget() {
    std::lock_guard lock(mutex_);
    lines_.clear();
}

bool DialledLines::is_open(NodeId link) const {
    std::lock_guard lock(mutex_);
    return lines_.contains(link);
}

std::map<NodeId, LineState> DialledLines::states() const {
    std::map<NodeId, LineState> states;
    std::lock_guard lock(mutex_);
    for (const auto& [link, error] : errors_) states[link].error = error;
    for (const auto& [link, line] : lines_) states[link].open_since = line->opened();
    return states;
}

net::Task<Result<>> DialledLines::send(NodeId link, std::string node_mail) {
    Line line;
    std::string why;
    {
        std::lock_guard lock(mutex_);
        if (auto found = lines_.find(link); found != lines_.end()) line = found->second;
        if (auto error = errors_.find(link); error != errors_.end()) why = ": " + error->second;
    }
    if (!line) co_return fail(ErrorKind::temporary, "the line is not open" + why);
    std::string sealed = CO_TRY(co_await sealed_of(node_, std::move(node_mail)));
    std::function<void(std::function<void(Result<>)>)> start = [line,
                                                                &sealed](std::function<void(Result<>)> done) {
        line->send(std::move(sealed), std::move(done));
    };
    co_return co_await net::async_from_callback<Result<>>(std::move(start));
}

}  // namespace fwmail::service
