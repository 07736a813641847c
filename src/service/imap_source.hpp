// Another IMAP server as a source and as a target.
#pragma once

#include "service/imap_client.hpp"
#include "service/mail_source.hpp"
#include "service/mail_target.hpp"

namespace fwmail::service {

net::Task<Result<std::unique_ptr<MailSource>>> open_imap_source(Node& node, ImapServer server, IsKnown known);
net::Task<Result<std::unique_ptr<MailTarget>>> open_imap_target(Node& node, ImapServer server);

}  // namespace fwmail::service
