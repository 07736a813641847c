// An IMAP4rev1 server session (RFC 3501), IMAP4rev2 (RFC 9051) once a client enables it, with the extensions
// that README.md lists.
//
// Sans-IO. Octets and replies come in, actions go out, to be done in their order. Invariants: every tagged
// command gets exactly one tagged answer unless the connection ends; one request is under way at most; memory
// is bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "imap/backend.hpp"

namespace fwmail::imap {

struct ServerOptions {
    bool tls_active = false;
    bool starttls_available = false;
    // Login without TLS: for loopback only. Otherwise LOGINDISABLED until TLS is on.
    bool plaintext_login_allowed = false;
    std::string greeting_name = "fwmail";     // in the greeting, and ID's name; ASCII
    std::uint64_t append_limit = 64u << 20;   // octets of a message; larger ones are refused [TOOBIG]
    std::chrono::seconds message_time{3600};  // for one message of APPEND to come in
    std::uint64_t message_limit = 0;          // messages that one command works on (RFC 9738); 0: no limit
};

struct Send {
    std::string octets;
};
struct SendObject {
    ObjectRange range;  // exactly `octets()` octets must go out, or the connection must be cut
};
struct Ask {
    Request request;
};
struct AppendData {  // no reply; hold back reading from the client instead
    std::string octets;
};
struct AppendAbort {};       // no reply: what AppendBegin began is to be forgotten
struct StartTls {};          // flush what was sent, shake hands, then on_tls_started()
struct StartCompression {};  // once all before has been sent: from then on everything goes through DEFLATE
struct Close {};             // flush and close; the last action ever. An APPEND under way is to be forgotten

using Action =
    std::variant<Send, SendObject, Ask, AppendData, AppendAbort, StartTls, StartCompression, Close>;
using Actions = std::vector<Action>;

// When on_deadline() is due: `after` the connection's beginning, after the last octets from the client, or
// after progress() has changed.
struct Deadline {
    enum class From { connected, last_input, progress };
    From from = From::connected;
    std::chrono::seconds after{60};
    bool operator==(const Deadline&) const = default;
};

struct SessionCore;

class ServerSession {
  public:
    explicit ServerSession(ServerOptions options);
    ~ServerSession();
    ServerSession(ServerSession&&) noexcept;
    ServerSession& operator=(ServerSession&&) noexcept;

    Actions start();  // the greeting; once, first
    Actions on_bytes(std::string_view octets);
    Actions on_reply(Reply reply);  // to the request under way; otherwise ignored
    Actions on_mailbox_changed();   // the selected mailbox has changed: Poll will find something
    Actions on_tls_started();
    Actions on_deadline();
    Actions on_shutdown();    // BYE, Close
    Actions on_login_void();  // likewise: the user or the password is not known any more

    // False: leave octets in the socket for now. Look again after every call.
    bool wants_input() const;
    bool request_pending() const;
    bool closed() const;
    Deadline deadline() const;
    // Rises with each command, literal or message that has come whole: an octet now and then is none.
    std::uint64_t progress() const;
    // Why the session was ended as abuse; else empty. Worth a line in the log.
    const std::string& abuse() const;
    bool authenticated() const;

  private:
    std::unique_ptr<SessionCore> core_;
};

}  // namespace fwmail::imap
