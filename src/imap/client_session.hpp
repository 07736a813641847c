// An IMAP client (RFC 3501, RFC 9051) as a state machine: commands in, octets in, events out.
//
//   on_bytes() … Ready → command() … each ends in one Answer … command(Logout) … Answer, Close
//
// - Works with a bare IMAP4rev1 server and uses what is offered: STARTTLS, LOGINDISABLED, SASL-IR,
//   SCRAM-SHA-256 and -PLUS, PLAIN, NAMESPACE, LITERAL+ and LITERAL- (RFC 7888), UIDPLUS, MOVE, IDLE,
//   CONDSTORE and QRESYNC (RFC 7162), OBJECTID.
// - Commands may be given at any time; they are sent in order, one at a time, so that no answer is ambiguous
//   (RFC 9051 5.5). Every command ends in exactly one Answer, or the session in exactly one Failed, after
//   which nothing but Close comes.
// - What the server says unasked comes as events at any time: Exists, Expunged, Vanished, Fetched.
// - A message's content is handed on in pieces and never kept: ContentBegin, ContentPart …, and at the end of
//   the response Fetched, which names the UID; servers are free to say it last.
// - Mailboxes are named as the server names them (ListRow::mailbox); path_of() and mailbox_of() lead to
//   names in UTF-8 with '/' between levels, below the personal namespace, and back.
// - Whatever the server says is bounded (response_framer.hpp). No password is sent without TLS unless
//   `clear_auth`; what came in clear behind the answer to STARTTLS ends the session.
//
// To add: a command is a struct here, its line in client_commands.cpp, and what it collects in collect().
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
#include "imap/response.hpp"
#include "imap/response_framer.hpp"
#include "sasl/client_exchange.hpp"

namespace fwmail::imap::client {

enum class TlsPolicy { none, opportunistic, required };

struct Credentials {
    std::string user;
    Secret password;
};

struct Config {
    TlsPolicy tls = TlsPolicy::required;
    bool tls_from_start = false;  // the stream is under TLS already (RFC 8314)
    std::optional<Credentials> credentials;
    bool clear_auth = false;  // the password may go in clear
    bool qresync = false;     // enable QRESYNC where it is offered
    bool compress = false;    // where it is offered
    ResponseLimits limits;
};

// ---- commands. `mailbox` is always as the server names it. Sets of UIDs hold at most some hundred
// intervals: they stand in one line.

struct ListMailboxes {  // ListRow
    std::string pattern = "*";
};
struct StatusOf {  // StatusRow
    std::string mailbox;
};
struct KnownState {  // RFC 7162 3.2.5: what a cache holds
    UidValidity uidvalidity;
    ModSeq modseq;
};
struct Select {  // Selected; with `known` and QRESYNC also Vanished and Fetched for what has changed
    std::string mailbox;
    bool read_only = false;
    std::optional<KnownState> known;
};
struct Unselect {
};  // by UNSELECT, or where that is not offered by EXAMINE of nothing else: nothing is expunged
struct FetchUids {  // Fetched, and what comes before it
    UidSet uids;
    bool flags = false, internal_date = false, size = false, modseq = false, email_id = false, header = false,
         content = false;                 // modseq and email_id: where the server has them
    std::optional<ModSeq> changed_since;  // needs CONDSTORE
    bool vanished = false;                // needs QRESYNC, with changed_since
};
enum class FlagMode { set, add, remove };
struct StoreFlags {  // Fetched where the server answers flags
    UidSet uids;
    FlagMode mode = FlagMode::add;
    FlagSet flags;
    std::optional<ModSeq> unchanged_since;  // needs CONDSTORE; who was changed is in the Answer's MODIFIED
};
struct CopyTo {  // the Answer's COPYUID says what became of it, where the server has UIDPLUS
    UidSet uids;
    std::string mailbox;
};
// By MOVE, or COPY, STORE \Deleted and UID EXPUNGE; without UIDPLUS the originals stay marked \Deleted.
struct MoveTo {
    UidSet uids;
    std::string mailbox;
};
struct ExpungeUids {  // needs UIDPLUS
    UidSet uids;
};
struct Append {  // WantContent, then append_content() until `size` octets are given
    std::string mailbox;
    FlagSet flags;
    std::optional<UnixMillis> internal_date;
    std::uint64_t size = 0;
};
struct Create {
    std::string mailbox;
};
struct Subscribe {
    std::string mailbox;
};
struct Noop {};
// Idling, until another command is given or done(); NOOP where it is not offered.
struct Idle {};
struct Logout {};
using Command = std::variant<ListMailboxes, StatusOf, Select, Unselect, FetchUids, StoreFlags, CopyTo, MoveTo,
                             ExpungeUids, Append, Create, Subscribe, Noop, Idle, Logout>;

// ---- what a session brings

struct Send {
    std::string octets;
    bool secret = false;  // holds a password: not for a trace
};
// Once everything before has been sent: what is sent and what comes goes through DEFLATE (RFC 4978).
struct StartCompression {};
struct StartTls {};  // start the TLS handshake once everything before has been sent; then on_tls_started()
struct Close {};     // close the connection once everything before has been sent
struct Ready {};     // logged in: capabilities() and the namespace are known
using ListRow = response::List;
using StatusRow = response::MailboxStatus;
using Fetched = response::Fetch;
using Vanished = response::Vanished;
struct Selected {
    std::uint32_t exists = 0;
    UidValidity uidvalidity;  // 0: the server has no lasting UIDs
    Uid uidnext;              // 0: it did not say
    ModSeq highest_modseq;    // 0: none
    FlagSet flags, permanent_flags;
    bool any_keyword = false;  // new keywords may be made
    bool read_only = false;
};
struct ContentBegin {
    SeqNum number;
    std::string section;  // `BODY[]`, in capitals
    std::uint64_t size = 0;
};
struct ContentPart {
    std::string octets;
};
struct Exists {
    std::uint32_t count = 0;
};
struct Expunged {
    SeqNum number;
};
struct Alert {  // to be shown to the user (RFC 9051 7.1)
    std::string text;
};
struct WantContent {};  // give the message to append
struct Idling {};
struct Answer {
    std::uint64_t id = 0;  // counts the commands given, from 1
    bool ok = false;
    std::string code, arguments;  // of the response: COPYUID, APPENDUID, UNAVAILABLE, TRYCREATE; may be empty
    std::string text;
};
enum class Phase { greeting, starttls, login, commands };
struct Failed {
    Phase phase = Phase::greeting;
    bool refused = false;  // by the server's own word; else the connection or the protocol broke
    std::string code, text;
};
// RFC 5530 3: the same may go well later.
bool is_passing(std::string_view code);

using Event = std::variant<Send, Ready, ListRow, StatusRow, Selected, ContentBegin, ContentPart, Fetched,
                           Vanished, Exists, Expunged, Alert, WantContent, Idling, Answer, Failed, StartTls,
                           StartCompression, Close>;
using Events = std::vector<Event>;

class Session {
  public:
    explicit Session(Config config);

