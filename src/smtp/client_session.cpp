#include "smtp/client_session.hpp"

#include <algorithm>
#include <charconv>

#include "base/encoding.hpp"

namespace fwmail::smtp {

std::string_view phase_name(Phase phase) {
    switch (phase) {
        case Phase::connect:
            return "connect";
        case Phase::greeting:
            return "greeting";
        case Phase::ehlo:
            return "EHLO";
        case Phase::starttls:
            return "STARTTLS";
        case Phase::auth:
            return "AUTH";
        case Phase::mail:
            return "MAIL";
        case Phase::rcpt:
            return "RCPT";
        case Phase::data:
            return "DATA";
        case Phase::message:
            return "message";
        case Phase::final_reply:
            return "end of message";
    }
    return "";
}

Outcome TransactionResult::outcome() const {
    auto all = [&](Outcome o) {
        return std::ranges::all_of(recipients, [&](const auto& r) { return r.outcome == o; });
    };
    auto any = [&](Outcome o) {
        return std::ranges::any_of(recipients, [&](const auto& r) { return r.outcome == o; });
    };
    if (!recipients.empty() && all(Outcome::delivered)) return Outcome::delivered;
    return any(Outcome::temporary) ? Outcome::temporary : Outcome::permanent;
}

ClientSession::ClientSession(ClientConfig config)
    : config_(std::move(config)), tls_(config_.tls_from_start) {}

ClientActions ClientSession::start() {
    if (state_ == State::connecting) state_ = State::greeting;
    return {};
}

ClientActions ClientSession::on_bytes(std::string_view octets) {
    if (state_ == State::closed) return {};
    if (state_ == State::connecting || state_ == State::tls_handshake) {
        give_up({4, 5, 0}, "the server spoke out of turn");
        return take_actions();
    }
    parser_.add(octets);
    while (state_ != State::closed) {
        auto reply = parser_.next();
        if (!reply) {
            give_up({4, 5, 0}, reply.error().text);
        } else if (!*reply) {
            break;
        } else {
            on_reply(**reply);
        }
    }
    return take_actions();
}

void ClientSession::on_reply(const Reply& reply) {
    if (reply.code == 421 && state_ != State::quitting) return give_up(reply);
    switch (state_) {
        case State::greeting:
            if (!reply.positive()) return give_up(reply);
            return send_ehlo();
        case State::ehlo:
            return on_ehlo_reply(reply);
        case State::helo:
            if (!reply.positive()) return give_up(reply);
            return after_ehlo();
        case State::starttls:
            return on_starttls_reply(reply);
        case State::auth:
            return on_auth_reply(reply);
        case State::envelope:
            if (outstanding_.empty()) return give_up({4, 5, 0}, "the server spoke out of turn");
            return on_step_reply(reply);
        case State::message:
            // Before its end the message cannot have been accepted; a refusal is taken at its word.
            if (reply.positive() || reply.intermediate())
                return give_up({4, 5, 0}, "the server spoke out of turn");
            decide_rest(reply.permanent() ? Outcome::permanent : Outcome::temporary, Phase::message, reply);
            return give_up(reply);
        case State::final_reply:
            return on_final_reply(reply);
        case State::ready:
            return give_up({4, 5, 0}, "the server spoke out of turn");
        case State::quitting:
            state_ = State::closed;
            actions_.push_back(Close{});
            return;
        case State::connecting:
        case State::tls_handshake:
        case State::closed:
            return;
    }
}

void ClientSession::send_ehlo() {
    state_ = State::ehlo;
    emit("EHLO " + config_.hostname + "\r\n");
}

void ClientSession::on_ehlo_reply(const Reply& reply) {
    pipelining_ = eight_bit_mime_ = starttls_offered_ = size_offered_ = false;
    auth_offered_.clear();
    utf8_offered_ = dsn_offered_ = false;
    size_limit_ = 0;
    if (reply.permanent()) {  // RFC 5321 3.2: a server from before 1993
        state_ = State::helo;
        return emit("HELO " + config_.hostname + "\r\n");
    }
    if (!reply.positive()) return give_up(reply);
    std::string_view rest = reply.text;
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        rest.remove_prefix(end + 1);  // the first line is the greeting
        take_keyword(rest.substr(0, rest.find('\n')));
    }
    after_ehlo();
}

