// Every transcript of the client session whole, octet by octet and split at every offset; and whatever goes
// wrong at any step, each command has one Answer or the session one Failed.
#include <random>
#include <sstream>

#include "imap/client_session.hpp"
#include "imap/parser.hpp"
#include "support/client_replay.hpp"

using namespace fwmail;
using namespace fwmail::imap;
using namespace fwmail::testing;

namespace {

client::Config config_of(const Transcript& t) {
    client::Config config;
    config.tls = t.option("tls") == "none"       ? client::TlsPolicy::none
                 : t.option("tls") == "required" ? client::TlsPolicy::required
                                                 : client::TlsPolicy::opportunistic;
    config.tls_from_start = t.option("tls") == "implicit";
    config.clear_auth = t.has_option("clear-auth");
    config.qresync = t.has_option("qresync");
    config.credentials =
        client::Credentials{"ann", Secret(t.has_option("password") ? t.option("password") : "secret")};
    if (t.has_option("limit")) config.limits.response = std::stoull(t.option("limit"));
    if (t.has_option("streamed")) config.limits.streamed = std::stoull(t.option("streamed"));
    return config;
}

UidSet uids_of(const std::string& text) {
    if (text == "all") {
        UidSet all;
        all.add(1, 0xffffffff);
        return all;
    }
    return response::parse_uid_set(text).value();
}

std::string text_of(const UidSet& uids) {
    std::string out;
    for (const auto& i : uids.list()) {
        out += (out.empty() ? "" : ",") + std::to_string(i.first);
        if (i.last != i.first) out += ':' + std::to_string(i.last);
    }
    return out;
}

client::Command fetch_command(std::istringstream& words) {
    client::FetchUids fetch;
    std::string word;
    words >> word;
    fetch.uids = uids_of(word);
    while (words >> word) {
        fetch.flags |= word == "flags";
        fetch.internal_date |= word == "date";
        fetch.size |= word == "size";
        fetch.modseq |= word == "modseq";
        fetch.email_id |= word == "emailid";
        fetch.header |= word == "header";
        fetch.content |= word == "content";
        fetch.vanished |= word == "vanished";
        if (word.starts_with("since=")) fetch.changed_since = ModSeq{std::stoull(word.substr(6))};
    }
    return fetch;
}

client::Command store_command(std::istringstream& words) {
    client::StoreFlags store;
    std::string set, mode, flags;
    words >> set >> mode;
    store.uids = uids_of(set);
    store.mode = mode[0] == '+'   ? client::FlagMode::add
                 : mode[0] == '-' ? client::FlagMode::remove
                                  : client::FlagMode::set;
    if (mode.size() > 1) store.unchanged_since = ModSeq{std::stoull(mode.substr(1))};
    std::getline(words >> std::ws, flags);
    store.flags = FlagSet::from_text(flags);
    return store;
}

client::Command parse_command(const std::string& text) {
    std::istringstream words(text);
    std::string verb, a, b;
    words >> verb;
    if (verb == "fetch") return fetch_command(words);
    if (verb == "store") return store_command(words);
    words >> a >> b;
    if (verb == "list") return client::ListMailboxes{};
    if (verb == "status") return client::StatusOf{a};
    if (verb == "select" || verb == "examine") {
        client::Select select{a, verb == "examine", std::nullopt};
        if (!b.empty())
            select.known = client::KnownState{UidValidity{static_cast<std::uint32_t>(std::stoul(b))},
                                              ModSeq{std::stoull(b.substr(b.find('/') + 1))}};
        return select;
    }
    if (verb == "unselect") return client::Unselect{};
    if (verb == "copy") return client::CopyTo{uids_of(a), b};
    if (verb == "move") return client::MoveTo{uids_of(a), b};
    if (verb == "expunge") return client::ExpungeUids{uids_of(a)};
    if (verb == "append") {
        client::Append append{a, FlagSet::from_text("\\Seen"), UnixMillis{1'000'000'000'000}, std::stoull(b)};
        return append;
    }
    if (verb == "create") return client::Create{a};
    if (verb == "subscribe") return client::Subscribe{a};
    if (verb == "idle") return client::Idle{};
    if (verb == "logout") return client::Logout{};
    REQUIRE(verb == "noop");
    return client::Noop{};
}

class Driver {
  public:
    explicit Driver(client::Config config) : session(std::move(config)) {}

    void feed(std::string_view octets) { handle(session.on_bytes(octets)); }

    void event(std::string_view text) {
        if (text == "tls") return handle(session.on_tls_started());
        if (text == "closed") return handle(session.on_closed());
        if (text == "deadline") return handle(session.on_deadline());
        if (text == "done") return handle(session.done());
        if (text == "cannot read") return handle(session.append_failed());
        if (text.starts_with("content ")) return handle(session.append_content(text.substr(8)));
        commands += !session.is_closed();
        handle(session.command(parse_command(std::string(text))));
    }

    void handle(client::Events events) {
        for (auto& event : events) {
            REQUIRE_FALSE(closed);
            if (failures) REQUIRE(std::holds_alternative<client::Close>(event));
            std::visit([this](auto& e) { on(e); }, event);
        }
    }

    client::Session session;
    Trace trace{'C'};
    std::size_t commands = 0, answers = 0, failures = 0;
    bool closed = false;
    bool strict = true;  // names are sane

