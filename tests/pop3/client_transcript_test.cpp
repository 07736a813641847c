// Every client transcript whole, octet by octet and split at every offset; and whatever goes wrong at any
// step, each command has one Answer or the session one Failed.
#include <catch2/catch.hpp>

#include "pop3/client_session.hpp"
#include "support/client_replay.hpp"

using namespace fwmail;
using namespace fwmail::pop3;
using namespace fwmail::testing;

namespace {

ClientConfig config_of(const Transcript& t) {
    ClientConfig config;
    config.tls = t.option("tls") == "none"       ? TlsPolicy::none
                 : t.option("tls") == "required" ? TlsPolicy::required
                                                 : TlsPolicy::opportunistic;
    config.tls_from_start = t.option("tls") == "implicit";
    config.clear_auth = t.has_option("clear-auth");
    std::string user = t.has_option("user") ? t.option("user") : "ann";
    std::string password = t.has_option("password") ? t.option("password") : "secret";
    config.credentials = Credentials{user, Secret(password)};
    if (t.has_option("rows")) config.max_rows = std::stoull(t.option("rows"));
    if (t.has_option("size")) config.max_message_size = std::stoull(t.option("size"));
    return config;
}

std::string_view name_of(Verb verb) {
    constexpr std::string_view names[] = {"stat", "list", "uidl", "retr", "top",
                                          "dele", "rset", "noop", "quit"};
    return names[static_cast<int>(verb)];
}

Command parse_command(std::string_view text) {
    Command command{Verb::noop};
    std::string_view verb = text.substr(0, text.find(' '));
    for (Verb v : {Verb::stat, Verb::list, Verb::uidl, Verb::retr, Verb::top, Verb::dele, Verb::rset,
                   Verb::noop, Verb::quit})
        if (name_of(v) == verb) command.verb = v;
    if (verb.size() < text.size()) {
        std::size_t end = 0;
        std::string numbers(text.substr(verb.size()));
        command.number = static_cast<std::uint32_t>(std::stoul(numbers, &end));
        if (end < numbers.size()) command.lines = static_cast<std::uint32_t>(std::stoul(numbers.substr(end)));
    }
    return command;
}

class Driver {
  public:
    explicit Driver(ClientConfig config) : session(std::move(config)) {}

    void feed(std::string_view octets) { handle(session.on_bytes(octets)); }

    void event(std::string_view text) {
        if (text == "tls") return handle(session.on_tls_started());
        if (text == "closed") return handle(session.on_closed());
        if (text == "deadline") return handle(session.on_deadline());
        commands += !session.is_closed();
        handle(session.command(parse_command(text)));
    }

    void handle(ClientActions actions) {
        for (auto& action : actions) {
            REQUIRE_FALSE(closed);
            if (failures) REQUIRE(std::holds_alternative<Close>(action));
            std::visit([this](auto& a) { on(a); }, action);
        }
    }

    ClientSession session;
    Trace trace{'C'};
    std::size_t commands = 0, answers = 0, failures = 0;
    bool closed = false;

  private:
    void on(Send& send) { trace.octets(send.octets); }
    void on(Ready& ready) {
        const auto& c = ready.capabilities;
        std::string text = "ready";
        if (c.known) text += " capa";
        if (c.top) text += " top";
        if (c.uidl) text += " uidl";
        if (c.pipelining) text += " pipelining";
        trace.action(text);
    }
    void on(StatRow& row) {
        trace.action("stat " + std::to_string(row.count) + ' ' + std::to_string(row.octets));
    }
    void on(ListRow& row) {
        trace.action("size " + std::to_string(row.number) + ' ' + std::to_string(row.size));
    }
    void on(UidRow& row) { trace.action("uid " + std::to_string(row.number) + ' ' + row.uid); }
    void on(BodyPart& part) { trace.chunk(part.octets); }
    void on(Answer& answer) {
        ++answers;
        trace.action(std::string(name_of(answer.command.verb)) + (answer.ok ? " ok" : " refused") +
                     (answer.code.empty() ? "" : " (" + answer.code + ")") + ": " + answer.text);
    }
    void on(Failed& failed) {
        ++failures;
        trace.action("failed " + std::to_string(static_cast<int>(failed.phase)) +
                     (failed.refused ? " refused" : "") +
                     (failed.code.empty() ? "" : " (" + failed.code + ")") + ": " + failed.text);
    }
    void on(StartTls&) { trace.action("starttls"); }
    void on(Close&) {
        trace.action("close");
        closed = true;
    }
};

}  // namespace

TEST_CASE("POP3 client transcripts") {
    auto transcripts = load_transcripts("pop3", "client-");
    REQUIRE(transcripts.size() >= 8);
    for (const auto& t : transcripts) replay_client(t, [&] { return Driver(config_of(t)); });
}

TEST_CASE("POP3 client ends every command once, whatever goes wrong at any step") {
    for (const auto& t : load_transcripts("pop3", "client-"))
        fail_client(t, [&] { return Driver(config_of(t)); },
                    {"-ERR [SYS/TEMP] injected\r\n", "* OK this is IMAP\r\n", std::string(5000, 'a')});
}
