// RFC 8474: ids as IMAP shows them. The two views of an account show different octets under different ids
// (EMAILID never names two texts), so the sealed view's begin with another letter.
#pragma once

#include <string>

#include "service/node.hpp"

namespace fwmail::service {

inline std::string email_id_prefix(const Node& node) { return node.is_core() ? "M" : "S"; }
inline std::string email_id_text(const Node& node, EmailId id) { return email_id_prefix(node) + id.hex(); }
inline std::string mailbox_id_text(const Node& node, MailboxId id) {
    return (node.is_core() ? "F" : "G") + id.hex();
}

}  // namespace fwmail::service
