#include "imap/client_session.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "imap/client_text.hpp"

namespace fwmail::imap::client {

namespace {

constexpr std::string_view injected = "the server sent more behind its answer to STARTTLS";
constexpr std::string_view out_of_turn = "the server spoke out of turn";

}  // namespace

bool is_passing(std::string_view code) {
    return code == "UNAVAILABLE" || code == "INUSE" || code == "LIMIT" || code == "SERVERBUG";
}

Session::Session(Config config)
    : config_(std::move(config)), framer_(config_.limits), tls_(config_.tls_from_start) {}

Events Session::on_bytes(std::string_view octets) {
    if (state_ == State::closed) return {};
    if (state_ == State::tls_handshake) {
        give_up(false, injected);
        return take_events();
    }
    framer_.feed(octets);
    run();
    return take_events();
}

void Session::run() {
    while (state_ != State::closed && state_ != State::tls_handshake) {
        auto event = framer_.next();
        if (!event) return;
        if (auto* broken = std::get_if<BrokenResponse>(&*event)) {
            give_up(false, broken->why);
        } else if (auto* begin = std::get_if<StreamBegin>(&*event)) {
            begin_content(*begin);
        } else if (auto* data = std::get_if<StreamData>(&*event)) {
            events_.push_back(ContentPart{std::move(data->octets)});
        } else {
            auto response = response::parse(std::get<FramedResponse>(*event).text);
            if (!response)
                give_up(false, response.error().text);
            else
                on_response(*response);
        }
    }
}

void Session::on_response(const response::Response& response) {
    if (auto* status = std::get_if<response::Status>(&response)) return on_status(*status);
    if (state_ == State::greeting) return give_up(false, "the server's greeting is not understood");
    if (auto* go_on = std::get_if<response::Continuation>(&response)) return on_continuation(go_on->text);
    on_untagged(response);
}

void Session::on_status(const response::Status& status) {
    if (status.code == "ALERT") events_.push_back(Alert{status.text});
    if (state_ == State::greeting) return on_greeting(status);
    if (!status.tag.empty()) return on_tagged(status);
    if (status.condition == response::Condition::bye) {
        bool logging_out = running_ && std::holds_alternative<Logout>(running_->command);
        if (!logging_out) give_up(true, status.text, status.code);
        return;
    }
    take_capability_code(status);
    collect(status);
}

void Session::on_greeting(const response::Status& status) {
    if (!status.tag.empty()) return give_up(false, "the server's greeting is not understood");
    switch (status.condition) {
        case response::Condition::ok:
            if (take_capability_code(status)) return after_capability();
            return ask_capability(State::capability);
        case response::Condition::preauth:
            // STARTTLS is not possible any more (RFC 9051 7.1.4).
            if (!tls_ && config_.tls == TlsPolicy::required)
                return give_up(true, "the server lets us in without TLS, which is required");
            config_.credentials.reset();
            if (take_capability_code(status)) return after_login();
            return ask_capability(State::capability_again);
        case response::Condition::bye:
        case response::Condition::no:
        case response::Condition::bad:
            return give_up(true, status.text, status.code);
    }
}

bool Session::take_capability_code(const response::Status& status) {
    if (status.code != "CAPABILITY") return false;
    std::vector<std::string> names;
    for (std::string_view rest = status.arguments; !rest.empty();) {
        std::size_t space = std::min(rest.find(' '), rest.size());
        if (space > 0) names.push_back(upper(rest.substr(0, space)));
        rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    take_capabilities(names);
    return true;
}

void Session::take_capabilities(const std::vector<std::string>& names) {
    capabilities_ = {names.begin(), names.end()};
    capabilities_fresh_ = true;
}

void Session::ask_capability(State state) {
    state_ = state;
    capabilities_.clear();
    send_line("CAPABILITY");
}

void Session::on_tagged(const response::Status& status) {
    if (status.tag != "f" + std::to_string(tag_) || tag_ == 0) return give_up(false, out_of_turn);
    take_capability_code(status);
    bool ok = status.condition == response::Condition::ok;
    switch (state_) {
        case State::capability:
            return ok ? after_capability() : give_up(true, status.text, status.code);
        case State::starttls:
            if (ok) {
                // RFC 9051 6.2.1: what came in clear behind the answer could be an attacker's.
                if (framer_.has_leftover()) return give_up(false, injected);
                state_ = State::tls_handshake;
                events_.push_back(StartTls{});
                return;
            }
            if (config_.tls == TlsPolicy::required) return give_up(true, status.text, status.code);
            starttls_refused_ = true;
            return after_capability();
        case State::login:
            if (!ok) return give_up(true, status.text, status.code);
            if (auto proven = sasl_ ? sasl_->on_success() : Result<>(); !proven)
                return give_up(true, proven.error().text);
            sasl_.reset();
            config_.credentials.reset();
            // What may be done after the login differs; many say so at once.
            return capabilities_fresh_ ? after_login() : ask_capability(State::capability_again);
        case State::capability_again:
            return after_login();
        case State::find_namespace:
            if (!config_.compress || !has_capability("COMPRESS=DEFLATE")) return after_namespace();
            state_ = State::compress;
            return send_line("COMPRESS DEFLATE");
        case State::compress:
            if (ok) {
                if (framer_.has_leftover())
                    return give_up(false, "the server sent more behind its answer to COMPRESS");
                events_.push_back(StartCompression{});
            }
            return after_namespace();
        case State::enable:
            qresync_ = ok;
            return become_ready();
        case State::ready:
            if (!running_) return give_up(false, out_of_turn);
            if (append_left_ > 0 && (ok || !append_waits_))
                return give_up(false, "the server answered before it had the whole message");
            if (!status.code.empty()) {
                running_->code = status.code;
                running_->arguments = status.arguments;
            }
            if (ok && has_next_step()) {
                ++running_->step;
                return send_step();
            }
            // RFC 3501 6.3.1: the EXAMINE that stands for UNSELECT is meant to fail.
            return finish_command(ok || std::holds_alternative<Unselect>(running_->command), status.text);
        case State::greeting:
        case State::tls_handshake:
        case State::closed:
            return;
    }
}

void Session::after_capability() {
    bool wanted = !tls_ && config_.tls != TlsPolicy::none;
    if (wanted && has_capability("STARTTLS") && !starttls_refused_) {
        state_ = State::starttls;
        return send_line("STARTTLS");
    }
    if (!tls_ && config_.tls == TlsPolicy::required) {
        state_ = State::starttls;  // for the phase
        return give_up(true, "the server offers no TLS, which is required");
    }
    log_in();
}

Events Session::on_tls_started() {
    if (state_ != State::tls_handshake) return {};
    tls_ = true;
    framer_.clear();
    ask_capability(State::capability);
    return take_events();
}

void Session::log_in() {
    state_ = State::login;
    capabilities_fresh_ = false;
    if (!config_.credentials) return give_up(true, "there is no user to log in with");
    if (!tls_ && !config_.clear_auth) return give_up(true, "no password is sent without TLS");
    auto& [user, password] = *config_.credentials;
    // A line end in either would begin another command.
    if (user.empty() || !quotable(user) || !quotable(password.view()))
        return give_up(true, "a user name or password with control characters cannot be sent");
    auto offered = [this](std::string_view mechanism) {
        // LOGIN is what the command does, in one step.
        return mechanism != sasl::login && has_capability("AUTH=" + std::string(mechanism));
    };
    sasl_ = sasl::ClientExchange::choose(offered, bindings_, user, password);
    if (sasl_) {
        std::string line = "AUTHENTICATE " + std::string(sasl_->mechanism());
        if (!has_capability("SASL-IR")) return send_line(line);
        auto initial = sasl_->initial();
        if (!initial) return give_up(true, initial.error().text);
        send_line(line + ' ' + base64_encode(*initial), true);
        return wipe(*initial);
    }
    if (has_capability("LOGINDISABLED")) return give_up(true, "the server takes no password here");
    send_line("LOGIN " + quote(user) + ' ' + quote(password.view()), true);
}

void Session::send_sasl(Result<std::string> response) {
    if (!response) return give_up(response.error().kind == ErrorKind::refused, response.error().text);
    emit(base64_encode(*response) + "\r\n", true);
    wipe(*response);
}

void Session::on_continuation(std::string_view text) {
    if (state_ == State::login) {
        auto challenge = sasl_ ? base64_decode(text) : std::nullopt;
        if (!challenge) return emit("*\r\n");
        return send_sasl(sasl_->on_challenge(*challenge));
    }
    if (state_ != State::ready || !running_) return;
    if (append_waits_) return want_content();
    if (std::holds_alternative<Idle>(running_->command) && !idling_) {
        idling_ = true;
        if (std::exchange(done_wanted_, false)) return emit("DONE\r\n");
        events_.push_back(Idling{});
    }
}

void Session::after_login() {
    state_ = State::find_namespace;
    // Without NAMESPACE (RFC 2342) the delimiter shows in an empty LIST (RFC 3501 6.3.8).
    send_line(has_capability("NAMESPACE") ? "NAMESPACE" : "LIST \"\" \"\"");
}

void Session::after_namespace() {
    if (!config_.qresync || !has_capability("QRESYNC")) return become_ready();
    state_ = State::enable;
    send_line("ENABLE QRESYNC");
}

void Session::become_ready() {
    state_ = State::ready;
    events_.push_back(Ready{});
    send_next();
}

// --- what comes untagged

void Session::on_untagged(const response::Response& response) {
    if (auto* capability = std::get_if<response::Capability>(&response))
        return take_capabilities(capability->names);
    if (auto* space = std::get_if<response::Namespace>(&response)) {
        namespace_ = *space;
        return;
    }
    if (auto* list = std::get_if<response::List>(&response)) {
        if (state_ == State::find_namespace) namespace_.delimiter = list->delimiter;
        if (running_ && std::holds_alternative<ListMailboxes>(running_->command)) events_.push_back(*list);
        return;
    }
    if (state_ != State::ready) return;
    bool selecting = running_ && std::holds_alternative<Select>(running_->command);
    if (auto* status = std::get_if<response::MailboxStatus>(&response)) events_.push_back(*status);
    if (auto* fetch = std::get_if<response::Fetch>(&response)) on_fetch(*fetch);
    if (auto* vanished = std::get_if<response::Vanished>(&response)) events_.push_back(*vanished);
    if (auto* expunge = std::get_if<response::Expunge>(&response))
        events_.push_back(Expunged{expunge->number});
    if (auto* flags = std::get_if<response::Flags>(&response); flags && selecting)
        selected_.flags = flags->flags;
    if (auto* exists = std::get_if<response::Exists>(&response)) {
        if (selecting)
            selected_.exists = exists->count;
        else
            events_.push_back(Exists{exists->count});
    }
}

void Session::begin_content(const StreamBegin& begin) {
    std::uint32_t number = 0;
    std::size_t at = 2;
    for (; at < begin.text.size() && begin.text[at] >= '0' && begin.text[at] <= '9' && number < 400'000'000;
         ++at)
        number = number * 10 + static_cast<std::uint32_t>(begin.text[at] - '0');
    events_.push_back(ContentBegin{SeqNum{number}, section_at_end(begin.text), begin.size});
}

void Session::on_fetch(const response::Fetch& fetch) {
    // Content that stood in quotes is handed on as the rest is.
    for (const auto& content : fetch.contents) {
        if (content.how != response::Content::How::here) continue;
        events_.push_back(ContentBegin{fetch.number, content.section, content.octets.size()});
        if (!content.octets.empty()) events_.push_back(ContentPart{content.octets});
    }
    events_.push_back(fetch);
    for (auto& content : std::get<Fetched>(events_.back()).contents) content.octets.clear();
}

// Codes of untagged OK: those of SELECT, and COPYUID, which MOVE answers before its EXPUNGEs (RFC 6851 4.3).
void Session::collect(const response::Status& status) {
    if (state_ != State::ready || !running_ || status.code.empty()) return;
    if (std::holds_alternative<MoveTo>(running_->command) && status.code == "COPYUID") {
        running_->code = status.code;
        running_->arguments = status.arguments;
    }
    if (!std::holds_alternative<Select>(running_->command)) return;
    auto number = parse_decimal(status.arguments);
    if (status.code == "UIDVALIDITY") selected_.uidvalidity = UidValidity{static_cast<std::uint32_t>(number)};
    if (status.code == "UIDNEXT") selected_.uidnext = Uid{static_cast<std::uint32_t>(number)};
    if (status.code == "HIGHESTMODSEQ") selected_.highest_modseq = ModSeq{number};
    if (status.code == "PERMANENTFLAGS") {
        std::string_view flags = status.arguments;
        if (flags.starts_with('(')) flags.remove_prefix(1);
        if (flags.ends_with(')')) flags.remove_suffix(1);
        selected_.any_keyword = flags.find("\\*") != std::string_view::npos;
        selected_.permanent_flags = FlagSet::from_text(flags.substr(0, 64 * 1024));
    }
}

// --- the end

Events Session::on_closed() {
    if (state_ != State::closed) {
        give_up(false,
                state_ == State::tls_handshake ? "the TLS handshake failed" : "the connection was lost");
        std::erase_if(events_, [](const auto& event) { return std::holds_alternative<Close>(event); });
    }
    return take_events();
}

Events Session::on_deadline() {
    if (state_ == State::closed) return {};
    if (idling_) return done();
    give_up(false, "the server was silent for too long");
    return take_events();
}

// RFC 2177: IDLE is begun anew every 29 minutes.
std::optional<std::chrono::seconds> Session::deadline() const {
    if (state_ == State::closed || (state_ == State::ready && !running_)) return std::nullopt;
    return idling_ ? std::chrono::minutes(29) : std::chrono::minutes(5);
}

Phase Session::phase() const {
    switch (state_) {
        case State::greeting:
        case State::capability:
            return Phase::greeting;
        case State::starttls:
        case State::tls_handshake:
            return Phase::starttls;
        case State::login:
            return Phase::login;
        case State::capability_again:
        case State::find_namespace:
        case State::compress:
        case State::enable:
        case State::ready:
        case State::closed:
            return Phase::commands;
    }
    return Phase::commands;
}

void Session::send_line(std::string line, bool secret) {
    capabilities_fresh_ = false;
    emit("f" + std::to_string(++tag_) + ' ' + std::move(line) + "\r\n", secret);
}

void Session::emit(std::string octets, bool secret) {
    if (octets.empty()) return;
    if (!events_.empty() && !secret)
        if (auto* last = std::get_if<Send>(&events_.back()); last && !last->secret) {
            last->octets += octets;
            return;
        }
    events_.push_back(Send{std::move(octets), secret});
}

void Session::give_up(bool refused, std::string_view text, std::string_view code) {
    events_.push_back(Failed{phase(), refused, std::string(code), std::string(text)});
    state_ = State::closed;
    idling_ = append_waits_ = false;
    append_left_ = 0;
    running_.reset();
    waiting_.clear();
    framer_.clear();
    events_.push_back(Close{});
}

Events Session::take_events() { return std::exchange(events_, {}); }

}  // namespace fwmail::imap::client