void ClientSession::take_keyword(std::string_view line) {
    auto word = [&] {
        while (line.starts_with(' ')) line.remove_prefix(1);
        std::string_view out = line.substr(0, line.find(' '));
        line.remove_prefix(out.size());
        return ascii_lower(out);
    };
    std::string keyword = word();
    if (keyword == "pipelining") pipelining_ = true;
    if (keyword == "8bitmime") eight_bit_mime_ = true;
    if (keyword == "starttls") starttls_offered_ = true;
    if (keyword == "smtputf8") utf8_offered_ = true;
    if (keyword == "dsn") dsn_offered_ = true;
    if (keyword == "size") {
        size_offered_ = true;
        std::string limit = word();
        std::from_chars(limit.data(), limit.data() + limit.size(), size_limit_);
    }
    // QUIRK(old Exchange): `AUTH=LOGIN` beside, or instead of, `AUTH LOGIN`.
    std::string mechanism = keyword == "auth"              ? word()
                            : keyword.starts_with("auth=") ? keyword.substr(5)
                                                           : "";
    for (; !mechanism.empty(); mechanism = word()) auth_offered_.insert(sasl::in_capitals(mechanism));
}

void ClientSession::after_ehlo() {
    if (!tls_ && config_.tls != TlsPolicy::none && starttls_offered_ && !starttls_refused_) {
        state_ = State::starttls;
        return emit("STARTTLS\r\n");
    }
    if (!tls_ && config_.tls == TlsPolicy::required) {
        state_ = State::starttls;  // for the phase
        return give_up({4, 7, 10}, "the server offers no TLS, which is required");
    }
    if (config_.credentials) return start_auth();
    become_ready();
}

void ClientSession::on_starttls_reply(const Reply& reply) {
    if (reply.code == 220) {
        // RFC 3207 6: what came in clear behind the reply could be an attacker's.
        if (parser_.has_leftover())
            return give_up({4, 7, 0}, "the server sent more behind its reply to STARTTLS");
        state_ = State::tls_handshake;
        actions_.push_back(StartTls{});
        return;
    }
    if (config_.tls == TlsPolicy::required) return give_up(reply);
    starttls_refused_ = true;
    after_ehlo();
}

ClientActions ClientSession::on_tls_started() {
    if (state_ != State::tls_handshake) return {};
    tls_ = true;
    parser_.clear();
    send_ehlo();
    return take_actions();
}

// RFC 4954
void ClientSession::start_auth() {
    state_ = State::auth;
    if (!tls_ && !config_.clear_auth) return give_up({4, 7, 11}, "no password is sent without TLS");
    auto offered = [this](std::string_view name) { return auth_offered_.contains(name); };
    const auto& [user, password] = *config_.credentials;
    sasl_ = sasl::ClientExchange::choose(offered, bindings_, user, password);
    if (!sasl_) return give_up({4, 7, 0}, "the server offers no AUTH mechanism that is known here");
    std::string line = "AUTH " + std::string(sasl_->mechanism());
    if (!sasl_->has_initial()) return emit(line + "\r\n");
    auto initial = sasl_->initial();
    if (!initial) return give_up({4, 7, 8}, initial.error().text);
    emit(line + ' ' + base64_encode(*initial) + "\r\n", true);
    wipe(*initial);
}

