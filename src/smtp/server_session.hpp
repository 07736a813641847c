// Inbound SMTP (RFC 5321) and LMTP (RFC 2033) as a state machine: octets and the backend's replies in,
// actions out.
//
// Invariants
// - At most one request waits for a reply; meanwhile pipelined commands (RFC 2920) stay in a bounded buffer.
// - A transaction that MailFrom opened ends with exactly one accepted or refused MessageEnd, or one Abort.
// - Commands end in CRLF. A line with a bare CR, bare LF or other control character is never executed: 500,
// and
//   after three of them 421.
// - DATA ends with exactly CRLF.CRLF. Bare CR and LF are accepted as data, octet for octet, unless a lone dot
//   line has a bare end (see mime/dot_stuffing.hpp): such a message is read to its true end, nothing of it is
//   kept, and the answer is 550 5.6.0. So nobody can smuggle a second message past us, or through us.
// - What arrived in clear behind STARTTLS is thrown away (RFC 3207 4.2), and so is all that HELO said.
//
// To add: an extension announces itself in ehlo_keywords(), takes its MAIL/RCPT parameters in mail()/rcpt(),
// and its verb in the table of server_commands.cpp; a question to the backend is one more kind of Request.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "mime/dot_stuffing.hpp"
#include "smtp/actions.hpp"
#include "smtp/dsn_parameters.hpp"
#include "smtp/path.hpp"
#include "smtp/reply.hpp"

namespace fwmail::smtp {

struct ServerConfig {
    std::string hostname = "localhost";
    std::uint64_t max_message_size = 50u << 20;  // octets, announced (RFC 1870)
    bool offer_starttls = false;
    bool tls_from_start = false;  // implicit TLS (RFC 8314)
    // SASL mechanisms (RFC 4954), of sasl::offered: submission. Offered under TLS, or in clear if clear_auth
    // (loopback only), then without -PLUS.
    std::vector<std::string> auth_mechanisms;
    bool clear_auth = false;
    bool lmtp = false;            // LHLO, and a reply for each recipient after DATA (RFC 2033)
    bool require_auth = false;    // 530 5.7.0 to MAIL before AUTH (RFC 6409)
    bool require_tls = false;     // 530 5.7.0 to everything but the first steps (RFC 3207 4)
    std::size_t max_line = 4096;  // of a command, CRLF included; RFC 5321 4.5.3.1.4 asks for 512
    std::size_t max_recipients = 1000;
    unsigned max_errors = 20;  // then 421 and the end
    // Of recipients refused for good, where nobody has logged in: from here on each is answered slowly; then
    // 421.
    unsigned slow_refusals = 10, max_refusals = 50;
    // Commands that bring no mail on its way (HELO, RSET, NOOP, VRFY, HELP, a refused MAIL) since the last
    // mail; then 421.
    unsigned max_idle_commands = 100;
    std::size_t max_buffer = 64 * 1024;
};

// --- questions to the backend; those marked (reply) are answered with on_reply() ---

struct MailFrom {  // (reply) 250 accepts
    Path reverse_path;
    std::optional<std::uint64_t> size;  // as declared; never above max_message_size
    bool body_8bit = false;             // BODY=8BITMIME
    bool utf8 = false;                  // SMTPUTF8 (RFC 6531)
    MailDsn dsn;
};
struct RcptTo {  // (reply) 250 or 251 accepts
    Path forward_path;
    RecipientDsn dsn;
};
struct DataBegin {};  // (reply) any 2xx or 3xx accepts, the client sees 354; else the client sees the reply
struct MessageChunk {
    std::string octets;  // unstuffed
};
struct MessageEnd {  // (reply) the message is the backend's once this is answered 250
    std::uint64_t size = 0;
    std::size_t replies = 1;  // LMTP: on_reply() is awaited this often, in the order of RCPT
};
struct Abort {};  // forget the open transaction
// Forgets any unfinished exchange (the client may have cancelled it).
struct AuthStart {  // (reply) 334: `text` is the raw challenge, sent in Base64; 235: authenticated; else
                    // failed
    std::string mechanism;          // upper case, one of auth_mechanisms
    std::optional<Secret> initial;  // initial response, decoded; may be empty
};
struct AuthResponse {  // (reply) as AuthStart
    Secret octets;     // decoded
};
using Request =
    std::variant<MailFrom, RcptTo, DataBegin, MessageChunk, MessageEnd, Abort, AuthStart, AuthResponse>;
bool wants_reply(const Request& request);

struct Ask {
    Request request;
};
using ServerAction = std::variant<Send, Ask, Pause, StartTls, Close>;
using ServerActions = std::vector<ServerAction>;

class ServerSession {
  public:
    explicit ServerSession(ServerConfig config);