    Events on_bytes(std::string_view octets);
    // Whenever TLS has begun, before on_tls_started() or the first octets: lets the login be bound to this
    // connection (SCRAM-SHA-256-PLUS).
    void bind_to(sasl::ChannelBindings bindings) { bindings_ = std::move(bindings); }
    Events on_tls_started();
    Events on_closed();
    // No octet came for deadline(): ends IDLE for a while, or the session.
    Events on_deadline();

    Events command(Command command);
    // After WantContent: in pieces of any size, `size` octets in all.
    Events append_content(std::string_view octets);
    // It cannot be read any more: the connection is dropped, so that no half of it is stored.
    Events append_failed();
    // Ends IDLE.
    Events done();

    bool is_closed() const { return state_ == State::closed; }
    bool is_tls() const { return tls_; }
    // Commands without their Answer.
    std::size_t outstanding() const { return waiting_.size() + (running_ ? 1 : 0); }
    std::optional<std::chrono::seconds> deadline() const;

    // In capitals, as `UIDPLUS` or `AUTH=PLAIN`.
    bool has_capability(std::string_view name) const { return capabilities_.contains(std::string(name)); }
    bool qresync_enabled() const { return qresync_; }
    const response::Namespace& personal() const { return namespace_; }
    // Not one of other users', nor shared: the longest prefix that fits decides (RFC 2342 5).
    bool is_personal(const ListRow& row) const;
    // UTF-8, '/' between levels, without the personal namespace's prefix. A '/' within a level becomes '_'.
    std::string path_of(const ListRow& row) const;
    std::string mailbox_of(std::string_view path) const;

  private:
    enum class State {
        greeting,
        capability,
        starttls,
        tls_handshake,
        login,
        capability_again,
        find_namespace,
        compress,
        enable,
        ready,
        closed
    };
    struct Running {
        std::uint64_t id = 0;
        Command command;
        unsigned step = 0;  // of a command that takes several
        std::string code, arguments;
    };

    Events take_events();
    void run();
    void on_response(const response::Response& response);
    void on_status(const response::Status& status);
    void on_greeting(const response::Status& status);
    void on_tagged(const response::Status& status);
    void on_continuation(std::string_view text);
    void on_untagged(const response::Response& response);
    void collect(const response::Status& status);
    void begin_content(const StreamBegin& begin);
    void on_fetch(const response::Fetch& fetch);
    void take_capabilities(const std::vector<std::string>& names);
    bool take_capability_code(const response::Status& status);

    void send_line(std::string line, bool secret = false);  // with a tag of its own
    void ask_capability(State state);
    void after_capability();
    void log_in();
    void send_sasl(Result<std::string> response);
    void after_login();
    void after_namespace();
    void become_ready();

    void send_next();
    void send_step();
    Result<std::string> line_of(const Command& command, unsigned step);
    Result<std::string> fetch_line(const FetchUids& fetch);
    Result<std::string> append_line(const Append& append);
    bool has_next_step() const;
    void finish_command(bool ok, std::string_view text);
    void want_content();
    void emit(std::string octets, bool secret = false);
    void give_up(bool refused, std::string_view text, std::string_view code = {});
    Phase phase() const;

    Config config_;
    State state_ = State::greeting;
    Events events_;
    ResponseFramer framer_;
    bool tls_ = false, starttls_refused_ = false, qresync_ = false;
    sasl::ChannelBindings bindings_;
    std::optional<sasl::ClientExchange> sasl_;  // while it is under way
    std::set<std::string, std::less<>> capabilities_;
    bool capabilities_fresh_ = false;  // the last answer brought them
    response::Namespace namespace_;
    std::uint64_t tag_ = 0, last_id_ = 0;
    std::deque<std::pair<std::uint64_t, Command>> waiting_;
    std::optional<Running> running_;
    Selected selected_;              // of the SELECT under way
    std::uint64_t append_left_ = 0;  // octets of the message still to be given
    bool append_waits_ = false;      // for the server's "+"
    bool idling_ = false, done_wanted_ = false;
};

}  // namespace fwmail::imap::client
