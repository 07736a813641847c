// fwmail import, fwmail export: the work, whether the node runs (then through its control socket) or not.
//
// Request: {"command": "import" or "export", "name": user, "place": where, "mailbox", "layout", "password",
// "ca-file", "pin"}. Replies: {"progress": {...}} now and then, {"warning": "..."}, at last {"done": {...}}
// or
// {"error": "...", "kind": "..."}.
#pragma once

#include <boost/json.hpp>

#include "net/control.hpp"
#include "service/node.hpp"

namespace fwmail::service {

bool is_transfer(const boost::json::object& request);
net::Task<> run_transfer(Node& node, boost::json::object request, net::ControlReply reply);

}  // namespace fwmail::service
