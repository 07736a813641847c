// A client's octets into a POP3 session; the maildrop and its messages come from the steering octets.
#include <vector>

#include "fuzz/wire.hpp"
#include "pop3/server_session.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::pop3;

namespace {

ServerConfig config_of(std::uint8_t bits) {
    ServerConfig config;
    config.hostname = "pop.example.org";
    config.offer_stls = bits & 1;
    config.tls_from_start = bits & 2;
    config.clear_login = !(bits & 4);
    config.max_buffer = 16 * 1024;
    return config;
}

class Driver {
  public:
    explicit Driver(Control control) : control_(control), session_(config_of(control_.octet())) {
        handle(session_.start());
    }
    void feed(std::string_view octets) {
        while (!octets.empty() && !session_.is_closed()) {
            require(session_.wants_input(), "a session that waits for nothing else wants input");
            auto piece = octets.substr(0, 1024);
            octets.remove_prefix(piece.size());
            handle(session_.on_bytes(piece));
        }
    }
    void finish() {
        if (!session_.is_closed()) handle(session_.on_deadline());
        require(session_.is_closed(), "silence ends a session");
        if (!cut_off_) check_lines(sent, true);
    }

    std::string sent, trace;
    bool tls = false;

  private:
    enum class Next { nothing, reply, body, more, tls };

    void handle(ServerActions actions) {
        while (true) {
            Next next = Next::nothing;
            for (auto& action : actions) {
                require(!closed_, "nothing comes after Close");
                if (auto* send = std::get_if<Send>(&action)) {
                    sent += send->octets;
                    continue;
                }
                if (std::holds_alternative<Close>(action)) {
                    closed_ = true;
                    continue;
                }
                require(next == Next::nothing, "one thing is awaited at a time");
                if (auto* ask = std::get_if<Ask>(&action)) {
                    next = Next::reply;
                    on_request(ask->request);
                } else if (std::holds_alternative<WantBody>(action)) {
                    next = Next::body;
                } else if (std::holds_alternative<Continue>(action)) {
                    next = Next::more;
                } else {
                    next = Next::tls;
                    tls = true;
                }
            }
            require((next == Next::reply) == session_.awaits_reply(), "what is asked is awaited");
            if (closed_ || (next == Next::nothing && !session_.wants_body())) break;
            actions = next == Next::reply  ? session_.on_reply(reply())
                      : next == Next::more ? session_.on_continue()
                      : next == Next::tls  ? session_.on_tls_started()
                                           : give_body();
        }
    }
    void on_request(const Request& request) {
        last_ = request.index();
        if (auto* login = std::get_if<Login>(&request))
            trace += "login " + login->user + ' ' + std::string(login->password.view()) + '\n';
        if (auto* open = std::get_if<Open>(&request)) {
            require(logged_in_ && open->uid.value % 3 == 1, "only messages of the maildrop are opened");
            trace += "open " + std::to_string(open->uid.value) + '\n';
            body_ = "Subject: x\r\n\r\n.dot\r\nbare\rcr\nlf\r\n." + control_.text(60) +
                    std::string(control_.octet() * 20u, 'b');
        }
        if (auto* remove = std::get_if<Remove>(&request)) {
            require(logged_in_, "nothing is removed without a login");
            trace += "remove";
            for (auto i : remove->uids.list()) trace += ' ' + std::to_string(i.first);
            trace += '\n';
        }
    }
    Reply reply() {
        std::uint8_t octet = control_.octet();
        if (octet % 4 == 1) return Refusal{"AUTH", "no\r\nway"};
        if (octet % 4 == 2) return Refusal{"SYS/TEMP", ""};
        if (last_ != 0) return Done{};
        Maildrop drop{UidValidity{7}, {}, octet & 4 ? "it is a copy" : ""};
        for (std::uint32_t i = 0; i < (octet & 8 ? 3000u : octet >> 4); ++i)
            drop.messages.push_back({Uid{3 * i + 1}, i * 100});
        logged_in_ = true;
        return drop;
    }
    ServerActions give_body() {
        if (body_.empty()) {
            if (control_.octet() % 8 != 1) return session_.on_body_end();
            cut_off_ = true;
            return session_.on_body_failed();
        }
        std::string piece = body_.substr(0, 50);
        body_.erase(0, piece.size());
        return session_.on_body(piece);
    }

    Control control_;
    ServerSession session_;
    std::size_t last_ = 0;
    std::string body_;
    bool closed_ = false, logged_in_ = false, cut_off_ = false;
};

void try_top(std::string_view text, std::uint64_t lines) {
    TopCutter at_once(lines), in_parts(lines);
    std::string whole(at_once.take(text)), pieces;
    require(text.starts_with(whole), "TOP shows the beginning");
    in_pieces(text, 5, [&](std::string_view piece) {
        if (!in_parts.done()) pieces += in_parts.take(piece);
    });
    require(whole == pieces, "TOP does not depend on how the message was cut");
}

}  // namespace

FUZZ_TARGET(pop3_server) {
    WholeAndCut<Driver> both(input);
    const auto& [whole, cut] = both;
    both.finish();
    if (!whole.tls && !cut.tls) both.require_same();
    try_top(input.text, input.control.size() % 5);
}
