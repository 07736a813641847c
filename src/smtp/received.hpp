// Trace fields (RFC 5321 4.4) and the loop guard (RFC 5321 6.3).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fwmail::smtp {

struct ReceivedInfo {
    std::string helo;       // as the peer said it
    std::string peer;       // its address, text; empty if not known
    std::string by;         // our host name
    std::string protocol;   // ServerSession::protocol()
    std::string id;         // ours for the message; may be empty
    std::string recipient;  // only if there is just one (privacy, RFC 5321 7.6); may be empty
    std::string date;       // RFC 5322
};
// The field, folded, CRLF at the end. Text from outside is made harmless.
std::string write_received(const ReceivedInfo& info);

// Received fields in a header (reading stops at the empty line).
std::size_t count_received(std::string_view header);
// Whether a Delivered-To field of the header names this address, ignoring case.
bool has_delivered_to(std::string_view header, std::string_view address);
constexpr std::size_t max_received = 50;  // more is a loop: 554 5.4.6
inline bool is_mail_loop(std::string_view header) { return count_received(header) > max_received; }

}  // namespace fwmail::smtp
