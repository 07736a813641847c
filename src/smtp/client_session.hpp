// Outbound SMTP (RFC 5321) as a state machine: one connection, any number of messages one after the other.
//
//   start() … Ready → send(envelope) … WantMessage → on_message_chunk() … on_message_end()
//   … Done → send() or quit()
//
// - Trouble that is about this connection, not about a message (greeting, EHLO, TLS, AUTH, a cut, garbage),
// is always
//   temporary, whatever its code: another day or another host may work. A refusal of MAIL, RCPT, DATA or the
//   message is temporary or permanent as its code says. 421 anywhere ends the connection.
// - Until the final reply has come nothing counts as delivered; a cut then means that the message may arrive
//   twice (RFC 5321 4.5.3.2.6), never that it is lost.
// - Every send() is answered by exactly one Done.
// - An 8-bit message goes to a server without 8BITMIME all the same (everybody accepts it, and conversion
// would break signatures);
//   TransactionResult::unannounced_8bit says so. Mail from node to node is 7-bit always.
// - Bare CR and LF are not sent (RFC 5321 2.3.8): mime/dot_stuffing.hpp says what becomes of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "mime/dot_stuffing.hpp"
#include "sasl/client_exchange.hpp"
#include "smtp/actions.hpp"
#include "smtp/dsn_parameters.hpp"
#include "smtp/path.hpp"
#include "smtp/reply.hpp"

namespace fwmail::smtp {

enum class TlsPolicy {
    none,           // never STARTTLS
    opportunistic,  // if offered; goes on in clear where it is not, or is refused
    required,       // no message and no password without it
};

struct Credentials {
    std::string user;
    Secret password;
};

struct ClientConfig {
    std::string hostname = "localhost";  // said in EHLO
    TlsPolicy tls = TlsPolicy::opportunistic;
    bool tls_from_start = false;             // implicit TLS (RFC 8314): STARTTLS is not tried
    std::optional<Credentials> credentials;  // AUTH PLAIN, or else LOGIN, before the first message
    bool clear_auth = false;                 // AUTH without TLS: loopback only
    std::size_t pipeline_window = 100;       // commands without a reply yet
};

struct OutgoingEnvelope {
    Path reverse_path;             // null for a bounce
    std::vector<Path> recipients;  // at least one
    std::optional<std::uint64_t>
        size;                // of the message, for SIZE=; held against the server's limit beforehand
    bool eight_bit = false;  // the message has octets above 127
    bool utf8 = false;       // addresses or header go beyond ASCII: a server without SMTPUTF8 cannot have it
    MailDsn dsn;             // passed on where the server knows DSN
    std::vector<RecipientDsn> recipient_dsn;  // of each recipient, or empty
};

enum class Phase { connect, greeting, ehlo, starttls, auth, mail, rcpt, data, message, final_reply };
std::string_view phase_name(Phase phase);

enum class Outcome { delivered, temporary, permanent };

struct RecipientResult {
    Path recipient;
    Outcome outcome = Outcome::temporary;
    Phase phase = Phase::connect;  // where it was decided
    Reply reply;                   // the server's, or one of ours that says what went wrong
};

struct TransactionResult {
    std::vector<RecipientResult> recipients;  // in the envelope's order
    bool unannounced_8bit = false;
    bool added_line_ending = false;  // the message did not end in CRLF
    bool tls = false;
    bool dsn = false;  // the server knows DSN: what was asked for is its matter now

    // delivered: every recipient was; temporary: at least one is to be tried again; else permanent.
    Outcome outcome() const;
};

struct WantMessage {
};  // hand in one chunk with on_message_chunk(), or on_message_end(), or on_message_failed()
struct Ready {
};  // send() or quit() now; follows the handshake, and each Done that leaves the connection usable
struct Done {
    TransactionResult result;
};
struct Failed {  // the connection failed while no message was in hand; Close follows
    Phase phase = Phase::connect;
    Reply reply;
};
using ClientAction = std::variant<Send, StartTls, WantMessage, Ready, Done, Failed, Close>;
using ClientActions = std::vector<ClientAction>;

class ClientSession {
  public:
    explicit ClientSession(ClientConfig config);

