// The structure of one message: a tree of parts with octet offsets, and the envelope.
// Values only; how they are found is structure.hpp's work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fwmail::mime {

// Octets [offset, offset + length) of the whole message.
struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    auto operator<=>(const Range&) const = default;
};

// RFC 9051 7.5.2: as in an ENVELOPE's address. A group's start has only `mailbox` (the group's name), its end
// nothing.
struct Address {
    std::optional<std::string> name;     // raw, RFC 2047 words not decoded
    std::optional<std::string> mailbox;  // local part
    std::optional<std::string> host;     // absent in a group's start and end
    auto operator<=>(const Address&) const = default;
};

// Field bodies are unfolded and raw (RFC 2047 words not decoded). An absent field is nullopt, an empty one
// "".
struct Envelope {
    std::optional<std::string> date, subject;
    std::vector<Address> from, sender, reply_to, to, cc,
        bcc;  // sender and reply_to default to from (RFC 9051 7.5.2)
    std::optional<std::string> in_reply_to, message_id;
    std::optional<std::string> references;  // no part of IMAP's ENVELOPE; THREAD wants it
    auto operator<=>(const Envelope&) const = default;
};

using Parameters =
    std::vector<std::pair<std::string, std::string>>;  // names lower-case, values unquoted, raw

struct Part {
    Range header;  // with the empty line that ends it; length 0 where there is none
    Range body;    // without the line ending that belongs to the following delimiter
    std::uint64_t body_lines = 0;
    std::string type = "text", subtype = "plain";  // lower-case
    Parameters parameters;  // of Content-Type; {charset, us-ascii} is implied, not stored
    std::optional<std::string> id, description, md5, disposition, location;
    Parameters disposition_parameters;
    std::vector<std::string> language;
    std::string encoding = "7bit";  // lower-case
    // The envelope of the message whose header this is: set on the root and on the only child of a
    // message/rfc822 (or message/global) part.
    std::optional<Envelope> envelope;
    std::vector<Part> children;  // of multipart/*: its parts; of message/rfc822: one, the message
    bool operator==(const Part&) const = default;  // an ordering cannot be defaulted for a recursive type

    bool is_multipart() const { return type == "multipart"; }
    bool is_message() const {
        return type == "message" && (subtype == "rfc822" || subtype == "global") && !children.empty();
    }
};

}  // namespace fwmail::mime
