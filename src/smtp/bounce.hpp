// Delivery status notifications (RFC 3464, 6522) as a pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "smtp/path.hpp"
#include "smtp/reply.hpp"

namespace fwmail::smtp {

enum class DsnKind {
    failed,
    delayed,    // delivery goes on
    delivered,  // into the mailbox, as the sender asked to be told
    relayed,    // to a server that tells nothing more
};

struct DsnRecipient {
    Path recipient;
    Reply reply;               // the last; its enhanced code, or 5.0.0/4.0.0, becomes Status
    std::string remote_mta;    // host that said so; empty if none was reached
    std::string last_attempt;  // RFC 5322 date; may be empty
    std::string orcpt;         // as given (RFC 3461 4.2); may be empty
};

// All text from outside is made harmless: control characters and 8-bit octets are replaced, lengths bounded.
struct DsnInput {
    DsnKind kind = DsnKind::failed;
    std::string reporting_mta;  // host name
    std::string from;           // header address, e.g. "MAILER-DAEMON@example.org"
    Path to;                    // the original reverse path; never null (nobody is told of a failed bounce)
    std::vector<DsnRecipient> recipients;
    std::string original_header;  // octets; at most 64 KiB go into the notification
    // The whole message, returned instead of its header where the sender asked for that (RFC 3461 4.3) and it
    // is short and of 7 bits; else empty.
    std::string original;
    std::string envid;         // as given (RFC 3461 4.4); may be empty
    std::string arrival_date;  // RFC 5322 date of the original's arrival; may be empty
    std::string retry_until;   // delayed: RFC 5322 date; may be empty
    std::string date;          // RFC 5322
    std::string message_id;    // with angle brackets
    std::string boundary;      // random, 1 to 70 letters and digits
};

// The whole message, CRLF lines, 7-bit. Its envelope sender is the null path.
std::string write_dsn(const DsnInput& input);

}  // namespace fwmail::smtp
