#include "pop3/server_session.hpp"

#include <string.h>

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"

namespace fwmail::pop3 {

namespace {

constexpr std::size_t max_sasl_line = 12288;           // RFC 4954 4; RFC 5034 sets none
constexpr std::size_t list_octets = 16 * 1024;         // of a list, before it is waited until they are sent
constexpr auto autologout = std::chrono::minutes(10);  // RFC 1939 3: at least

bool is_control(char c) { return (c >= 0 && c < ' ') || c == 127; }

}  // namespace

ServerSession::ServerSession(ServerConfig config)
    : config_(std::move(config)), tls_(config_.tls_from_start) {}

ServerActions ServerSession::start() {
    send("+OK " + config_.hostname + " POP3 fwmail");
    return take_actions();
}

ServerActions ServerSession::on_bytes(std::string_view octets) {
    if (state_ == State::closed || state_ == State::starting_tls) return {};
    buffer_ += octets;
    return run();
}

ServerActions ServerSession::on_reply(Reply reply) {
    if (state_ == State::closed) return {};
    switch (std::exchange(pending_, Pending::none)) {
        case Pending::none:
            return {};
        case Pending::login:
            on_login_reply(reply);
            break;
        case Pending::open:
            on_open_reply(reply);
            break;
        case Pending::remove:
            on_remove_reply(reply);
            break;
    }
    return run();
}

void ServerSession::on_login_reply(Reply& reply) {
    if (auto* challenge = std::get_if<AuthChallenge>(&reply)) {
        state_ = State::sasl;
        return send("+ " + base64_encode(challenge->octets));
    }
    if (auto* drop = std::get_if<Maildrop>(&reply)) {
        drop_ = std::move(*drop);
        deleted_.assign(drop_.messages.size(), false);
        count_ = drop_.messages.size();
        for (const auto& message : drop_.messages) octets_ += message.size;
        state_ = State::transaction;
        send("+OK " + std::to_string(count_) + " messages");
        return;
    }
    auto* refusal = std::get_if<Refusal>(&reply);
    refuse(refusal ? refusal->text : "internal trouble, try again later",
           refusal ? refusal->code : "SYS/TEMP");
    if (++login_failures_ >= config_.max_login_failures) close();
}

void ServerSession::on_open_reply(Reply& reply) {
    if (!std::holds_alternative<Done>(reply)) {
        auto* refusal = std::get_if<Refusal>(&reply);
        return refuse(refusal ? refusal->text : "internal trouble, try again later",
                      refusal ? refusal->code : "SYS/TEMP");
    }
    state_ = State::body;
    stuffer_ = {};
    cutter_.reset();
    if (top_lines_) {
        cutter_.emplace(*top_lines_);
        send("+OK the top of it follows");
    } else {
        send("+OK " + std::to_string(drop_.messages[opening_].size) + " octets");
    }
    actions_.push_back(WantBody{});
}

void ServerSession::on_remove_reply(Reply& reply) {
    if (std::holds_alternative<Done>(reply)) return say_goodbye("+OK goodbye");
    auto* refusal = std::get_if<Refusal>(&reply);
    // RFC 1939 6: "some deleted messages not removed"
    refuse(refusal ? refusal->text : "the messages are not removed", refusal ? refusal->code : "SYS/TEMP");
    close();
}

ServerActions ServerSession::on_body(std::string_view octets) {
    if (state_ != State::body) return {};
    if (!cutter_) {
        emit(stuffer_.add(octets));
        return take_actions();
    }
    emit(stuffer_.add(cutter_->take(octets)));
    return cutter_->done() ? on_body_end() : take_actions();
}

ServerActions ServerSession::on_body_end() {
    if (state_ != State::body) return {};
    emit(stuffer_.finish());
    state_ = State::transaction;
    return run();
}

ServerActions ServerSession::on_body_failed() {
    if (state_ == State::body) close();
    return take_actions();
}

ServerActions ServerSession::on_continue() {
    if (state_ != State::listing) return {};
    emit_list();
    return run();
}

ServerActions ServerSession::on_tls_started() {
    if (state_ != State::starting_tls) return {};
    state_ = State::authorization;
    tls_ = true;
    user_.clear();
    return take_actions();
}

ServerActions ServerSession::on_deadline() {
    if (state_ == State::closed || pending_ != Pending::none) return {};
    if (state_ == State::starting_tls || state_ == State::body || state_ == State::listing)
        close();  // nothing can be said in the midst of that
    else
        say_goodbye("-ERR you were silent for too long");
    return take_actions();
}

ServerActions ServerSession::on_shutdown() {
    if (state_ == State::closed) return {};
    closing_ = true;
    return state_ == State::starting_tls ? (close(), take_actions()) : run();
}

bool ServerSession::wants_input() const {
    return state_ != State::closed && buffer_.size() - position_ < config_.max_buffer;
}

std::optional<std::chrono::seconds> ServerSession::deadline() const {
    if (state_ == State::closed || pending_ != Pending::none) return std::nullopt;
    return autologout;
}

ServerActions ServerSession::take_actions() { return std::exchange(actions_, {}); }

ServerActions ServerSession::run() {
    auto takes_lines = [&] {
        return pending_ == Pending::none &&
               (state_ == State::authorization || state_ == State::sasl || state_ == State::transaction);
    };
    if (closing_ && takes_lines()) say_goodbye("-ERR [SYS/TEMP] the server is shutting down");
    while (takes_lines() && run_line()) {
    }
    if (position_ > buffer_.size() / 2) {
        buffer_.erase(0, position_);
        position_ = 0;
    }
    return take_actions();
}

// One line out of the buffer, if there is a whole one.
bool ServerSession::run_line() {
    std::size_t longest = state_ == State::sasl ? max_sasl_line : config_.max_line;
    std::size_t end = buffer_.find('\n', position_);
    std::size_t length = (end == std::string::npos ? buffer_.size() : end + 1) - position_;
    if (end == std::string::npos) {
        if (length >= longest || skipping_line_) {
            explicit_bzero(buffer_.data() + position_, length);
            skipping_line_ = true;
            position_ = buffer_.size();
        }
        return false;
    }
    // A copy, since a handler may clear the buffer; wiped, since it may hold a password.
    std::string text = buffer_.substr(position_, length);
    explicit_bzero(buffer_.data() + position_, length);
    position_ = end + 1;
    std::string_view line = text;
    line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (std::exchange(skipping_line_, false) || length > longest) {
        if (state_ == State::sasl) state_ = State::authorization;
        error("the line is too long");
    } else if (std::ranges::any_of(line, is_control)) {
        if (state_ == State::sasl) state_ = State::authorization;
        error("control characters have no place in a command");
    } else if (state_ == State::sasl) {
        on_sasl_line(line);
    } else {
        on_line(line);
    }
    wipe(text);
    return true;
}

void ServerSession::send(std::string_view text) { emit(std::string(text) + "\r\n"); }

void ServerSession::emit(std::string octets) {
    if (octets.empty()) return;
    if (!actions_.empty())
        if (auto* last = std::get_if<Send>(&actions_.back())) {
            last->octets += octets;
            return;
        }
    actions_.push_back(Send{std::move(octets)});
}

void ServerSession::refuse(std::string_view text, std::string_view code) {
    std::string line = "-ERR ";
    if (!code.empty()) line += "[" + std::string(code) + "] ";
    send(line + std::string(text));
}

void ServerSession::error(std::string_view text) {
    if (++errors_ < config_.max_errors) return refuse(text);
    say_goodbye("-ERR too many errors");
}

void ServerSession::say_goodbye(std::string_view text) {
    send(text);
    close();
}

void ServerSession::close() {
    state_ = State::closed;
    explicit_bzero(buffer_.data(), buffer_.size());
    buffer_.clear();
    position_ = 0;
    actions_.push_back(Close{});
}

void ServerSession::ask(Request request, Pending pending) {
    pending_ = pending;
    actions_.push_back(Ask{std::move(request)});
}

std::string ServerSession::list_line(std::size_t index) const {
    const Message& message = drop_.messages[index];
    std::string line = std::to_string(index + 1) + ' ';
    if (list_ == List::sizes) return line + std::to_string(message.size);
    // RFC 1939 7: unique in the drop and for ever, and at most 70 characters.
    return line + std::to_string(drop_.uidvalidity.value) + '-' + std::to_string(message.uid.value);
}

// A long list goes out piece by piece, so that a slow reader costs no memory.
void ServerSession::emit_list() {
    std::string out;
    while (list_at_ < drop_.messages.size() && out.size() < list_octets) {
        if (!deleted_[list_at_]) out += list_line(list_at_) + "\r\n";
        ++list_at_;
    }
    bool whole = list_at_ == drop_.messages.size();
    state_ = whole ? State::transaction : State::listing;
    emit(out + (whole ? ".\r\n" : ""));
    if (!whole) actions_.push_back(Continue{});
}

}  // namespace fwmail::pop3
