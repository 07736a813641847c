// The commands of RFC 5321 4.1.1, STARTTLS (RFC 3207) and AUTH (RFC 4954), one function each.
#include <algorithm>
#include <charconv>

#include "base/encoding.hpp"
#include "sasl/mechanism.hpp"
#include "smtp/server_session.hpp"

namespace fwmail::smtp {

namespace {

// RFC 1870 4: up to 20 digits
std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t size = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (text.empty() || text.size() > 20 || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return size;
}

// What follows `keyword` (ending in a colon) in any case, or nothing.
std::optional<std::string_view> after(std::string_view text, std::string_view keyword) {
    if (!equal_ignoring_case(text.substr(0, keyword.size()), keyword)) return std::nullopt;
    return text.substr(keyword.size());
}

}  // namespace

struct ServerSession::Command {
    std::string_view verb;
    Handler handler;
    bool takes_argument;
    bool allowed_before_tls;  // RFC 3207 4, where TLS is required
};

const ServerSession::Command* ServerSession::find_command(std::string_view verb) {
    static constexpr Command commands[] = {
        {"EHLO", &ServerSession::ehlo, true, true},   {"HELO", &ServerSession::helo, true, true},
        {"MAIL", &ServerSession::mail, true, false},  {"RCPT", &ServerSession::rcpt, true, false},
        {"DATA", &ServerSession::data, false, false}, {"RSET", &ServerSession::rset, false, true},
        {"NOOP", &ServerSession::noop, true, true},   {"HELP", &ServerSession::help, true, true},
        {"VRFY", &ServerSession::vrfy, true, false},  {"EXPN", &ServerSession::expn, true, false},
        {"QUIT", &ServerSession::quit, false, true},  {"STARTTLS", &ServerSession::starttls, false, true},
        {"AUTH", &ServerSession::auth, true, false},  {"LHLO", &ServerSession::lhlo, true, true},
    };
    auto found =
        std::ranges::find_if(commands, [&](const auto& c) { return equal_ignoring_case(c.verb, verb); });
    return found == std::end(commands) ? nullptr : found;
}

void ServerSession::on_line(std::string_view line) {
    while (line.ends_with(' ')) line.remove_suffix(1);
    std::size_t space = std::min(line.find(' '), line.size());
    const Command* command = find_command(line.substr(0, space));
    std::string_view argument = line.substr(space);
    while (argument.starts_with(' ')) argument.remove_prefix(1);
    if (!command) {
        error(500, {5, 5, 1}, "that command is not known");
    } else if (!command->takes_argument && !argument.empty()) {
        error(501, {5, 5, 4}, "that command takes no argument");
    } else if (config_.require_tls && !tls_ && !command->allowed_before_tls) {
        error(530, {5, 7, 0}, "STARTTLS first");
    } else {
        (this->*command->handler)(argument);
    }
}

// RFC 5321 4.1.1.1. Both begin anew, as RSET would (4.1.4). No enhanced codes here (RFC 2034 4).
void ServerSession::helo(std::string_view argument) {
    if (config_.lmtp) return error(500, {5, 5, 1}, "this is LMTP: LHLO");
    hello(argument, false);
}

void ServerSession::ehlo(std::string_view argument) {
    if (config_.lmtp) return error(500, {5, 5, 1}, "this is LMTP: LHLO");
    hello(argument, true);
}

// RFC 2033 4.1
void ServerSession::lhlo(std::string_view argument) {
    if (!config_.lmtp) return error(500, {5, 5, 1}, "that command is not known");
    hello(argument, true);
}

void ServerSession::hello(std::string_view argument, bool esmtp) {
    if (!is_plausible_host(argument)) return error(501, {5, 5, 2}, "say your host name");
    abort_transaction();
    helo_ = argument;
    esmtp_ = esmtp;
    send(250, {}, config_.hostname + (esmtp ? ehlo_keywords() : ""));
    idle_command();
}

std::string ServerSession::ehlo_keywords() const {
    std::string out = "\nPIPELINING\nSIZE " + std::to_string(config_.max_message_size) +
                      "\n8BITMIME\nSMTPUTF8\nDSN\nENHANCEDSTATUSCODES";
    if (config_.offer_starttls && !tls_) out += "\nSTARTTLS";
    if (auth_available()) {
        out += "\nAUTH";
        for (const auto& mechanism : config_.auth_mechanisms)
            if (sasl::is_offered(mechanism, tls_)) out += ' ' + mechanism;
    }
    return out + "\nHELP";
}

bool ServerSession::auth_available() const {
    return !config_.auth_mechanisms.empty() && (tls_ || config_.clear_auth);
}

void ServerSession::refuse_path(const Error& problem, EnhancedStatus status) {
    error(501, status, problem.text);
}

// RFC 6531 3.5
void ServerSession::refuse_utf8() { error(553, {5, 6, 7}, "addresses beyond ASCII want SMTPUTF8"); }

// RFC 5321 4.1.1.2
void ServerSession::mail(std::string_view argument) {
    auto rest = after(argument, "FROM:");
    if (!rest) return error(501, {5, 5, 4}, "MAIL wants FROM:<address>");
    if (helo_.empty()) return error(503, {5, 5, 1}, config_.lmtp ? "LHLO first" : "EHLO first");
    if (config_.require_auth && !authenticated_) return error(530, {5, 7, 0}, "authentication is required");
    if (in_transaction_) return error(503, {5, 5, 1}, "a message is under way already");
    auto parsed = parse_path_argument(*rest, PathKind::reverse);
    if (!parsed) return refuse_path(parsed.error(), {5, 1, 7});
    MailFrom request;
    request.reverse_path = std::move(parsed->path);
    if (!take_mail_parameters(parsed->parameters, request)) return;
    utf8_ = request.utf8;
    if (!utf8_ && !request.reverse_path.is_ascii()) return refuse_utf8();
    ask(std::move(request), Pending::mail);
}

// False: the refusal is sent.
bool ServerSession::take_mail_parameters(const Parameters& parameters, MailFrom& request) {
    for (const auto& [name, value] : parameters) {
        if (esmtp_ && take_mail_parameter(name, value, request)) {
            if (request.size.value_or(0) <= config_.max_message_size) continue;
            send(552, {5, 3, 4},
                 "the message is larger than " + std::to_string(config_.max_message_size) + " octets");
            return false;
        }
        constexpr std::string_view known[] = {"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"};
        bool ours = esmtp_ && std::ranges::find(known, name) != std::end(known);
        error(ours ? 501 : 555, {5, 5, 4}, (ours ? "bad value of " : "no such parameter: ") + name);
        return false;
    }
    return true;
}

// SIZE (RFC 1870 6), BODY (RFC 6152), SMTPUTF8 (RFC 6531 3.4), RET and ENVID (RFC 3461 4), AUTH (RFC 4954 5;
// its value is not trusted).
bool ServerSession::take_mail_parameter(const std::string& name, const std::optional<std::string>& value,
                                        MailFrom& request) {
    if (name == "SIZE") return (request.size = parse_size(value.value_or(""))).has_value();
    if (name == "BODY") {
        request.body_8bit = equal_ignoring_case(value.value_or(""), "8BITMIME");
        return request.body_8bit || equal_ignoring_case(value.value_or(""), "7BIT");
    }
    if (name == "SMTPUTF8") return request.utf8 = !value;
    if (name == "RET") {
        auto ret = parse_ret(value.value_or(""));
        if (ret) request.dsn.ret = *ret;
        return ret.has_value();
    }
    if (name == "ENVID") {
        auto envid = parse_envid(value.value_or(""));
        if (envid) request.dsn.envid = *envid;
        return envid.has_value();
    }
    return name == "AUTH" && value && auth_available();
}

// RFC 5321 4.1.1.3
void ServerSession::rcpt(std::string_view argument) {
    auto rest = after(argument, "TO:");
    if (!rest) return error(501, {5, 5, 4}, "RCPT wants TO:<address>");
    if (!in_transaction_) return error(503, {5, 5, 1}, "MAIL first");
    auto parsed = parse_path_argument(*rest, PathKind::forward);
    if (!parsed) return refuse_path(parsed.error(), {5, 1, 3});
    if (!utf8_ && !parsed->path.is_ascii()) return refuse_utf8();
    RcptTo request{std::move(parsed->path), {}};
    for (const auto& [name, value] : parsed->parameters) {  // RFC 3461 4
        bool ours = esmtp_ && (name == "NOTIFY" || name == "ORCPT");
        if (!ours) return error(555, {5, 5, 4}, "no such parameter: " + name);
        auto notify = parse_notify(value.value_or(""));
        auto orcpt = parse_orcpt(value.value_or(""));
        if (name == "NOTIFY" ? !notify : !orcpt) return error(501, {5, 5, 4}, "bad value of " + name);
        if (name == "NOTIFY")
            request.dsn.notify = *notify;
        else
            request.dsn.orcpt = *orcpt;
    }
    if (recipients_ >= config_.max_recipients) return send(452, {4, 5, 3}, "too many recipients");
    ask(std::move(request), Pending::rcpt);
}

// RFC 5321 4.1.1.4
void ServerSession::data(std::string_view) {
    if (!in_transaction_) return error(503, {5, 5, 1}, "MAIL first");
    // RFC 2033 4.2 wants 503 in LMTP.
    if (recipients_ == 0) return error(config_.lmtp ? 503 : 554, {5, 5, 1}, "no valid recipients");
    ask(DataBegin{}, Pending::data_begin);
}

void ServerSession::rset(std::string_view) {
    abort_transaction();
    send(250, {2, 0, 0}, "ok");
    idle_command();
}

void ServerSession::noop(std::string_view) {
    send(250, {2, 0, 0}, "ok");
    idle_command();
}

void ServerSession::help(std::string_view) {
    send(214, {2, 0, 0}, "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP STARTTLS AUTH QUIT");
    idle_command();
}

// RFC 5321 3.5.3: nobody is to find out addresses here.
void ServerSession::vrfy(std::string_view argument) {
    if (argument.empty()) return error(501, {5, 5, 4}, "VRFY wants an address");
    send(252, {2, 5, 0}, "send it, and see");
    idle_command();
}

void ServerSession::expn(std::string_view) { error(502, {5, 5, 1}, "there are no lists to expand here"); }

void ServerSession::quit(std::string_view) {
    abort_transaction();
    send(221, {2, 0, 0}, config_.hostname + " goodbye");
    close();
}

// RFC 3207 4
void ServerSession::starttls(std::string_view) {
    if (tls_) return error(503, {5, 5, 1}, "TLS is active already");
    if (!config_.offer_starttls) return error(502, {5, 5, 1}, "TLS is not offered here");
    abort_transaction();
    send(220, {2, 0, 0}, "begin TLS");
    actions_.push_back(StartTls{});
    state_ = State::starting_tls;
    buffer_.clear();  // whatever came in clear behind the command could be an attacker's
    position_ = 0;
}

// RFC 4954 4
void ServerSession::auth(std::string_view argument) {
    std::size_t space = std::min(argument.find(' '), argument.size());
    std::string mechanism = sasl::in_capitals(argument.substr(0, space));
    std::string_view text = argument.substr(std::min(space + 1, argument.size()));
    if (config_.auth_mechanisms.empty()) return error(502, {5, 5, 1}, "AUTH is not offered here");
    if (!auth_available()) return error(538, {5, 7, 11}, "STARTTLS first");
    if (!esmtp_) return error(503, {5, 5, 1}, config_.lmtp ? "LHLO first" : "EHLO first");
    if (authenticated_ || in_transaction_) return error(503, {5, 5, 1}, "not now");
    if (std::ranges::find(config_.auth_mechanisms, mechanism) == config_.auth_mechanisms.end() ||
        !sasl::is_offered(mechanism, tls_))
        return error(504, {5, 5, 4}, "no such mechanism");
    AuthStart request{std::move(mechanism), std::nullopt};
    if (text == "=") {
        request.initial.emplace();
    } else if (!text.empty()) {
        auto octets = base64_decode(text);
        if (!octets) return error(501, {5, 5, 2}, "that is not Base64");
        request.initial.emplace(std::move(*octets));
    }
    ask(std::move(request), Pending::auth);
}

}  // namespace fwmail::smtp
