// What the replica keeps of the stubs that it shows; placing them is Replica::place_stubs.
#pragma once

#include "service/node.hpp"

namespace fwmail::service {

// A body has come for which a stub is shown: core must give the message a new number, since what a UID names
// never changes. Does nothing for a message that has no stub, or whose body is not whole yet.
Result<> tell_of_late_body(store::AccountStore& account, NodeId peer, EmailId email, std::string_view sha256,
                           UnixMillis now);

}  // namespace fwmail::service
