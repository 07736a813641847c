// A POP3 client (RFC 1939) as a state machine: commands in, octets in, actions out.
//
//   start() … Ready → list(), uidl(), retr() … each ends in one Answer … quit() … Answer, Close
//
// - Works with a server that knows nothing but RFC 1939; uses CAPA (RFC 2449), STLS (RFC 2595), AUTH with
//   SCRAM or PLAIN (RFC 5034) and PIPELINING where they are announced. Commands may be given at any time
//   after Ready; they are sent in order, one at a time or pipelined as the server allows.
// - Every command ends in exactly one Answer, or the session in exactly one Failed, after which no Answer
//   comes. What a command brings (rows, octets of a message) comes before its Answer; a message counts as
//   whole only with an Answer that is ok.
// - Whatever the server says is bounded: lines, rows, the size of a message. Nothing of it is stored here.
// - Nothing is sent after a password that the server could not have been meant to see: without TLS none is
//   sent unless `clear_auth`, and what came in clear behind the answer to STLS ends the session.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "mime/dot_stuffing.hpp"
#include "pop3/actions.hpp"
#include "sasl/client_exchange.hpp"

namespace fwmail::pop3 {

enum class TlsPolicy { none, opportunistic, required };

struct Credentials {
    std::string user;
    Secret password;
};

struct ClientConfig {
    TlsPolicy tls = TlsPolicy::required;
    bool tls_from_start = false;  // the stream is under TLS already (RFC 8314)
    std::optional<Credentials> credentials;
    bool clear_auth = false;  // the password may go in clear
    std::size_t max_line = 1024;
    std::uint64_t max_rows = 1'000'000;           // of one list
    std::uint64_t max_message_size = 1ull << 30;  // octets
};

struct Capabilities {
    bool known = false;  // the server has CAPA; else what it can do shows when it is asked to
    bool top = false, uidl = false, pipelining = false, stls = false, user = false, utf8 = false;
    std::vector<std::string> sasl;  // mechanisms, in capitals
};

enum class Verb { stat, list, uidl, retr, top, dele, rset, noop, quit };
struct Command {
    Verb verb;
    std::uint32_t number = 0;  // of the message; 0: none
    std::uint32_t lines = 0;   // of TOP
};

// --- what a session brings

struct Ready {  // logged in
    Capabilities capabilities;
};
struct StatRow {
    std::uint32_t count;
    std::uint64_t octets;
};
struct ListRow {
    std::uint32_t number;
    std::uint64_t size;  // as the server says; the message may have another
};
struct UidRow {
    std::uint32_t number;
    std::string uid;  // 1 to 255 octets without spaces
};
struct BodyPart {
    std::string octets;  // unstuffed
};
struct Answer {
    Command command;
    bool ok = false;
    std::string code;  // of an -ERR (RFC 2449 8): "SYS/TEMP"; may be empty
    std::string text;
};
enum class ClientPhase { greeting, capa, stls, login, commands };
struct Failed {
    ClientPhase phase;
    bool refused;  // by the server's own answer: AUTH, no TLS; else the connection or the protocol broke
    std::string code, text;
};
using ClientAction =
    std::variant<Send, Ready, StatRow, ListRow, UidRow, BodyPart, Answer, Failed, StartTls, Close>;
using ClientActions = std::vector<ClientAction>;

class ClientSession {
  public:
    explicit ClientSession(ClientConfig config);

    ClientActions on_bytes(std::string_view octets);
    // Whenever TLS has begun, before on_tls_started() or the first octets: lets the login be bound to this
    // connection (SCRAM-SHA-256-PLUS).
    void bind_to(sasl::ChannelBindings bindings) { bindings_ = std::move(bindings); }
    ClientActions on_tls_started();
    // The connection has gone. After the answer to QUIT that is no failure.
    ClientActions on_closed();
    ClientActions on_deadline();

    ClientActions command(Command command);

    bool is_closed() const { return state_ == State::closed; }
    bool is_tls() const { return tls_; }
    std::size_t outstanding() const { return waiting_.size() + sent_.size(); }
    // How long to wait for the server, from the last octet either way on; nothing while it owes us none.
    std::optional<std::chrono::seconds> deadline() const;

  private:
    enum class State { greeting, capa, stls, tls_handshake, user, pass, sasl, capa_again, ready, closed };

    ClientActions take_actions();
    void run();
    bool run_line();
    bool run_body();
    void on_line(std::string_view line);
    void on_status(bool ok, std::string_view text);
    void on_capa_line(std::string_view line);
    void after_capa();
    void log_in();
    void on_challenge(std::string_view text);
    void on_command_status(bool ok, std::string_view text);
    bool on_row(std::string_view line);
    void finish_command(bool ok, std::string_view text);
    void emit(std::string octets, bool secret = false);
    void send_commands();
    void give_up(bool refused, std::string_view text);
    ClientPhase phase() const;

    ClientConfig config_;
    State state_ = State::greeting;
    ClientActions actions_;
    std::string buffer_;
    std::size_t position_ = 0;
    bool tls_ = false, stls_refused_ = false;
    sasl::ChannelBindings bindings_;
    std::optional<sasl::ClientExchange> sasl_;  // while it is under way
    Capabilities capabilities_;
    std::deque<Command> waiting_, sent_;  // not sent yet; sent, and without their whole answer
    bool in_list_ = false, in_body_ = false;
    std::string answer_text_;  // of the +OK whose rows or octets come
    std::uint64_t rows_ = 0, octets_ = 0;
    mime::DotUnstuffer unstuffer_;
};

}  // namespace fwmail::pop3