    // The greeting.
    ServerActions start();
    ServerActions on_bytes(std::string_view octets);
    // The backend's reply to the last request. A code of no sensible class is turned into 451; 421 closes.
    ServerActions on_reply(const Reply& reply);
    ServerActions on_tls_started();
    // The deadline passed: 421 and the end.
    ServerActions on_deadline();
    // The server shuts down: 421, at once or after the reply that is awaited; an open transaction is aborted.
    ServerActions on_shutdown();
    // The peer is gone: aborts what is open. Nothing is to be sent any more.
    ServerActions on_closed();

    // Back-pressure: false while the buffer is full or the session is over; do not read then.
    bool wants_input() const;
    bool is_closed() const { return state_ == State::closed; }
    bool in_data() const { return state_ == State::data; }
    // Why the session was ended as abuse; else empty. Worth a line in the log.
    const std::string& abuse() const { return abuse_; }
    bool awaits_reply() const { return pending_ != Pending::none; }
    // How long to wait for the peer, from the last octet on (RFC 5321 4.5.3.2); nothing while the backend is
    // asked.
    std::optional<std::chrono::seconds> deadline() const;

    // For the Received field (RFC 5321 4.4, RFC 3848).
    const std::string& helo() const { return helo_; }
    bool is_tls() const { return tls_; }
    bool is_authenticated() const { return authenticated_; }
    std::string protocol() const;  // SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP, …

  private:
    enum class State { command, data, auth, starting_tls, closed };
    enum class Pending { none, mail, rcpt, data_begin, message_end, auth };
    using Handler = void (ServerSession::*)(std::string_view argument);
    struct Command;
    static const Command* find_command(std::string_view verb);

    ServerActions take_actions();
    ServerActions run();
    bool run_command_line();
    bool run_data();
    void on_line(std::string_view line);
    void on_auth_line(std::string_view line);
    void send(Reply reply);
    void send(int code, EnhancedStatus status, std::string text) { send({code, status, std::move(text)}); }
    void error(int code, EnhancedStatus status, std::string text);
    void bad_line(std::string text);
    void idle_command();
    void on_rcpt_reply(const Reply& reply);
    void end_abuse(std::string text);
    bool is_over_limit() const { return message_size_ > config_.max_message_size; }
    void close();
    void ask(Request request, Pending pending);
    void abort_transaction();
    void end_with_421(EnhancedStatus status, std::string text);
    void finish_message();
    void on_end_reply(const Reply& reply);
    void hello(std::string_view argument, bool esmtp);
    void on_auth_reply(const Reply& reply);

    void helo(std::string_view argument);
    void ehlo(std::string_view argument);
    void lhlo(std::string_view argument);
    void mail(std::string_view argument);
    void rcpt(std::string_view argument);
    void data(std::string_view argument);
    void rset(std::string_view argument);
    void noop(std::string_view argument);
    void help(std::string_view argument);
    void vrfy(std::string_view argument);
    void expn(std::string_view argument);
    void quit(std::string_view argument);
    void starttls(std::string_view argument);
    void auth(std::string_view argument);
    std::string ehlo_keywords() const;
    bool auth_available() const;
    bool take_mail_parameter(const std::string& name, const std::optional<std::string>& value,
                             MailFrom& request);
    bool take_mail_parameters(const Parameters& parameters, MailFrom& request);
    void refuse_utf8();
    void refuse_path(const Error& error, EnhancedStatus status);

    ServerConfig config_;
    State state_ = State::command;
    Pending pending_ = Pending::none;
    ServerActions actions_;
    std::string buffer_;
    std::size_t position_ = 0;    // octets of buffer_ already used
    bool skipping_line_ = false;  // the rest of an overlong line
    bool closing_ = false;        // shut down once the pending reply has come
    bool tls_ = false, esmtp_ = false, authenticated_ = false;
    std::string helo_;
    bool in_transaction_ = false;
    bool utf8_ = false;  // of the transaction: addresses may go beyond ASCII
    std::size_t recipients_ = 0;
    std::size_t replies_due_ = 1;  // to the end of the message
    mime::DotUnstuffer unstuffer_;
    std::uint64_t message_size_ = 0;
    bool discarding_ = false;  // the message is refused already; only its end is waited for
    unsigned errors_ = 0, bad_lines_ = 0, refusals_ = 0, idle_commands_ = 0;
    std::string abuse_;
};

}  // namespace fwmail::smtp
