// Serves POP3 on one connection.
#pragma once

#include "service/node.hpp"

namespace fwmail::service {

net::Task<> serve_pop3(Node& node, net::StreamPtr stream);

}  // namespace fwmail::service
