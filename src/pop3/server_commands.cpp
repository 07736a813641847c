// The commands of RFC 1939, CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034) and UTF8 (RFC 6856), one
// function each.
#include <algorithm>
#include <charconv>
#include <utility>

#include "base/encoding.hpp"
#include "pop3/server_session.hpp"
#include "sasl/mechanism.hpp"

namespace fwmail::pop3 {

namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || text.size() > 10 || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

enum Where : unsigned { before_login = 1, after_login = 2 };
enum class Argument { none, optional, required };

}  // namespace

struct ServerSession::Command {
    std::string_view verb;
    Handler handler;
    Argument argument;
    unsigned where;
};

const ServerSession::Command* ServerSession::find_command(std::string_view verb) {
    using enum Argument;
    constexpr unsigned both = before_login | after_login;
    static constexpr Command commands[] = {
        {"USER", &ServerSession::user, required, before_login},
        {"PASS", &ServerSession::pass, required, before_login},
        {"AUTH", &ServerSession::auth, optional, before_login},
        {"STLS", &ServerSession::stls, none, before_login},
        {"UTF8", &ServerSession::utf8, none, before_login},
        {"CAPA", &ServerSession::capa, none, both},
        {"STAT", &ServerSession::stat, none, after_login},
        {"LIST", &ServerSession::list_sizes, optional, after_login},
        {"UIDL", &ServerSession::list_ids, optional, after_login},
        {"RETR", &ServerSession::retr, required, after_login},
        {"TOP", &ServerSession::top, required, after_login},
        {"DELE", &ServerSession::dele, required, after_login},
        {"RSET", &ServerSession::rset, none, after_login},
        {"NOOP", &ServerSession::noop, none, after_login},
        {"QUIT", &ServerSession::quit, none, both},
    };
    auto found =
        std::ranges::find_if(commands, [&](const auto& c) { return equal_ignoring_case(c.verb, verb); });
    return found == std::end(commands) ? nullptr : found;
}

void ServerSession::on_line(std::string_view line) {
    std::size_t space = std::min(line.find(' '), line.size());
    const Command* command = find_command(line.substr(0, space));
    // Of a password all octets count: one space is taken off, no more.
    std::string_view argument = line.substr(std::min(space + 1, line.size()));
    if (command && command->argument == Argument::none && argument.find_first_not_of(' ') == argument.npos)
        argument = {};
    if (!command) return error("that command is not known");
    if (!(command->where & (state_ == State::transaction ? after_login : before_login)))
        return error(state_ == State::transaction ? "you are logged in already" : "log in first");
    if (command->argument == Argument::none && !argument.empty())
        return error("that command takes no argument");
    if (command->argument == Argument::required && argument.empty())
        return error("that command wants an argument");
    (this->*command->handler)(argument);
}

// --- before login

bool ServerSession::login_allowed() {
    if (tls_ || config_.clear_login) return true;
    error("no password is taken in clear: STLS first");
    return false;
}

// Whether there is such a user is not told (RFC 1939 7 lets us).
void ServerSession::user(std::string_view argument) {
    if (!login_allowed()) return;
    user_ = argument;
    send("+OK now the password");
}

void ServerSession::pass(std::string_view argument) {
    if (!login_allowed()) return;
    if (user_.empty()) return error("USER first");
    ask(Login{std::exchange(user_, {}), Secret(argument)}, Pending::login);
}

// RFC 5034 4
void ServerSession::auth(std::string_view argument) {
    if (argument.empty()) {  // QUIRK(Outlook): asks for the mechanisms so
        send("+OK");
        if (tls_ || config_.clear_login)
            for (auto name : sasl::offered)
                if (sasl::is_offered(name, tls_)) send(name);
        return send(".");
    }
    if (!login_allowed()) return;
    std::size_t space = std::min(argument.find(' '), argument.size());
    std::string mechanism = sasl::in_capitals(argument.substr(0, space));
    if (!sasl::is_offered(mechanism, tls_)) return error("no such mechanism");
    std::string_view text = argument.substr(std::min(space + 1, argument.size()));
    AuthStart request{std::move(mechanism), std::nullopt};
    if (!text.empty()) {
        auto octets = base64_decode(text == "=" ? "" : text);
        if (!octets) return error("that is not Base64");
        request.initial = Secret(std::move(*octets));
    }
    ask(std::move(request), Pending::login);
}

