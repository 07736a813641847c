#include "smtp/server_driver.hpp"

#include <catch2/catch.hpp>

namespace fwmail::smtp::testing {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

}  // namespace

Reply parse_reply(std::string_view text) {
    Reply reply;
    reply.code = std::stoi(std::string(text.substr(0, 3)));
    text.remove_prefix(std::min<std::size_t>(4, text.size()));
    if (auto status = take_enhanced_status(text)) reply.status = *status;
    reply.text = text;
    return reply;
}

void ServerDriver::handle(ServerActions actions) {
    for (auto& action : actions) {
        REQUIRE_FALSE(closed);  // nothing comes after Close
        std::visit(Overloaded{
                       [&](const Send& send) { trace.octets(send.octets); },
                       [&](const Ask& ask) { on_request(ask.request); },
                       [&](const Pause&) { trace.action("pause"); },
                       [&](const StartTls&) { trace.action("starttls"); },
                       [&](const Close&) {
                           trace.action("close");
                           closed = true;
                       },
                   },
                   action);
    }
    if (answer_at_once)
        while (session.awaits_reply()) answer();
}

void ServerDriver::on_request(const Request& request) {
    std::visit(Overloaded{
                   [&](const MailFrom& mail) {
                       REQUIRE_FALSE(open_);
                       std::string text = "mail <" + mail.reverse_path.text() + '>';
                       if (mail.size) text += " size=" + std::to_string(*mail.size);
                       trace.action(text + (mail.body_8bit ? " 8bit" : "") + (mail.utf8 ? " utf8" : "") +
                                    mail.dsn.text());
                   },
                   [&](const RcptTo& rcpt) {
                       REQUIRE(open_);
                       trace.action("rcpt <" + rcpt.forward_path.text() + '>' + rcpt.dsn.text());
                   },
                   [&](const DataBegin&) {
                       REQUIRE(open_);
                       message_.clear();
                       trace.action("data");
                   },
                   [&](const MessageChunk& chunk) {
                       REQUIRE(open_);
                       REQUIRE_FALSE(chunk.octets.empty());
                       message_ += chunk.octets;
                       trace.chunk(chunk.octets);
                   },
                   [&](const MessageEnd& end) {
                       REQUIRE(open_);
                       REQUIRE(end.size == message_.size());
                       open_ = false;
                       trace.action("end " + std::to_string(end.size) +
                                    (end.replies == 1 ? "" : " replies=" + std::to_string(end.replies)));
                   },
                   [&](const Abort&) {
                       REQUIRE(open_);
                       open_ = false;
                       trace.action("abort");
                   },
                   [&](const AuthStart& start) {
                       trace.action("auth " + start.mechanism +
                                    (start.initial ? " [" + std::string(start.initial->view()) + "]" : ""));
                   },
                   [&](const AuthResponse& response) {
                       trace.action("auth-response [" + std::string(response.octets.view()) + "]");
                   },
               },
               request);
    if (wants_reply(request)) last_ = request;
}

void ServerDriver::answer() {
    REQUIRE(session.awaits_reply());
    Reply reply{250, {2, 0, 0}, "ok"};
    if (!replies.empty()) {
        reply = replies.front();
        replies.pop_front();
    }
    if (asked++ == fail_at) reply = {451, {4, 3, 0}, "injected"};
    if (reply.positive() && std::holds_alternative<MailFrom>(last_)) open_ = true;
    if (reply.positive() && std::holds_alternative<MessageEnd>(last_)) messages.push_back(message_);
    handle(session.on_reply(reply));
}

void ServerDriver::close() {
    answer_at_once = false;
    handle(session.on_closed());
    REQUIRE_FALSE(open_);
    REQUIRE(session.is_closed());
}

}  // namespace fwmail::smtp::testing
