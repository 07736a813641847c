// A client's octets into an SMTP or LMTP session; what the backend says comes from the steering octets.
#include <array>
#include <vector>

#include "base/encoding.hpp"
#include "fuzz/wire.hpp"
#include "mime/header.hpp"
#include "smtp/header_stripper.hpp"
#include "smtp/received.hpp"
#include "smtp/server_session.hpp"
#include "smtp/submission_fields.hpp"
#include "support/crlf.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::smtp;

namespace {

ServerConfig config_of(std::uint8_t bits) {
    ServerConfig config;
    config.hostname = "mx.example.org";
    config.max_message_size = 5000;
    config.offer_starttls = bits & 1;
    config.tls_from_start = bits & 2;
    if (!(bits & 4)) config.auth_mechanisms = {"PLAIN", "LOGIN"};
    config.clear_auth = bits & 8;
    config.lmtp = bits & 16;
    config.require_auth = bits & 32;
    config.require_tls = bits & 64;
    config.max_recipients = bits & 128 ? 2 : 20;
    config.max_buffer = 16 * 1024;
    return config;
}

// Plays the backend, and holds the session to its invariants.
class Driver {
  public:
    Driver(Control control) : control_(control), session_(config_of(control_.octet())) {
        handle(session_.start());
    }

    void feed(std::string_view octets) {
        while (!octets.empty() && !closed_) {
            require(session_.wants_input(), "a session without a question pending wants input");
            auto piece = octets.substr(0, 1024);  // so that the buffer does not overflow
            octets.remove_prefix(piece.size());
            handle(session_.on_bytes(piece));
        }
    }
    void finish() {
        if (!session_.is_closed()) handle(session_.on_closed());
        require(!open_ && session_.is_closed(), "nothing stays open");
        check_lines(sent);
        check_replies();
    }

    std::string sent, trace;
    std::vector<std::string> messages;
    bool tls = false;

  private:
    void handle(ServerActions actions) {
        while (true) {
            for (auto& action : actions) {
                require(!closed_, "nothing comes after Close");
                if (auto* send = std::get_if<Send>(&action)) {
                    sent += send->octets;
                } else if (auto* ask = std::get_if<Ask>(&action)) {
                    std::visit([this](const auto& request) { on(request); }, ask->request);
                    if (wants_reply(ask->request)) {
                        require(!asked_, "one question at a time");
                        asked_ = true, last_ = ask->request;
                    }
                } else if (std::holds_alternative<StartTls>(action)) {
                    tls = start_tls_ = true;
                } else {
                    closed_ = true;
                }
            }
            require(asked_ == session_.awaits_reply(), "what is asked is awaited");
            if (asked_) {
                actions = session_.on_reply(reply());
            } else if (start_tls_) {
                start_tls_ = false;
                actions = session_.on_tls_started();
            } else {
                break;
            }
        }
    }
    Reply reply() {
        std::uint8_t octet = control_.octet();
        bool begin = std::holds_alternative<DataBegin>(last_),
             auth = std::holds_alternative<AuthStart>(last_) || std::holds_alternative<AuthResponse>(last_);
        Reply reply{begin ? 354 : auth ? 235 : 250, {2, 0, 0}, "ok"};
        if (octet % 8 == 1) reply = {451, {4, 3, 0}, "later\nor\r\nnever\x01\xc3"};
        if (octet % 8 == 2) reply = {550, {5, 1, 1}, std::string(1000, 'n')};
        if (octet % 8 == 3) reply = {421, {}, "bye"};
        if (octet % 8 == 4) reply = {static_cast<int>(octet) * 3, {}, ""};
        if (octet % 8 == 5 && auth) reply = {334, {}, "challenge"};
        if (octet % 8 == 6) reply = {251, {}, ""};
        if (due_ == 0) asked_ = false;
        bool good = reply.positive();
        if (std::holds_alternative<MailFrom>(last_) && good) {
            open_ = true;
            message_.clear();
        }
        if (std::holds_alternative<MessageEnd>(last_)) {
            any_good_ |= good;
            if (due_ > 0) --due_;
            if (due_ == 0) {
                asked_ = false;
                open_ = false;
                if (any_good_) messages.push_back(message_);
            }
        }
        return reply;
    }