    // Connected: waits for the greeting.
    ClientActions start();
    ClientActions on_bytes(std::string_view octets);
    // After StartTls. If the handshake fails: on_closed().
    // Whenever TLS has begun, before on_tls_started() or the first octets: lets the login be bound to this
    // connection (SCRAM-SHA-256-PLUS).
    void bind_to(sasl::ChannelBindings bindings) { bindings_ = std::move(bindings); }
    ClientActions on_tls_started();
    // One message; also before Ready, then it is sent as soon as that comes. Never two at a time.
    ClientActions send(OutgoingEnvelope envelope);
    ClientActions on_message_chunk(std::string_view octets);
    ClientActions on_message_end();
    // The message cannot be read: the connection is dropped, so that no half of it is taken for a whole.
    ClientActions on_message_failed();
    // QUIT if idle; in the midst of something the connection is just dropped (the message in hand:
    // temporary).
    ClientActions quit();
    ClientActions on_closed();
    ClientActions on_deadline();

    bool is_closed() const { return state_ == State::closed; }
    bool is_tls() const { return tls_; }
    // How long to wait for the server from the last action on (RFC 5321 4.5.3.2).
    std::chrono::seconds deadline() const;

  private:
    enum class State {
        connecting,
        greeting,
        ehlo,
        helo,
        starttls,
        tls_handshake,
        auth,
        ready,
        envelope,
        message,
        final_reply,
        quitting,
        closed
    };
    enum class Step { reset, mail, rcpt, data };  // commands of one transaction, in their order
    struct Outstanding {
        Step step;
        std::size_t recipient = 0;
    };

    ClientActions take_actions();
    void emit(std::string octets, bool secret = false);
    void on_reply(const Reply& reply);
    void send_ehlo();
    void on_ehlo_reply(const Reply& reply);
    void take_keyword(std::string_view line);
    void after_ehlo();
    void on_starttls_reply(const Reply& reply);
    void start_auth();
    void on_auth_reply(const Reply& reply);
    void become_ready();
    Phase phase() const;
    void give_up(const Reply& reply);
    void give_up(EnhancedStatus status, std::string text);

    void begin_transaction();
    void send_steps();
    void emit_step(Step step);
    void on_step_reply(const Reply& reply);
    void on_data_reply(const Reply& reply);
    void on_final_reply(const Reply& reply);
    void decide(std::size_t recipient, Outcome outcome, Phase phase, const Reply& reply);
    void decide_rest(Outcome outcome, Phase phase, const Reply& reply);
    void finish_transaction();

    ClientConfig config_;
    State state_ = State::connecting;
    ClientActions actions_;
    ReplyParser parser_;
    bool tls_ = false;
    // What the server offers.
    bool pipelining_ = false, eight_bit_mime_ = false, starttls_offered_ = false, starttls_refused_ = false,
         size_offered_ = false, utf8_offered_ = false, dsn_offered_ = false;
    std::uint64_t size_limit_ = 0;                     // 0: none said
    std::set<std::string, std::less<>> auth_offered_;  // in capitals
    sasl::ChannelBindings bindings_;
    std::optional<sasl::ClientExchange> sasl_;  // while it is under way
    // The message in hand.
    std::optional<OutgoingEnvelope> envelope_;
    TransactionResult result_;
    std::vector<bool> decided_;
    std::deque<Outstanding> outstanding_;
    Step next_step_ = Step::mail;
    std::size_t next_recipient_ = 0;
    bool steps_done_ = false;  // no further command of this transaction is to be sent
    bool mail_accepted_ = false;
    std::size_t accepted_ = 0;  // recipients
    bool needs_reset_ = false;  // the server has an open transaction that came to nothing
    mime::DotStuffer stuffer_;
};

}  // namespace fwmail::smtp
