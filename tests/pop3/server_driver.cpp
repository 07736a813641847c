#include "pop3/server_driver.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

namespace fwmail::pop3::testing {

namespace {

Reply parse_reply(const std::string& text) {
    std::istringstream words(text);
    std::string word;
    words >> word;
    if (word == "done") return Done{};
    if (word == "challenge") {
        AuthChallenge challenge;
        std::getline(words >> std::ws, challenge.octets);
        return challenge;
    }
    if (word == "refuse") {
        Refusal refusal;
        words >> refusal.code;
        if (refusal.code == "-") refusal.code.clear();
        std::getline(words >> std::ws, refusal.text);
        return refusal;
    }
    REQUIRE((word == "drop" || word == "drop-ro"));
    Maildrop drop;
    if (word == "drop-ro") drop.read_only_reason = "this is a copy";
    words >> drop.uidvalidity.value;
    while (words >> word) {
        auto colon = word.find(':');
        drop.messages.push_back(
            {Uid{static_cast<std::uint32_t>(std::stoul(word))}, std::stoull(word.substr(colon + 1))});
    }
    return drop;
}

// NUL is shown as '|'.
std::string raw(const Secret& secret) {
    std::string text(secret.view());
    std::ranges::replace(text, '\0', '|');
    return '[' + text + ']';
}

std::string text_of(const UidSet& uids) {
    std::string out;
    for (const auto& i : uids.list()) {
        if (!out.empty()) out += ',';
        out += std::to_string(i.first);
        if (i.last != i.first) out += ':' + std::to_string(i.last);
    }
    return out;
}

}  // namespace

void ServerDriver::handle(ServerActions actions) {
    for (auto& action : actions) {
        REQUIRE_FALSE(closed);  // nothing comes after Close
        if (auto* send = std::get_if<Send>(&action)) {
            trace.octets(send->octets);
        } else if (auto* ask = std::get_if<Ask>(&action)) {
            on_request(ask->request);
        } else if (std::holds_alternative<WantBody>(action)) {
            REQUIRE(session.wants_body());
            give_body();
        } else if (std::holds_alternative<Continue>(action)) {
            handle(session.on_continue());
        } else if (std::holds_alternative<StartTls>(action)) {
            trace.action("starttls");
        } else {
            trace.action("close");
            closed = true;
        }
    }
    if (answer_at_once)
        while (session.awaits_reply()) answer();
}

void ServerDriver::on_request(const Request& request) {
    if (auto* login = std::get_if<Login>(&request))
        trace.action("login " + login->user + " [" + std::string(login->password.view()) + "]");
    else if (auto* start = std::get_if<AuthStart>(&request))
        trace.action("auth " + start->mechanism + (start->initial ? ' ' + raw(*start->initial) : ""));
    else if (auto* response = std::get_if<AuthResponse>(&request))
        trace.action("auth-response " + raw(response->octets));
    else if (auto* open = std::get_if<Open>(&request))
        trace.action("open " + std::to_string(open->uid.value));
    else
        trace.action("remove " + text_of(std::get<Remove>(request).uids));
}

void ServerDriver::answer() {
    REQUIRE(session.awaits_reply());
    Reply reply = Refusal{"SYS/TEMP", "no reply left"};
    if (!replies.empty()) {
        reply = parse_reply(replies.front());
        replies.pop_front();
    }
    if (asked++ == fail_at) reply = Refusal{"SYS/TEMP", "injected"};
    handle(session.on_reply(std::move(reply)));
}

void ServerDriver::give_body() {
    std::string line = bodies.empty() ? "body-cut " : bodies.front();
    if (!bodies.empty()) bodies.pop_front();
    bool cut = line.starts_with("body-cut ");
    std::string_view octets = std::string_view(line).substr(line.find(' ') + 1);
    while (!octets.empty() && session.wants_body()) {
        auto piece = octets.substr(0, body_piece);
        octets.remove_prefix(piece.size());
        handle(session.on_body(piece));
    }
    if (session.wants_body()) handle(cut ? session.on_body_failed() : session.on_body_end());
}

}  // namespace fwmail::pop3::testing
