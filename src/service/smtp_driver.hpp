// Drives one inbound SMTP or LMTP connection.
#pragma once

#include "net/stream.hpp"
#include "service/intake.hpp"
#include "service/link_receiver.hpp"
#include "service/mail_receiver.hpp"
#include "service/node.hpp"

namespace fwmail::service {

net::Task<> serve_smtp(Node& node, Intake& intake, LinkReceiver& links, MailLimits& limits,
                       MailService service, net::StreamPtr stream);

}  // namespace fwmail::service