void ServerSession::on_sasl_line(std::string_view line) {
    state_ = State::authorization;
    if (line == "*") return error("cancelled");
    auto octets = base64_decode(line);
    if (!octets) return error("that is not Base64");
    ask(AuthResponse{Secret(std::move(*octets))}, Pending::login);
}

// RFC 2595 4
void ServerSession::stls(std::string_view) {
    if (tls_) return error("TLS is active already");
    if (!config_.offer_stls) return error("TLS is not offered here");
    send("+OK begin TLS");
    actions_.push_back(StartTls{});
    state_ = State::starting_tls;
    buffer_.clear();  // whatever came in clear behind the command could be an attacker's
    position_ = 0;
}

// RFC 6856 2: messages go out as they are in either mode, so there is nothing to switch.
void ServerSession::utf8(std::string_view) { send("+OK UTF8"); }

// --- in any state

// RFC 2449 5 and 6; AUTH-RESP-CODE: RFC 3206 6
void ServerSession::capa(std::string_view) {
    send("+OK what this server can do");
    send("TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\nUTF8 USER");
    if (tls_ || config_.clear_login) {
        std::string line = "USER\r\nSASL";
        for (auto name : sasl::offered)
            if (sasl::is_offered(name, tls_)) line += ' ' + std::string(name);
        send(line);
    }
    // RFC 2595 4: announced before the login only.
    if (config_.offer_stls && !tls_ && state_ != State::transaction) send("STLS");
    send("IMPLEMENTATION fwmail\r\n.");
}

void ServerSession::quit(std::string_view) {
    UidSet marked;
    for (std::size_t i = 0; i < deleted_.size(); ++i)
        if (deleted_[i]) marked.add(drop_.messages[i].uid.value);
    if (marked.empty()) return say_goodbye("+OK goodbye");
    ask(Remove{std::move(marked)}, Pending::remove);
}

// --- after login

// The index of a message that is there and not marked.
std::optional<std::size_t> ServerSession::message_index(std::string_view number) const {
    auto value = parse_number(number);
    if (!value || *value == 0 || *value > deleted_.size() || deleted_[*value - 1]) return std::nullopt;
    return *value - 1;
}

void ServerSession::stat(std::string_view) {
    send("+OK " + std::to_string(count_) + ' ' + std::to_string(octets_));
}

void ServerSession::list_sizes(std::string_view argument) { list(argument, List::sizes); }
void ServerSession::list_ids(std::string_view argument) { list(argument, List::ids); }

void ServerSession::list(std::string_view argument, List what) {
    list_ = what;
    if (!argument.empty()) {
        auto index = message_index(argument);
        if (!index) return refuse("there is no such message");
        return send("+OK " + list_line(*index));
    }
    send("+OK " + std::to_string(count_) + " messages");
    list_at_ = 0;
    emit_list();
}

void ServerSession::retr(std::string_view argument) {
    auto index = message_index(argument);
    if (!index) return refuse("there is no such message");
    retrieve(*index, std::nullopt);
}

void ServerSession::top(std::string_view argument) {
    std::size_t space = std::min(argument.find(' '), argument.size());
    auto lines = parse_number(argument.substr(std::min(space + 1, argument.size())));
    if (!lines) return error("TOP wants a message and a number of lines");
    auto index = message_index(argument.substr(0, space));
    if (!index) return refuse("there is no such message");
    retrieve(*index, *lines);
}

void ServerSession::retrieve(std::size_t index, std::optional<std::uint64_t> lines) {
    opening_ = index;
    top_lines_ = lines;
    ask(Open{drop_.messages[index].uid}, Pending::open);
}

void ServerSession::dele(std::string_view argument) {
    auto index = message_index(argument);
    if (!index) return refuse("there is no such message");
    if (!drop_.read_only_reason.empty()) return refuse(drop_.read_only_reason, "SYS/PERM");
    const Message& message = drop_.messages[*index];
    deleted_[*index] = true;
    --count_;
    octets_ -= message.size;
    send("+OK marked, and removed at QUIT");
}

void ServerSession::rset(std::string_view) {
    deleted_.assign(drop_.messages.size(), false);
    count_ = drop_.messages.size();
    octets_ = 0;
    for (const auto& message : drop_.messages) octets_ += message.size;
    send("+OK " + std::to_string(count_) + " messages");
}

void ServerSession::noop(std::string_view) { send("+OK"); }

}  // namespace fwmail::pop3
