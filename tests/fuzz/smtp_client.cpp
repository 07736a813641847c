// A server's octets into an SMTP client session; envelope and message come from the steering octets.
#include "fuzz/wire.hpp"
#include "smtp/client_session.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::smtp;

namespace {

ClientConfig config_of(std::uint8_t bits) {
    ClientConfig config;
    config.tls = bits & 1 ? TlsPolicy::opportunistic : bits & 2 ? TlsPolicy::required : TlsPolicy::none;
    config.tls_from_start = bits & 4;
    if (bits & 8) config.credentials = Credentials{"ann", Secret(std::string_view("secret"))};
    config.clear_auth = bits & 16;
    config.pipeline_window = bits & 64 ? 1 : 100;
    return config;
}

class Driver {
  public:
    explicit Driver(Control control) : control_(control), session_(config_of(control_.octet())) {
        OutgoingEnvelope envelope;
        std::uint8_t bits = control_.octet();
        if (bits & 1) envelope.reverse_path = {"o'\"dd local", "example.org"};
        for (int i = 0; i <= (bits >> 1 & 3); ++i)
            envelope.recipients.push_back({"bob" + std::to_string(i), "example.net"});
        envelope.eight_bit = bits & 8;
        envelope.utf8 = bits & 16;
        if (bits & 32) envelope.size = 400;
        if (bits & 64) envelope.dsn = {DsnReturn::headers, "id+2B1"};
        message_ = bits & 128 ? control_.text(200) : "Subject: x\r\n\r\n.\r\n..\r\nend";
        recipients_ = envelope.recipients.size();
        handle(session_.start());
        handle(session_.send(std::move(envelope)));
        ++sends_;
    }
    void feed(std::string_view octets) {
        if (!session_.is_closed()) handle(session_.on_bytes(octets));
    }
    void finish() {
        if (!session_.is_closed()) handle(session_.quit());
        if (!session_.is_closed()) handle(session_.on_deadline());
        if (!session_.is_closed()) handle(session_.on_closed());
        require(session_.is_closed() && done_ == sends_, "every message ends in one Done");
        if (whole_message_ || !asked) check_lines(sent, asked);
    }

    std::string sent, trace;
    bool tls = false, asked = false;

  private:
    void handle(ClientActions actions) {
        for (auto& action : actions) {
            require(!closed_, "nothing comes after Close");
            std::visit([this](auto& a) { on(a); }, action);
        }
    }
    void on(Send& send) { sent += send.octets; }
    void on(StartTls&) {
        tls = true;
        handle(session_.on_tls_started());
    }
    void on(WantMessage&) {
        require(!ended_, "no message is wanted twice");
        asked = true;
        whole_message_ = false;
        if (control_.octet() % 8 == 1) return handle(session_.on_message_failed());
        if (!message_.empty()) {
            std::string message = std::exchange(message_, {});
            return handle(session_.on_message_chunk(message));
        }
        ended_ = whole_message_ = true;
        handle(session_.on_message_end());
    }
    void on(Ready&) { trace += "ready\n"; }
    void on(Done& done) {
        ++done_;
        require(done.result.recipients.size() == recipients_, "each recipient has a result");
        for (const auto& r : done.result.recipients) {
            require(r.outcome != Outcome::delivered || (ended_ && r.reply.positive()),
                    "delivered only after the whole message and a good reply");
            trace +=
                r.recipient.text() + ' ' + std::string(phase_name(r.phase)) + ' ' + r.reply.one_line() + '\n';
        }
    }
    void on(Failed& failed) {
        require(done_ == sends_, "the connection fails alone only without a message");
        trace += "failed " + failed.reply.one_line() + '\n';
    }
    void on(Close&) { closed_ = true; }

    Control control_;
    ClientSession session_;
    std::string message_;
    std::size_t recipients_ = 0, sends_ = 0, done_ = 0;
    bool closed_ = false, ended_ = false, whole_message_ = true;
};

void try_replies(std::string_view text, std::uint32_t seed) {
    std::string whole, pieces;
    auto take = [](ReplyParser& parser, std::string& out) {
        while (true) {
            auto reply = parser.next();
            if (!reply) {
                out += reply.error().text;
                return false;
            }
            if (!*reply) return true;
            require((*reply)->code >= 200 && (*reply)->code <= 599, "a code of a sensible class");
            std::string written = write_reply(**reply);
            check_lines(written);
            ReplyParser again;
            again.add(written);
            auto back = again.next();
            require(back && *back && (*back)->code == (*reply)->code && !again.has_leftover(),
                    "a reply that is written can be read");
            out += (*reply)->one_line() + '\n';
        }
    };
    ReplyParser at_once, in_parts;
    at_once.add(text);
    take(at_once, whole);
    bool good = true;
    in_pieces(text, seed, [&](std::string_view piece) {
        if (!good) return;
        in_parts.add(piece);
        good = take(in_parts, pieces);
    });
    require(whole == pieces, "replies do not depend on cuts");
}

}  // namespace

FUZZ_TARGET(smtp_client) {
    WholeAndCut<Driver> both(input);
    const auto& [whole, cut] = both;
    both.finish();
    // A server that speaks before it has the message is out of turn, and when it does depends on cuts.
    if (!whole.tls && !cut.tls && !whole.asked && !cut.asked) both.require_same();
    try_replies(input.text, static_cast<std::uint32_t>(input.control.size()));
}