    void on(const MailFrom& mail) {
        require(!open_, "no transaction within a transaction");
        require(!mail.size || *mail.size <= 5000, "SIZE is held against the limit");
        require(mail.utf8 || mail.reverse_path.is_ascii(), "no UTF-8 without SMTPUTF8");
        check_path(mail.reverse_path);
        trace += "mail " + mail.reverse_path.text() + mail.dsn.text() + '\n';
    }
    void on(const RcptTo& rcpt) {
        require(open_, "a recipient belongs to a transaction");
        check_path(rcpt.forward_path);
        trace += "rcpt " + rcpt.forward_path.text() + rcpt.dsn.text() + '\n';
    }
    void on(const DataBegin&) {
        require(open_, "data belong to a transaction");
        trace += "data\n";
    }
    void on(const MessageChunk& chunk) {
        require(open_ && !chunk.octets.empty(), "octets belong to a transaction");
        message_ += chunk.octets;
        require(message_.size() <= 5000, "a message is within its limit");
    }
    void on(const MessageEnd& end) {
        require(open_ && end.size == message_.size(), "all octets were handed on");
        due_ = end.replies;
        any_good_ = false;
        trace += message_ + "end\n";  // of what is aborted, more or less may have been handed on
    }
    void on(const Abort&) {
        require(open_, "what is aborted was open");
        open_ = false;
        trace += "abort\n";
    }
    void on(const AuthStart& start) {
        trace +=
            "auth " + start.mechanism + (start.initial ? std::string(start.initial->view()) : "-") + '\n';
    }
    void on(const AuthResponse& response) { trace += "auth " + std::string(response.octets.view()) + '\n'; }

    static void check_path(const Path& path) {
        if (path.is_null() || path.domain.empty() || path.text().size() > 254) return;
        auto again = parse_address(path.text(), Charset::utf8);
        require(again && *again == path, "an address is the same written and read");
        require(std::ranges::none_of(path.text(), [](char c) { return c >= 0 && (c < 0x20 || c == 0x7f); }),
                "an address has no control characters");
    }
    void check_replies() const {
        for (std::size_t at = 0; at < sent.size();) {
            std::size_t end = sent.find("\r\n", at);
            std::string_view line = std::string_view(sent).substr(at, end - at);
            require(line.size() >= 4 && line.size() <= 510 && line[0] >= '2' && line[0] <= '5' &&
                        (line[3] == ' ' || line[3] == '-'),
                    "a reply has a code, and lines of bounded length");
            require(std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7f; }),
                    "printable ASCII");
            at = end + 2;
        }
    }

    Control control_;
    ServerSession session_;
    Request last_;
    std::string message_;
    std::size_t due_ = 0;
    bool asked_ = false, open_ = false, closed_ = false, start_tls_ = false, any_good_ = false;
};

// What was taken goes on to another server as one message, the same.
void check_relay(const std::string& message) {
    mime::DotStuffer stuffer;
    std::string wire, back;
    in_pieces(message, 7, [&](std::string_view piece) { wire += stuffer.add(piece); });
    wire += stuffer.finish();
    mime::DotUnstuffer unstuffer;
    std::size_t used = unstuffer.add(wire, back);
    require(unstuffer.done() && used == wire.size() && !unstuffer.dangerous(), "it ends where it ends");
    require(back == testing::crlf_only(message), "it is the same behind the wire, but for bare CR and LF");
}

template <class Filter>
std::string filtered(Filter at_once, Filter in_parts, std::string_view text) {
    std::string whole = at_once.add(text), pieces;
    whole += at_once.finish();
    in_pieces(text, 3, [&](std::string_view piece) { pieces += in_parts.add(piece); });
    pieces += in_parts.finish();
    require(whole == pieces, "a filter does not depend on how the message was cut");
    return whole;
}

void try_filters(std::string_view text) {
    std::string out = filtered(HeaderFieldStripper(), HeaderFieldStripper(), text);
    for (const auto& field : mime::HeaderView(out))
        require(field.name.size() < 7 || !equal_ignoring_case(field.name.substr(0, 7), "FWMail-"),
                "no field with our name is left");
    filtered(SubmissionFields("now", "<id@x>"), SubmissionFields("now", "<id@x>"), text);
    count_received(text);
    has_delivered_to(text, "ann@example.org");
    std::string line(text.substr(0, text.find('\n')));
    std::string received = write_received({line, "192.0.2.1", "mx", "ESMTP", "id", line, "now"});
    check_lines(received);
    require(mime::HeaderView(received).fields().size() == 1, "a trace field is one field");
}

}  // namespace

FUZZ_TARGET(smtp_server) {
    WholeAndCut<Driver> both(input);
    const auto& [whole, cut] = both;
    both.finish();
    // What comes in clear behind STARTTLS is thrown away: as much as has come.
    if (!whole.tls && !cut.tls) both.require_same();
    for (const auto& message : whole.messages) check_relay(message);
    try_filters(input.text);
}
