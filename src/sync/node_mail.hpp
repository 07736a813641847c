// Node mail: the ordinary 7-bit RFC 5322 message in which a sealed frame travels. Text only: nothing in it is
// trusted, the OpenPGP message inside is verified by the caller.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "sync/frame.hpp"

namespace fwmail::sync {

inline constexpr std::string_view node_mail_type = "application/vnd.fwmail.frame";
inline constexpr std::size_t max_hints = 16;

struct NodeMail {
    std::string from, to;  // node addresses, local@domain, ASCII
    UnixMillis date;
    std::string message_id;          // with its angle brackets; see node_message_id()
    std::string subject = "fwmail";  // printable ASCII, at most 200 octets
    std::vector<EmailId> hints;      // written as FWMail-Id; those after the first max_hints are left out
    std::string content;             // binary OpenPGP message
    bool operator==(const NodeMail&) const = default;
};

// `<FRAMEID@domain of from>`
std::string node_message_id(const FrameId& frame, std::string_view from);

// CRLF lines of at most 78 octets (the address and id lines as long as these are). Fails (usage) on an
// address, id or subject that cannot stand in a header.
Result<std::string> build_node_mail(const NodeMail& mail);

struct NodeMailLimits {
    std::size_t octets = 96 << 20;          // of the whole message
    std::size_t header_octets = 256 << 10;  // with all that MTAs added
    std::size_t header_fields = 1000;
};
// Takes CRLF or LF, fields in any order, folded anyhow, with any other fields between them. Refused, with the
// reason: another content type (a DSN, an auto-reply), another transfer encoding, one of both twice, damaged
// base64. Fields that are missing or unreadable but for these two come out empty; the date is not read and
// comes out as 0.
Result<NodeMail> parse_node_mail(std::string_view octets, const NodeMailLimits& limits = {});

// Whether the header claims to be node mail: cheap, to sort before anything is decoded.
bool looks_like_node_mail(std::string_view octets);

}  // namespace fwmail::sync
