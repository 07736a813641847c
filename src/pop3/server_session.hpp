// A POP3 server (RFC 1939) as a state machine: octets and the backend's replies in, actions out.
//
// Invariants
// - At most one request waits for a reply; meanwhile pipelined commands (RFC 2449 6.6) stay in a bounded
// buffer.
// - The maildrop is what the login answered: no message comes or goes during a session, whatever IMAP does
//   meanwhile. Numbers count from 1 in its order.
// - DELE only marks. Remove is asked once, with all marked messages, at QUIT; a session that ends otherwise
//   removes nothing (RFC 1939 6).
// - A message leaves with CRLF at the end of every line, so that no client can find its end too early; its
//   size in LIST is that of the stored octets. One that cannot be read to its end is never terminated: the
//   connection is cut instead.
// - What arrived in clear behind STLS is thrown away (RFC 2595 4).
//
// To add: a command is a row in the table of server_commands.cpp and, where it is an extension, in capa().
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/secret.hpp"
#include "mime/dot_stuffing.hpp"
#include "pop3/actions.hpp"
#include "pop3/top.hpp"

namespace fwmail::pop3 {

struct ServerConfig {
    std::string hostname = "localhost";
    bool offer_stls = false;
    bool tls_from_start = false;      // implicit TLS (RFC 8314)
    bool clear_login = false;         // a password may come in clear (loopback only)
    std::size_t max_line = 1024;      // of a command, CRLF included; RFC 2449 4 asks for 255
    unsigned max_errors = 20;         // then -ERR and the end
    unsigned max_login_failures = 3;  // likewise
    std::size_t max_buffer = 64 * 1024;
};

// --- questions to the backend, each answered with on_reply()

struct Login {  // -> Maildrop. Delays after failures are the backend's matter.
    std::string user;
    Secret password;
};
// One SASL exchange, in raw octets -> AuthChallenge until it ends, by Maildrop or a Refusal. AuthStart
// forgets an unfinished one.
struct AuthStart {
    std::string mechanism;  // one that is offered, in capitals
    std::optional<Secret> initial;
};
struct AuthResponse {
    Secret octets;
};
struct Open {  // -> Done; then the message comes by on_body() and on_body_end()
    Uid uid;
};
struct Remove {  // -> Done; what is gone already counts as removed
    UidSet uids;
};
using Request = std::variant<Login, AuthStart, AuthResponse, Open, Remove>;

// --- replies

struct Done {};
struct AuthChallenge {
    std::string octets;  // raw
};
struct Message {
    Uid uid;
    std::uint64_t size = 0;
};
struct Maildrop {
    UidValidity uidvalidity;
    std::vector<Message> messages;
    std::string read_only_reason;  // why DELE is refused; empty: it is not
};
// -ERR. `code` (RFC 2449 8, RFC 3206) is AUTH, IN-USE, SYS/TEMP, SYS/PERM or empty.
struct Refusal {
    std::string code, text;
};
using Reply = std::variant<Refusal, Done, AuthChallenge, Maildrop>;

struct Ask {
    Request request;
};
struct WantBody {};  // give the opened message, while wants_body()
struct Continue {};  // call on_continue() once everything before has been sent: there is more of a list
using ServerAction = std::variant<Send, Ask, WantBody, Continue, StartTls, Close>;
using ServerActions = std::vector<ServerAction>;

class ServerSession {
  public:
    explicit ServerSession(ServerConfig config);

    // The greeting.
    ServerActions start();
    ServerActions on_bytes(std::string_view octets);
    ServerActions on_reply(Reply reply);
    ServerActions on_body(std::string_view octets);
    ServerActions on_body_end();
    ServerActions on_body_failed();
    ServerActions on_continue();
    ServerActions on_tls_started();
    // The client was silent for too long: the end, and nothing is removed.
    ServerActions on_deadline();
    // The server shuts down: at once, or after the request that is under way.
    ServerActions on_shutdown();

    // Back-pressure: false while the buffer is full or the session is over; do not read then.
    bool wants_input() const;
    bool wants_body() const { return state_ == State::body; }
    bool is_before_login() const {
        return state_ == State::authorization || state_ == State::sasl || state_ == State::starting_tls;
    }
    bool awaits_reply() const { return pending_ != Pending::none; }
    bool is_closed() const { return state_ == State::closed; }
    // How long to wait for the client, from its last octet on; nothing while the backend is asked.
    std::optional<std::chrono::seconds> deadline() const;

  private:
    enum class State { authorization, sasl, transaction, listing, body, starting_tls, closed };
    enum class Pending { none, login, open, remove };
    enum class List { sizes, ids };
    using Handler = void (ServerSession::*)(std::string_view argument);
    struct Command;
    static const Command* find_command(std::string_view verb);

    ServerActions take_actions();
    ServerActions run();
    bool run_line();
    void on_line(std::string_view line);
    void on_sasl_line(std::string_view line);
    void send(std::string_view text);  // adds CRLF
    void refuse(std::string_view text, std::string_view code = {});
    void error(std::string_view text);  // refuse(), and counted
    void say_goodbye(std::string_view text);
    void close();
    void ask(Request request, Pending pending);
    void on_login_reply(Reply& reply);
    void on_open_reply(Reply& reply);
    void on_remove_reply(Reply& reply);
    void emit(std::string octets);
    void emit_list();
    std::string list_line(std::size_t index) const;
    void list(std::string_view argument, List what);
    void retrieve(std::size_t index, std::optional<std::uint64_t> lines);
    std::optional<std::size_t> message_index(std::string_view number) const;
    bool login_allowed();

    void user(std::string_view argument);
    void pass(std::string_view argument);
    void auth(std::string_view argument);
    void stls(std::string_view argument);
    void utf8(std::string_view argument);
    void capa(std::string_view argument);
    void stat(std::string_view argument);
    void list_sizes(std::string_view argument);
    void list_ids(std::string_view argument);
    void retr(std::string_view argument);
    void top(std::string_view argument);
    void dele(std::string_view argument);
    void rset(std::string_view argument);
    void noop(std::string_view argument);
    void quit(std::string_view argument);

    ServerConfig config_;
    State state_ = State::authorization;
    Pending pending_ = Pending::none;
    ServerActions actions_;
    std::string buffer_;
    std::size_t position_ = 0;    // octets of buffer_ already used
    bool skipping_line_ = false;  // the rest of an overlong line
    bool tls_ = false;
    bool closing_ = false;  // shut down once what is under way has ended
    std::string user_;      // of USER, waiting for PASS
    Maildrop drop_;
    std::vector<bool> deleted_;
    std::uint64_t count_ = 0, octets_ = 0;  // of the messages that are not marked
    List list_ = List::sizes;
    std::size_t list_at_ = 0;
    std::size_t opening_ = 0;  // index of the message that Open asked for
    std::optional<std::uint64_t> top_lines_;
    std::optional<TopCutter> cutter_;
    mime::DotStuffer stuffer_;
    unsigned errors_ = 0, login_failures_ = 0;
};

}  // namespace fwmail::pop3
