// What STATUS and LIST's RETURN (STATUS (...)) share.
#pragma once

#include "imap/session_core.hpp"

namespace fwmail::imap {

// "(" status-att *(SP status-att) ")"
Result<> parse_status_items(Parser& parser, Status& status);
void send_status(SessionCore& core, const Status& asked, const StatusNumbers& numbers);

}  // namespace fwmail::imap
