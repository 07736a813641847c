#include "smtp/server_session.hpp"

#include <string.h>

#include <algorithm>

#include "base/encoding.hpp"

namespace fwmail::smtp {

namespace {

constexpr std::size_t max_auth_line = 12288;  // RFC 4954 4
constexpr unsigned max_bad_lines = 3;
// How far beyond the limit a refused message is read before the connection is cut.
constexpr std::uint64_t swallow_slack = 1u << 20;

bool is_control(char c) { return (c >= 0 && c < ' ') || c == 127; }

// What the backend says must be fit to be sent in answer to a command.
Reply sane(Reply reply) {
    if (!reply.positive() && !reply.temporary() && !(reply.permanent() && reply.code < 600))
        reply = {451, {4, 3, 0}, "internal trouble, try again later"};
    auto status_class = static_cast<std::uint16_t>(reply.code / 100);
    if (reply.status.status_class != status_class) reply.status = {status_class, 0, 0};
    return reply;
}

}  // namespace

bool wants_reply(const Request& request) {
    return !std::holds_alternative<MessageChunk>(request) && !std::holds_alternative<Abort>(request);
}

ServerSession::ServerSession(ServerConfig config)
    : config_(std::move(config)), tls_(config_.tls_from_start) {}

ServerActions ServerSession::start() {
    send(220, {}, config_.hostname + (config_.lmtp ? " LMTP fwmail" : " ESMTP fwmail"));
    return take_actions();
}

ServerActions ServerSession::on_bytes(std::string_view octets) {
    if (state_ == State::closed || state_ == State::starting_tls) return {};
    buffer_ += octets;
    return run();
}

ServerActions ServerSession::on_reply(const Reply& given) {
    if (state_ == State::closed || pending_ == Pending::none) return {};
    Pending pending = std::exchange(pending_, Pending::none);
    Reply reply = given;
    switch (pending) {
        case Pending::none:
            break;
        case Pending::mail:
            reply = sane(std::move(reply));
            in_transaction_ = reply.positive();
            send(reply);
            if (!in_transaction_) idle_command();
            break;
        case Pending::rcpt:
            reply = sane(std::move(reply));
            on_rcpt_reply(reply);
            break;
        case Pending::data_begin:
            if (reply.positive() || reply.intermediate()) {
                unstuffer_ = {};
                message_size_ = 0;
                discarding_ = false;
                state_ = State::data;
                send(354, {}, "go on; end with <CRLF>.<CRLF>");
            } else {
                reply = sane(std::move(reply));
                send(reply);
            }
            break;
        case Pending::message_end:
            reply = sane(std::move(reply));
            on_end_reply(reply);
            break;
        case Pending::auth:
            on_auth_reply(reply);
            break;
    }
    if (reply.code == 421) {
        abort_transaction();
        close();
    } else if (closing_ && pending_ == Pending::none) {
        end_with_421({4, 3, 2}, "the server is shutting down");
    }
    return run();
}

ServerActions ServerSession::on_tls_started() {
    if (state_ != State::starting_tls) return {};
    state_ = State::command;
    tls_ = true;
    esmtp_ = authenticated_ = false;
    helo_.clear();
    return take_actions();
}

ServerActions ServerSession::on_deadline() {
    if (state_ == State::starting_tls) return on_closed();  // nothing can be said in the midst of a handshake
    if (state_ != State::closed && pending_ == Pending::none)
        end_with_421({4, 4, 2}, "you were silent for too long");
    return take_actions();
}

ServerActions ServerSession::on_shutdown() {
    if (state_ == State::closed) return {};
    if (state_ == State::starting_tls) return on_closed();
    closing_ = true;
    if (pending_ == Pending::none) end_with_421({4, 3, 2}, "the server is shutting down");
    return take_actions();
}

ServerActions ServerSession::on_closed() {
    if (state_ == State::closed) return {};
    // A message that was handed over whole is the backend's to decide, even if the client cannot learn of it.
    if (pending_ == Pending::mail) in_transaction_ = true;
    if (pending_ == Pending::message_end) in_transaction_ = false;
    pending_ = Pending::none;
    abort_transaction();
    state_ = State::closed;
    buffer_.clear();
    return take_actions();
}

bool ServerSession::wants_input() const {
    return state_ != State::closed && buffer_.size() - position_ < config_.max_buffer;
}

// RFC 5321 4.5.3.2.7 and 4.5.3.2.5
std::optional<std::chrono::seconds> ServerSession::deadline() const {
    if (state_ == State::closed || pending_ != Pending::none) return std::nullopt;
    return std::chrono::minutes(state_ == State::data ? 3 : 5);
}

// RFC 3848
std::string ServerSession::protocol() const {
    if (!esmtp_ && !config_.lmtp) return "SMTP";
    return std::string(config_.lmtp ? "LMTP" : "ESMTP") + (tls_ ? "S" : "") + (authenticated_ ? "A" : "");
}

ServerActions ServerSession::take_actions() { return std::exchange(actions_, {}); }

ServerActions ServerSession::run() {
    bool progress = true;
    while (progress && pending_ == Pending::none && state_ != State::closed && state_ != State::starting_tls)
        progress = state_ == State::data ? run_data() : run_command_line();
    if (position_ > buffer_.size() / 2) {
        buffer_.erase(0, position_);
        position_ = 0;
    }
    return take_actions();
}

// One line out of the buffer, if there is a whole one.
bool ServerSession::run_command_line() {
    std::size_t longest =
        state_ == State::auth ? std::max(max_auth_line, config_.max_line) : config_.max_line;
    std::size_t end = buffer_.find('\n', position_);
    std::size_t length = (end == std::string::npos ? buffer_.size() : end + 1) - position_;
    if (end == std::string::npos) {
        if (length >= longest || skipping_line_) {
            skipping_line_ = true;
            position_ = buffer_.size();
        }
        return false;
    }
    // A copy, since a handler may clear the buffer; wiped, since it may hold a password.
    std::string text = buffer_.substr(position_, length);
    explicit_bzero(buffer_.data() + position_, length);
    std::string_view line = text;
    position_ = end + 1;
    if (std::exchange(skipping_line_, false) || length > longest) {
        state_ = State::command;
        error(500, {5, 5, 2}, "the line is too long");
    } else if (!line.ends_with("\r\n")) {
        bad_line("lines must end in CRLF");
    } else if (line.remove_suffix(2); std::ranges::any_of(line, is_control)) {
        bad_line("control characters have no place in a command");
    } else if (state_ == State::auth) {
        on_auth_line(line);
    } else {
        on_line(line);
    }
    wipe(text);
    return true;
}

bool ServerSession::run_data() {
    std::string_view wire = std::string_view(buffer_).substr(position_);
    if (wire.empty()) return false;
    std::string octets;
    octets.reserve(wire.size());
    position_ += unstuffer_.add(wire, octets);
    message_size_ += octets.size();
    if (!discarding_ && (is_over_limit() || unstuffer_.dangerous())) {
        discarding_ = true;
        replies_due_ = config_.lmtp ? recipients_ : 1;
        abort_transaction();
    }
    if (discarding_ && message_size_ > 2 * config_.max_message_size + swallow_slack) {
        end_with_421({4, 3, 4}, "the message is far too large");
        return false;
    }
    if (!discarding_ && !octets.empty()) actions_.push_back(Ask{MessageChunk{std::move(octets)}});
    if (unstuffer_.done()) finish_message();
    return true;
}

void ServerSession::finish_message() {
    state_ = State::command;
    if (!discarding_) {
        replies_due_ = config_.lmtp ? recipients_ : 1;
        return ask(MessageEnd{message_size_, replies_due_}, Pending::message_end);
    }
    for (std::size_t left = replies_due_; left > 0 && state_ != State::closed; --left) {
        if (is_over_limit())
            send(552, {5, 3, 4},
                 "the message is larger than " + std::to_string(config_.max_message_size) + " octets");
        else if (left > 1)
            send(550, {5, 6, 0}, "a lone dot with a bare CR or LF beside it: refused");
        else
            error(550, {5, 6, 0},
                  "a lone dot with a bare CR or LF beside it: refused, it could hide a second message");
    }
}

// RFC 2033 4.2: one reply for each RCPT that was accepted.
void ServerSession::on_end_reply(const Reply& reply) {
    send(reply);
    if (--replies_due_ > 0 && reply.code != 421) {
        pending_ = Pending::message_end;
        return;
    }
    if (reply.positive()) idle_commands_ = 0;
    in_transaction_ = false;
    recipients_ = 0;
}

void ServerSession::on_auth_line(std::string_view line) {
    state_ = State::command;
    if (line == "*") {
        error(501, {5, 7, 0}, "authentication cancelled");
    } else if (auto octets = base64_decode(line)) {
        ask(AuthResponse{Secret(std::move(*octets))}, Pending::auth);
    } else {
        error(501, {5, 5, 2}, "that is not Base64");
    }
}

void ServerSession::on_auth_reply(const Reply& given) {
    if (given.code == 334) {
        state_ = State::auth;
        actions_.push_back(Send{"334 " + base64_encode(given.text) + "\r\n"});
        return;
    }
    Reply reply = sane(given);
    authenticated_ = reply.positive();
    if (authenticated_) {
        send(reply);
    } else {
        error(reply.code, reply.status, reply.text);
    }
}

void ServerSession::send(Reply reply) {
    std::string octets = write_reply(reply);
    if (!actions_.empty())
        if (auto* last = std::get_if<Send>(&actions_.back())) {
            last->octets += octets;
            return;
        }
    actions_.push_back(Send{std::move(octets)});
}

void ServerSession::error(int code, EnhancedStatus status, std::string text) {
    send(code, status, std::move(text));
    if (++errors_ >= config_.max_errors) end_abuse("too many errors");
}

void ServerSession::idle_command() {
    if (++idle_commands_ >= config_.max_idle_commands) end_abuse("too many commands without a mail");
}

// Whoever tries out names is slowed down, and sent away in the end. An MTA that hands over by LMTP, and who
// has logged in, are known.
void ServerSession::on_rcpt_reply(const Reply& reply) {
    if (reply.positive()) ++recipients_;
    bool counts = reply.permanent() && !config_.lmtp && !authenticated_;
    if (counts && ++refusals_ > config_.slow_refusals) actions_.push_back(Pause{});
    send(reply);
    if (counts && refusals_ >= config_.max_refusals) end_abuse("too many recipients that were refused");
}

void ServerSession::end_abuse(std::string text) {
    if (state_ == State::closed) return;
    abuse_ = text;
    end_with_421({4, 7, 0}, std::move(text));
}

void ServerSession::bad_line(std::string text) {
    state_ = State::command;
    error(500, {5, 5, 2}, std::move(text));
    if (++bad_lines_ >= max_bad_lines) end_abuse("this is not SMTP");
}

void ServerSession::ask(Request request, Pending pending) {
    pending_ = pending;
    actions_.push_back(Ask{std::move(request)});
}

void ServerSession::abort_transaction() {
    if (in_transaction_) actions_.push_back(Ask{Abort{}});
    in_transaction_ = false;
    recipients_ = 0;
}

void ServerSession::end_with_421(EnhancedStatus status, std::string text) {
    if (state_ == State::closed) return;
    abort_transaction();
    send(421, status, config_.hostname + ' ' + text);
    close();
}

void ServerSession::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    buffer_.clear();
    position_ = 0;
    actions_.push_back(Close{});
}

}  // namespace fwmail::smtp
