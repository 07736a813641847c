#include "pop3/client_session.hpp"

#include <string.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/encoding.hpp"

namespace fwmail::pop3 {

namespace {

// So that neither side can come to wait for the other with both ways full (RFC 2449 6.6).
constexpr std::size_t most_in_flight = 64;
constexpr std::string_view injected = "the server sent more behind its answer to STLS";

bool has_control(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 127; });
}

std::string_view take_word(std::string_view& line) {
    while (line.starts_with(' ')) line.remove_prefix(1);
    std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

template <class Number>
bool take_number(std::string_view& line, Number& number) {
    std::string_view word = take_word(line);
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return !word.empty() && error == std::errc{} && end == word.data() + word.size();
}

std::string line_of(const Command& command) {
    std::string number = ' ' + std::to_string(command.number);
    switch (command.verb) {
        case Verb::stat:
            return "STAT";
        case Verb::list:
            return command.number ? "LIST" + number : "LIST";
        case Verb::uidl:
            return command.number ? "UIDL" + number : "UIDL";
        case Verb::retr:
            return "RETR" + number;
        case Verb::top:
            return "TOP" + number + ' ' + std::to_string(command.lines);
        case Verb::dele:
            return "DELE" + number;
        case Verb::rset:
            return "RSET";
        case Verb::noop:
            return "NOOP";
        case Verb::quit:
            return "QUIT";
    }
    return "NOOP";
}

bool is_list(const Command& command) {
    return (command.verb == Verb::list || command.verb == Verb::uidl) && command.number == 0;
}
bool is_body(const Command& command) { return command.verb == Verb::retr || command.verb == Verb::top; }

// "[SYS/TEMP] try later" (RFC 2449 8)
std::string take_code(std::string_view& text) {
    std::size_t end = text.find(']');
    if (!text.starts_with('[') || end == std::string_view::npos) return {};
    std::string code(text.substr(1, end - 1));
    text.remove_prefix(end + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
    return code;
}

}  // namespace

ClientSession::ClientSession(ClientConfig config)
    : config_(std::move(config)), tls_(config_.tls_from_start) {}

ClientActions ClientSession::on_bytes(std::string_view octets) {
    if (state_ == State::closed) return {};
    if (state_ == State::tls_handshake) {
        give_up(false, injected);
        return take_actions();
    }
    buffer_ += octets;
    run();
    return take_actions();
}

void ClientSession::run() {
    bool progress = true;
    while (progress && state_ != State::closed) progress = in_body_ ? run_body() : run_line();
    buffer_.erase(0, position_);
    position_ = 0;
}

bool ClientSession::run_line() {
    std::string_view rest = std::string_view(buffer_).substr(position_);
    std::size_t end = rest.find('\n');
    if (std::min(end, rest.size()) > config_.max_line) {
        give_up(false, "the server sent a line that is too long");
        return false;
    }
    if (end == std::string_view::npos) return false;
    std::string line(rest.substr(0, end));  // a copy: a handler may clear the buffer
    if (line.ends_with('\r')) line.pop_back();
    position_ += end + 1;
    on_line(line);
    return true;
}

bool ClientSession::run_body() {
    std::string_view wire = std::string_view(buffer_).substr(position_);
    if (wire.empty()) return false;
    BodyPart part;
    position_ += unstuffer_.add(wire, part.octets);
    octets_ += part.octets.size();
    if (octets_ > config_.max_message_size) {
        give_up(false, "the server sends a message that is larger than it may be");
        return false;
    }
    if (!part.octets.empty()) actions_.push_back(std::move(part));
    if (!unstuffer_.done()) return false;
    in_body_ = false;
    finish_command(true, answer_text_);
    return true;
}

void ClientSession::on_line(std::string_view line) {
    if (in_list_) {
        if (line == ".") {
            in_list_ = false;
            if (state_ == State::ready) return finish_command(true, answer_text_);
            return after_capa();
        }
        if (line.starts_with("..")) line.remove_prefix(1);
        if (++rows_ > config_.max_rows) return give_up(false, "the server sends a list without end");
        if (state_ != State::ready) return on_capa_line(line);
        if (!on_row(line)) give_up(false, "the server sent a line that is no part of a list");
        return;
    }
    bool ok = equal_ignoring_case(line.substr(0, 3), "+OK");
    if (ok || equal_ignoring_case(line.substr(0, 4), "-ERR")) {
        std::string_view text = line.substr(ok ? 3 : 4);
        if (text.starts_with(' ')) text.remove_prefix(1);
        return on_status(ok, text);
    }
    if (state_ == State::sasl && line.starts_with('+')) return on_challenge(line.substr(1));
    give_up(false, "the server sent what is neither +OK nor -ERR");
}

void ClientSession::on_status(bool ok, std::string_view text) {
    switch (state_) {
        case State::greeting:
            if (!ok) return give_up(true, text);
            state_ = State::capa;
            return emit("CAPA\r\n");
        case State::capa:
        case State::capa_again:
            capabilities_ = {};
            if (!ok) return after_capa();
            capabilities_.known = true;
            in_list_ = true;
            rows_ = 0;
            return;
        case State::stls:
            if (ok) {
                // RFC 2595 4: what came in clear behind the answer could be an attacker's.
                if (position_ < buffer_.size()) return give_up(false, injected);
                state_ = State::tls_handshake;
                actions_.push_back(StartTls{});
                return;
            }
            if (config_.tls == TlsPolicy::required) return give_up(true, text);
            stls_refused_ = true;
            return after_capa();
        case State::user:
            if (!ok) return give_up(true, text);
            state_ = State::pass;
            return emit("PASS " + std::string(config_.credentials->password.view()) + "\r\n", true);
        case State::pass:
        case State::sasl:
            if (!ok) return give_up(true, text);
            if (auto proven = sasl_ ? sasl_->on_success() : Result<>(); !proven)
                return give_up(true, proven.error().text);
            sasl_.reset();
            config_.credentials.reset();
            state_ = State::capa_again;  // RFC 2449 5: there may be more after the login
            return emit("CAPA\r\n");
        case State::ready:
            return on_command_status(ok, text);
        case State::tls_handshake:
        case State::closed:
            return;
    }
}

void ClientSession::on_capa_line(std::string_view line) {
    std::string keyword = ascii_lower(take_word(line));
    if (keyword == "top") capabilities_.top = true;
    if (keyword == "uidl") capabilities_.uidl = true;
    if (keyword == "pipelining") capabilities_.pipelining = true;
    if (keyword == "stls") capabilities_.stls = true;
    if (keyword == "user") capabilities_.user = true;
    if (keyword == "utf8") capabilities_.utf8 = true;
    if (keyword == "sasl")
        for (auto word = take_word(line); !word.empty(); word = take_word(line))
            capabilities_.sasl.push_back(sasl::in_capitals(word));
}

void ClientSession::after_capa() {
    if (state_ == State::capa_again) {
        state_ = State::ready;
        actions_.push_back(Ready{capabilities_});
        return send_commands();
    }
    bool try_stls = capabilities_.stls || (!capabilities_.known && config_.tls == TlsPolicy::required);
    if (!tls_ && config_.tls != TlsPolicy::none && try_stls && !stls_refused_) {
        state_ = State::stls;
        return emit("STLS\r\n");
    }
    if (!tls_ && config_.tls == TlsPolicy::required) {
        state_ = State::stls;  // for the phase
        return give_up(true, "the server offers no TLS, which is required");
    }
    log_in();
}

void ClientSession::log_in() {
    state_ = State::user;
    if (!config_.credentials) return give_up(true, "there is no user to log in with");
    auto& [user, password] = *config_.credentials;
    if (!tls_ && !config_.clear_auth) return give_up(true, "no password is sent without TLS");
    // A line end in either would begin another command.
    if (user.empty() || has_control(user) || has_control(password.view()))
        return give_up(true, "a user name or password with control characters cannot be sent");
    // PLAIN is no better than USER and PASS, which more servers get right.
    auto offered = [this](std::string_view mechanism) {
        bool worth = mechanism != sasl::login && (mechanism != sasl::plain || !capabilities_.user);
        return worth && std::ranges::find(capabilities_.sasl, mechanism) != capabilities_.sasl.end();
    };
    sasl_ = sasl::ClientExchange::choose(offered, bindings_, user, password);
    if (!sasl_) return emit("USER " + user + "\r\n");
    state_ = State::sasl;
    auto initial = sasl_->initial();
    if (!initial) return give_up(true, initial.error().text);
    emit("AUTH " + std::string(sasl_->mechanism()) + ' ' + base64_encode(*initial) + "\r\n", true);
    wipe(*initial);
}

void ClientSession::on_challenge(std::string_view text) {
    if (text.starts_with(' ')) text.remove_prefix(1);
    auto challenge = base64_decode(text);
    if (!challenge) return emit("*\r\n");
    auto response = sasl_->on_challenge(*challenge);
    if (!response) return give_up(response.error().kind == ErrorKind::refused, response.error().text);
    emit(base64_encode(*response) + "\r\n", true);
    wipe(*response);
}

ClientActions ClientSession::on_tls_started() {
    if (state_ != State::tls_handshake) return {};
    tls_ = true;
    state_ = State::capa;
    emit("CAPA\r\n");
    return take_actions();
}

ClientActions ClientSession::command(Command command) {
    if (state_ == State::closed) return {};
    waiting_.push_back(command);
    if (state_ == State::ready) send_commands();
    return take_actions();
}

void ClientSession::send_commands() {
    std::size_t most = capabilities_.pipelining ? most_in_flight : 1;
    while (!waiting_.empty() && sent_.size() < most) {
        sent_.push_back(waiting_.front());
        waiting_.pop_front();
        emit(line_of(sent_.back()) + "\r\n");
    }
}

void ClientSession::on_command_status(bool ok, std::string_view text) {
    if (sent_.empty()) return give_up(true, text);  // its farewell, or it spoke out of turn
    const Command& command = sent_.front();
    if (ok && (is_list(command) || is_body(command))) {
        answer_text_ = text;
        rows_ = octets_ = 0;
        in_list_ = is_list(command);
        in_body_ = !in_list_;
        unstuffer_ = {};
        return;
    }
    if (ok && (command.verb == Verb::stat || command.verb == Verb::list || command.verb == Verb::uidl) &&
        !on_row(text))
        return give_up(false, "the server's answer to " + line_of(command) + " is not understood");
    finish_command(ok, text);
}

// A line of what STAT, LIST or UIDL answer. Servers may say more behind it.
bool ClientSession::on_row(std::string_view line) {
    std::uint32_t number = 0;
    std::uint64_t size = 0;
    if (!take_number(line, number)) return false;
    switch (sent_.front().verb) {
        case Verb::stat:
            if (!take_number(line, size)) return false;
            actions_.push_back(StatRow{number, size});
            return true;
        case Verb::list:
            if (number == 0 || !take_number(line, size)) return false;
            actions_.push_back(ListRow{number, size});
            return true;
        case Verb::uidl: {
            std::string_view uid = take_word(line);
            if (number == 0 || uid.empty() || uid.size() > 255 || has_control(uid)) return false;
            actions_.push_back(UidRow{number, std::string(uid)});
            return true;
        }
        case Verb::retr:
        case Verb::top:
        case Verb::dele:
        case Verb::rset:
        case Verb::noop:
        case Verb::quit:
            return false;
    }
    return false;
}

void ClientSession::finish_command(bool ok, std::string_view text) {
    Command command = sent_.front();
    sent_.pop_front();
    std::string code = ok ? std::string() : take_code(text);
    actions_.push_back(Answer{command, ok, std::move(code), std::string(text)});
    if (command.verb == Verb::quit) {
        if (outstanding() > 0) return give_up(false, "commands stood behind QUIT");
        state_ = State::closed;
        actions_.push_back(Close{});
        return;
    }
    send_commands();
}

ClientActions ClientSession::on_closed() {
    if (state_ != State::closed) {
        give_up(false,
                state_ == State::tls_handshake ? "the TLS handshake failed" : "the connection was lost");
        std::erase_if(actions_, [](const auto& action) { return std::holds_alternative<Close>(action); });
    }
    return take_actions();
}

ClientActions ClientSession::on_deadline() {
    if (state_ != State::closed) give_up(false, "the server was silent for too long");
    return take_actions();
}

std::optional<std::chrono::seconds> ClientSession::deadline() const {
    if (state_ == State::closed || (state_ == State::ready && sent_.empty())) return std::nullopt;
    return std::chrono::minutes(3);
}

ClientPhase ClientSession::phase() const {
    switch (state_) {
        case State::greeting:
            return ClientPhase::greeting;
        case State::capa:
            return ClientPhase::capa;
        case State::stls:
        case State::tls_handshake:
            return ClientPhase::stls;
        case State::user:
        case State::pass:
        case State::sasl:
            return ClientPhase::login;
        case State::capa_again:
        case State::ready:
        case State::closed:
            return ClientPhase::commands;
    }
    return ClientPhase::commands;
}

void ClientSession::emit(std::string octets, bool secret) {
    if (!actions_.empty() && !secret)
        if (auto* last = std::get_if<Send>(&actions_.back()); last && !last->secret) {
            last->octets += octets;
            return;
        }
    actions_.push_back(Send{std::move(octets), secret});
}

// The connection is of no more use, whatever was still to come.
void ClientSession::give_up(bool refused, std::string_view text) {
    std::string code = refused ? take_code(text) : std::string();
    actions_.push_back(Failed{phase(), refused, std::move(code), std::string(text)});
    state_ = State::closed;
    in_list_ = in_body_ = false;
    waiting_.clear();
    sent_.clear();
    actions_.push_back(Close{});
}

ClientActions ClientSession::take_actions() { return std::exchange(actions_, {}); }

}  // namespace fwmail::pop3
