// One message of a ClientSession: MAIL, RCPT, DATA, pipelined where the server allows it (RFC 2920), and the
// message itself.
#include <algorithm>

#include "smtp/client_session.hpp"

namespace fwmail::smtp {

namespace {

Outcome outcome_of(const Reply& reply) { return reply.permanent() ? Outcome::permanent : Outcome::temporary; }

}  // namespace

ClientActions ClientSession::send(OutgoingEnvelope envelope) {
    if (envelope_) return {};  // two at a time: a bug of the caller, and the first one wins
    envelope_ = std::move(envelope);
    result_ = {};
    for (const auto& path : envelope_->recipients) {
        result_.recipients.emplace_back();
        result_.recipients.back().recipient = path;
    }
    decided_.assign(envelope_->recipients.size(), false);
    if (state_ == State::closed) {
        decide_rest(Outcome::temporary, Phase::connect, {451, {4, 4, 2}, "the connection is closed"});
        actions_.push_back(Done{std::move(result_)});
        envelope_.reset();
    } else if (state_ == State::ready) {
        begin_transaction();
    }
    return take_actions();
}

void ClientSession::begin_transaction() {
    if (envelope_->utf8 && !utf8_offered_) {  // RFC 6531 3.2
        decide_rest(Outcome::permanent, Phase::mail,
                    {553, {5, 6, 7}, "the next server does not know SMTPUTF8, which this message needs"});
        return finish_transaction();
    }
    bool too_large = size_limit_ > 0 && envelope_->size.value_or(0) > size_limit_;
    if (too_large || envelope_->recipients.empty()) {
        // RFC 1870 6.1: no need to ask
        decide_rest(Outcome::permanent, Phase::mail,
                    {552, {5, 3, 4}, "the message is larger than the server allows"});
        return finish_transaction();
    }
    state_ = State::envelope;
    next_step_ = needs_reset_ ? Step::reset : Step::mail;
    next_recipient_ = accepted_ = 0;
    steps_done_ = mail_accepted_ = false;
    result_.dsn = dsn_offered_;
    result_.unannounced_8bit = envelope_->eight_bit && !eight_bit_mime_;
    send_steps();
}

// As many commands as may be under way at once.
void ClientSession::send_steps() {
    std::size_t window = pipelining_ ? std::max<std::size_t>(1, config_.pipeline_window) : 1;
    while (!steps_done_ && outstanding_.size() < window) {
        Step step = next_step_;
        // Without pipelining, or late in a long list, it is known by now that nobody is to receive the
        // message.
        if (step == Step::data && accepted_ == 0 && outstanding_.empty()) {
            steps_done_ = true;
            break;
        }
        outstanding_.push_back({step, next_recipient_});
        emit_step(step);
    }
}

void ClientSession::emit_step(Step step) {
    switch (step) {
        case Step::reset:
            next_step_ = Step::mail;
            return emit("RSET\r\n");
        case Step::mail: {
            std::string line = "MAIL FROM:<" + envelope_->reverse_path.text() + '>';
            if (size_offered_ && envelope_->size) line += " SIZE=" + std::to_string(*envelope_->size);
            if (eight_bit_mime_ && envelope_->eight_bit) line += " BODY=8BITMIME";
            if (envelope_->utf8) line += " SMTPUTF8";
            if (dsn_offered_) line += envelope_->dsn.text();
            next_step_ = Step::rcpt;
            return emit(line + "\r\n");
        }
        case Step::rcpt: {
            std::string line = "RCPT TO:<" + envelope_->recipients[next_recipient_].text() + '>';
            if (dsn_offered_ && next_recipient_ < envelope_->recipient_dsn.size())
                line += envelope_->recipient_dsn[next_recipient_].text();
            line += "\r\n";
            if (++next_recipient_ == envelope_->recipients.size()) next_step_ = Step::data;
            return emit(std::move(line));
        }
        case Step::data:
            steps_done_ = true;
            return emit("DATA\r\n");
    }
}

void ClientSession::on_step_reply(const Reply& reply) {
    Outstanding step = outstanding_.front();
    if (reply.intermediate() && step.step != Step::data)
        return give_up({4, 5, 0}, "the server spoke out of turn");
    switch (step.step) {
        case Step::reset:
            if (!reply.positive()) return give_up(reply);
            needs_reset_ = false;
            break;
        case Step::mail:
            mail_accepted_ = reply.positive();
            if (mail_accepted_) {
                needs_reset_ = true;
            } else {
                decide_rest(outcome_of(reply), Phase::mail, reply);
                steps_done_ = true;
            }
            break;
        case Step::rcpt:
            // A server that refused MAIL and takes RCPT is confused; the refusal stands.
            if (!mail_accepted_) break;
            if (reply.positive()) {
                ++accepted_;
            } else {
                decide(step.recipient, outcome_of(reply), Phase::rcpt, reply);
            }
            break;
        case Step::data:
            outstanding_.pop_front();
            return on_data_reply(reply);
    }
    outstanding_.pop_front();
    send_steps();
    if (outstanding_.empty()) finish_transaction();
}

// Nothing is outstanding now: DATA was the last command.
void ClientSession::on_data_reply(const Reply& reply) {
    if (reply.positive()) return give_up({4, 5, 0}, "the server spoke out of turn");
    if (!reply.intermediate()) {
        decide_rest(outcome_of(reply), Phase::data, reply);
        return finish_transaction();
    }
    if (accepted_ == 0) {
        // RFC 2920 3.1: nobody is left, but the server waits for a message: an empty one, which it must
        // refuse.
        state_ = State::final_reply;
        return emit(".\r\n");
    }
    state_ = State::message;
    stuffer_ = {};
    actions_.push_back(WantMessage{});
}

ClientActions ClientSession::on_message_chunk(std::string_view octets) {
    if (state_ != State::message) return {};
    emit(stuffer_.add(octets));
    actions_.push_back(WantMessage{});
    return take_actions();
}

ClientActions ClientSession::on_message_end() {
    if (state_ != State::message) return {};
    emit(stuffer_.finish());
    result_.added_line_ending = stuffer_.added_line_ending();
    state_ = State::final_reply;
    return take_actions();
}

ClientActions ClientSession::on_message_failed() {
    if (state_ == State::message) give_up({4, 3, 0}, "the message could not be read");
    return take_actions();
}

void ClientSession::on_final_reply(const Reply& reply) {
    if (reply.intermediate()) return give_up({4, 5, 0}, "the server spoke out of turn");
    // After a final reply the server's transaction is over, good or bad (RFC 5321 4.1.1.4).
    needs_reset_ = false;
    decide_rest(reply.positive() ? Outcome::delivered : outcome_of(reply), Phase::final_reply, reply);
    finish_transaction();
}

void ClientSession::decide(std::size_t recipient, Outcome outcome, Phase phase, const Reply& reply) {
    if (decided_[recipient]) return;
    decided_[recipient] = true;
    result_.recipients[recipient].outcome = outcome;
    result_.recipients[recipient].phase = phase;
    result_.recipients[recipient].reply = reply;
}

void ClientSession::decide_rest(Outcome outcome, Phase phase, const Reply& reply) {
    for (std::size_t i = 0; i < decided_.size(); ++i) decide(i, outcome, phase, reply);
}

void ClientSession::finish_transaction() {
    result_.tls = tls_;
    actions_.push_back(Done{std::move(result_)});
    envelope_.reset();
    state_ = State::ready;
    actions_.push_back(Ready{});
}

}  // namespace fwmail::smtp