void ClientSession::on_auth_reply(const Reply& reply) {
    if (reply.positive()) {
        if (auto proven = sasl_->on_success(); !proven) return give_up({4, 7, 8}, proven.error().text);
        sasl_.reset();
        return become_ready();
    }
    if (reply.code != 334) return give_up(reply);
    // What LOGIN asks is a text for people, and not always Base64.
    auto challenge = sasl_->mechanism() == sasl::login ? std::string() : base64_decode(reply.text);
    if (!challenge) return give_up({4, 7, 0}, "the server's part of the login makes no sense");
    auto response = sasl_->on_challenge(*challenge);
    if (!response) return give_up({4, 7, 8}, response.error().text);
    emit(base64_encode(*response) + "\r\n", true);
    wipe(*response);
}

void ClientSession::become_ready() {
    state_ = State::ready;
    if (envelope_) return begin_transaction();
    actions_.push_back(Ready{});
}

ClientActions ClientSession::quit() {
    if (state_ == State::closed) return {};
    if (state_ == State::ready) {
        state_ = State::quitting;
        emit("QUIT\r\n");
    } else {
        give_up({4, 4, 2}, "stopped by our side");
    }
    return take_actions();
}

ClientActions ClientSession::on_closed() {
    if (state_ != State::closed) {
        give_up({4, 4, 2},
                state_ == State::tls_handshake ? "the TLS handshake failed" : "the connection was lost");
        std::erase_if(actions_, [](const auto& action) { return std::holds_alternative<Close>(action); });
    }
    return take_actions();
}

ClientActions ClientSession::on_deadline() {
    if (state_ != State::closed) give_up({4, 4, 2}, "the server was silent for too long");
    return take_actions();
}

// RFC 5321 4.5.3.2
std::chrono::seconds ClientSession::deadline() const {
    using std::chrono::minutes;
    switch (phase()) {
        case Phase::data:
            return minutes(2);
        case Phase::message:
            return minutes(3);
        case Phase::final_reply:
            return minutes(10);
        case Phase::connect:
        case Phase::greeting:
        case Phase::ehlo:
        case Phase::starttls:
        case Phase::auth:
        case Phase::mail:
        case Phase::rcpt:
            return minutes(5);
    }
    return minutes(5);
}

Phase ClientSession::phase() const {
    switch (state_) {
        case State::connecting:
            return Phase::connect;
        case State::greeting:
            return Phase::greeting;
        case State::ehlo:
        case State::helo:
            return Phase::ehlo;
        case State::starttls:
        case State::tls_handshake:
            return Phase::starttls;
        case State::auth:
            return Phase::auth;
        case State::envelope:
            if (outstanding_.empty() || outstanding_.front().step == Step::data) return Phase::data;
            return outstanding_.front().step == Step::rcpt ? Phase::rcpt : Phase::mail;
        case State::message:
            return Phase::message;
        case State::final_reply:
            return Phase::final_reply;
        case State::ready:
        case State::quitting:
        case State::closed:
            return Phase::mail;
    }
    return Phase::connect;
}

ClientActions ClientSession::take_actions() { return std::exchange(actions_, {}); }

void ClientSession::emit(std::string octets, bool secret) {
    if (octets.empty()) return;
    if (!actions_.empty() && !secret)
        if (auto* last = std::get_if<Send>(&actions_.back()); last && !last->secret) {
            last->octets += octets;
            return;
        }
    actions_.push_back(Send{std::move(octets), secret});
}

// The connection is of no more use. What is not decided yet is to be tried again.
void ClientSession::give_up(const Reply& reply) {
    Phase where = phase();
    if (envelope_) {
        decide_rest(Outcome::temporary, where, reply);
        result_.tls = tls_;
        actions_.push_back(Done{std::move(result_)});
        envelope_.reset();
    } else if (state_ != State::quitting) {
        actions_.push_back(Failed{where, reply});
    }
    state_ = State::closed;
    outstanding_.clear();
    parser_.clear();
    actions_.push_back(Close{});
}

void ClientSession::give_up(EnhancedStatus status, std::string text) {
    give_up({451, status, std::move(text)});
}

}  // namespace fwmail::smtp