  private:
    void on(client::Send& send) { trace.octets(send.octets); }
    void on(client::Ready&) {
        trace.action("ready [" + session.personal().prefix + "] " +
                     (session.personal().delimiter ? std::string(1, session.personal().delimiter) : "NIL") +
                     (session.qresync_enabled() ? " qresync" : ""));
    }
    void on(client::ListRow& row) {
        std::string path = session.path_of(row);
        trace.action("list " + row.mailbox + " = " + path +
                     (row.attributes.empty() ? "" : " " + row.attributes[0]) +
                     (session.is_personal(row) ? "" : " (another's)"));
        bool ours = (path == "INBOX" || row.mailbox.starts_with(session.personal().prefix)) &&
                    decode_mailbox_name(row.mailbox);
        if (strict && ours && path.find('_') == std::string::npos)
            REQUIRE(session.mailbox_of(path) == row.mailbox);
    }
    void on(client::StatusRow& row) {
        trace.action("status " + row.mailbox + ' ' + std::to_string(row.messages.value_or(0)) + ' ' +
                     std::to_string(row.uidvalidity.value) + ' ' + std::to_string(row.uidnext.value) + ' ' +
                     std::to_string(row.highest_modseq.value_or(0)));
    }
    void on(client::Selected& s) {
        trace.action("selected " + std::to_string(s.exists) + ' ' + std::to_string(s.uidvalidity.value) +
                     ' ' + std::to_string(s.uidnext.value) + ' ' + std::to_string(s.highest_modseq.value) +
                     " (" + s.permanent_flags.text() + ")" + (s.any_keyword ? " any" : "") +
                     (s.read_only ? " read-only" : ""));
    }
    void on(client::ContentBegin& begin) {
        trace.action("content " + std::to_string(begin.number.value) + ' ' + begin.section + ' ' +
                     std::to_string(begin.size));
    }
    void on(client::ContentPart& part) {
        REQUIRE_FALSE(part.octets.empty());
        trace.chunk(part.octets);
    }
    void on(client::Fetched& f) {
        std::string text =
            "fetched " + std::to_string(f.number.value) + " uid " + std::to_string(f.uid.value);
        if (f.flags) text += " (" + f.flags->text() + (f.recent ? ") recent" : ")");
        if (f.internal_date)
            text += " date " + std::to_string(f.internal_date->value) + '/' + std::to_string(f.zone_minutes);
        if (f.size) text += " size " + std::to_string(*f.size);
        if (f.modseq.value) text += " modseq " + std::to_string(f.modseq.value);
        if (!f.email_id.empty()) text += " email " + f.email_id;
        for (const auto& content : f.contents)
            if (content.how == response::Content::How::nil) text += " no " + content.section;
        trace.action(text);
    }
    void on(client::Vanished& v) {
        trace.action(std::string("vanished ") + (v.earlier ? "earlier " : "") + text_of(v.uids));
    }
    void on(client::Exists& e) { trace.action("exists " + std::to_string(e.count)); }
    void on(client::Expunged& e) { trace.action("expunged " + std::to_string(e.number.value)); }
    void on(client::Alert& a) { trace.action("alert " + a.text); }
    void on(client::WantContent&) { trace.action("want"); }
    void on(client::Idling&) { trace.action("idling"); }
    void on(client::Answer& answer) {
        ++answers;
        trace.action(std::to_string(answer.id) + (answer.ok ? " ok" : " refused") +
                     (answer.code.empty() ? "" : " [" + answer.code + ' ' + answer.arguments + "]") + ": " +
                     answer.text);
    }
    void on(client::Failed& failed) {
        ++failures;
        trace.action("failed " + std::to_string(static_cast<int>(failed.phase)) +
                     (failed.refused ? " refused" : "") +
                     (failed.code.empty() ? "" : " [" + failed.code + "]") + ": " + failed.text);
    }
    void on(client::StartTls&) { trace.action("starttls"); }
    void on(client::StartCompression&) { trace.action("compress"); }
    void on(client::Close&) {
        trace.action("close");
        closed = true;
    }
};

}  // namespace

TEST_CASE("IMAP client transcripts") {
    auto transcripts = load_transcripts("imap_client", "");
    REQUIRE(transcripts.size() >= 14);
    for (const auto& t : transcripts) replay_client(t, [&] { return Driver(config_of(t)); });
}

TEST_CASE("IMAP client ends every command once, whatever goes wrong at any step") {
    for (const auto& t : load_transcripts("imap_client", ""))
        fail_client(
            t, [&] { return Driver(config_of(t)); },
            {"* BYE [UNAVAILABLE] injected\r\n", "f999 OK what\r\n", "+OK this is POP3\r\n* 1 FETCH (UID\r\n",
             "* OK [CAPABILITY\r\n* 1 FETCH (BODY[ {3}\r\nabc)\r\n", std::string(2'000'000, 'a'),
             "* 1 FETCH (BODY[] {99999999999999}\r\n", "* 1 FETCH (X " + std::string(1000, '(') + "\r\n"});
}

TEST_CASE("IMAP client survives whatever a server may say") {
    std::mt19937 random(7);
    auto transcripts = load_transcripts("imap_client", "");
    for (int round = 0; round < 3000; ++round) {
        const auto& t = transcripts[random() % transcripts.size()];
        Driver driver(config_of(t));
        driver.strict = false;
        INFO(t.name << ", round " << round);
        for (auto piece : client_pieces(t)) {
            if (driver.closed) break;
            if (piece.kind == 'S' && random() % 2) {
                std::size_t at = random() % piece.text.size();
                static constexpr std::string_view odd = "\"(){}[]\\ \r\n\0*+~019a";
                if (random() % 2)
                    piece.text[at] = odd[random() % odd.size()];
                else
                    piece.text.insert(at, std::string(1 + random() % 3, odd[random() % odd.size()]));
            }
            apply_piece(driver, piece);
        }
        if (!driver.closed) driver.event("closed");
        REQUIRE(driver.session.is_closed());
        REQUIRE(driver.answers <= driver.commands);
    }
}
