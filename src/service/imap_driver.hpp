// Drives one IMAP connection: octets and actions between the stream, the session and the mailbox service.
#pragma once

#include "net/stream.hpp"
#include "service/node.hpp"

namespace fwmail::service {

net::Task<> serve_imap(Node& node, net::StreamPtr stream);

}  // namespace fwmail::service
