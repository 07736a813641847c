#include "imap/server_session.hpp"

#include <utility>

#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

// While a request is under way no more than this is taken in.
constexpr std::size_t most_kept = 64 * 1024;

Actions take(SessionCore& core) { return std::exchange(core.actions, {}); }

}  // namespace

ServerSession::ServerSession(ServerOptions options)
    : core_(std::make_unique<SessionCore>(std::move(options))) {}
ServerSession::~ServerSession() = default;
ServerSession::ServerSession(ServerSession&&) noexcept = default;
ServerSession& ServerSession::operator=(ServerSession&&) noexcept = default;

Actions ServerSession::start() {
    core_->send("* OK [CAPABILITY " + core_->capabilities() + "] " +
                write_text(core_->options.greeting_name) + " ready\r\n");
    return take(*core_);
}

Actions ServerSession::on_bytes(std::string_view octets) {
    if (!core_->closed && !core_->awaiting_tls) core_->framer.feed(octets);
    core_->run();
    return take(*core_);
}

Actions ServerSession::on_reply(Reply reply) {
    core_->on_reply(std::move(reply));
    core_->run();
    return take(*core_);
}

Actions ServerSession::on_mailbox_changed() {
    core_->changed = true;  // also while SELECT is under way: the reply may be older than the change
    core_->run();
    return take(*core_);
}

Actions ServerSession::on_tls_started() {
    if (!core_->awaiting_tls) return {};
    core_->awaiting_tls = false;
    core_->options.tls_active = true;
    core_->framer.discard();
    return take(*core_);
}

Actions ServerSession::on_deadline() {
    core_->bye(core_->authenticated ? "Logged out after a long silence" : "No login in time");
    return take(*core_);
}

Actions ServerSession::on_shutdown() {
    core_->bye("The server is shutting down", "UNAVAILABLE");
    return take(*core_);
}

Actions ServerSession::on_login_void() {
    core_->bye("This login is not valid any more");
    return take(*core_);
}

bool ServerSession::wants_input() const {
    return !core_->closed && (!core_->pending || core_->framer.buffered() < most_kept);
}
bool ServerSession::request_pending() const { return core_->pending; }
bool ServerSession::closed() const { return core_->closed; }

// RFC 9051 5.4: not less than 30 minutes once logged in.
Deadline ServerSession::deadline() const {
    using namespace std::chrono_literals;
    if (!core_->authenticated) return {Deadline::From::connected, 60s};
    if (core_->framer.in_message()) return {Deadline::From::progress, core_->options.message_time};
    if (core_->framer.in_command()) return {Deadline::From::progress, 10min};
    return {Deadline::From::last_input, 30min};
}
std::uint64_t ServerSession::progress() const { return core_->progress; }
const std::string& ServerSession::abuse() const { return core_->abuse; }
bool ServerSession::authenticated() const { return core_->authenticated; }

}  // namespace fwmail::imap
