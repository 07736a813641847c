// A server's octets into a POP3 client session.
#include "fuzz/wire.hpp"
#include "pop3/client_session.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;
using namespace fwmail::pop3;

namespace {

ClientConfig config_of(Control& control) {
    std::uint8_t bits = control.octet();
    ClientConfig config;
    config.tls = bits & 1 ? TlsPolicy::opportunistic : bits & 2 ? TlsPolicy::required : TlsPolicy::none;
    config.tls_from_start = bits & 4;
    config.clear_auth = !(bits & 8);
    config.credentials = Credentials{"ann", Secret(std::string_view("secret"))};
    if (bits & 16) config.credentials = Credentials{control.text(20), Secret(control.text(20))};
    config.max_rows = 20;
    config.max_message_size = 3000;
    return config;
}

class Driver {
  public:
    explicit Driver(Control control) : control_(control), session_(config_of(control_)) {
        // All at once, so that what happens does not depend on how the answers are cut.
        std::size_t count = 1 + control_.octet() % 8;
        for (; commands_ < count; ++commands_) {
            auto verb = static_cast<Verb>((control_.octet() + 3) % 9);
            handle(session_.command({verb, control_.octet() % 4u, control_.octet()}));
        }
    }
    void feed(std::string_view octets) {
        if (!session_.is_closed()) handle(session_.on_bytes(octets));
    }
    void finish() {
        if (!session_.is_closed()) handle(session_.on_deadline());
        if (!session_.is_closed()) handle(session_.on_closed());
        require(session_.is_closed() && failures_ <= 1, "a session ends, and fails once at most");
        require(failures_ == 1 || quit_ || answers_ == commands_, "every command has its answer");
        check_lines(sent);
    }

    std::string sent, trace;
    bool tls = false;

  private:
    void handle(ClientActions actions) {
        for (auto& action : actions) {
            require(!closed_, "nothing comes after Close");
            require(failures_ == 0 || std::holds_alternative<Close>(action),
                    "nothing but Close after Failed");
            std::visit([this](auto& a) { on(a); }, action);
        }
    }
    void on(Send& send) { sent += send.octets; }
    void on(Ready&) { trace += "ready\n"; }
    void on(StatRow& row) { trace += "stat " + std::to_string(row.count) + '\n'; }
    void on(ListRow& row) { on_row(std::to_string(row.number) + ' ' + std::to_string(row.size)); }
    void on(UidRow& row) {
        require(!row.uid.empty() && row.uid.size() <= 255, "a UID is of 1 to 255 octets");
        require(std::ranges::all_of(row.uid, [](char c) { return static_cast<unsigned char>(c) > ' '; }),
                "a UID has no white space");
        on_row(std::to_string(row.number) + ' ' + row.uid);
    }
    void on_row(const std::string& text) {
        require(++rows_ <= 20, "rows are bounded");
        trace += text + '\n';
    }
    void on(BodyPart& part) {
        body_ += part.octets.size();
        require(body_ <= 3000, "a message is bounded");
        trace += part.octets;
    }
    void on(Answer& answer) {
        ++answers_;
        rows_ = body_ = 0;
        quit_ |= answer.command.verb == Verb::quit;
        trace += "answer " + std::string(answer.ok ? "ok " : "no ") + answer.code + answer.text + '\n';
    }
    void on(Failed& failed) {
        ++failures_;
        trace += "failed " + failed.text + '\n';
    }
    void on(StartTls&) {
        tls = true;
        handle(session_.on_tls_started());
    }
    void on(Close&) { closed_ = true; }

    Control control_;
    ClientSession session_;
    std::size_t commands_ = 0, answers_ = 0, failures_ = 0, rows_ = 0, body_ = 0;
    bool closed_ = false, quit_ = false;
};

}  // namespace

FUZZ_TARGET(pop3_client) {
    WholeAndCut<Driver> both(input);
    const auto& [whole, cut] = both;
    both.finish();
    if (!whole.tls && !cut.tls) both.require_same();
}
