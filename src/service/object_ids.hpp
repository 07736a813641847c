// RFC 8474: ids as IMAP shows them. The two views of an account show different octets under different ids
// (EMAILID never names two texts), so the sealed view's begin with another letter.
#pragma once

#include <string>

#include "service/node.hpp"

namespace fwmail::service {

inline std::string email_id_prefix(const Node& node) { return node.is_core() ? "M" : "S"; }
// At a remote it is of the object that is shown: what stands in for a message that has not come, and what is
// sealed anew, are other texts than the message's.
inline EmailId shown_email_id(const Node& node, const store::Message& message) {
    if (node.is_core()) return message.email_id;
    return EmailId::from_octets(message.object.octets()).value_or(EmailId{});
}
inline std::string email_id_text(const Node& node, const store::Message& message) {
    return email_id_prefix(node) + shown_email_id(node, message).hex();
}
inline std::string mailbox_id_text(const Node& node, MailboxId id) {
    return (node.is_core() ? "F" : "G") + id.hex();
}

}  // namespace fwmail::service
