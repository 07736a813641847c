// What a row of the outbox stands for. The entry itself is made when it is sent, from the state as it is
// then.
#pragma once

#include <string>

#include "base/ids.hpp"

namespace fwmail::service {

// The account's value that says up to which modseq its mailboxes and subscribed names are planned for a peer.
inline std::string mailboxes_cursor(NodeId peer) { return "mailboxes-cursor:" + peer.hex(); }

enum OutboxKind : int {
    outbox_account = 1,
    outbox_mailbox,
    outbox_message,
    outbox_chunk,
    outbox_flags,
    outbox_expunge,
    outbox_stubbed,
    outbox_subscription,  // its payload is the name
    outbox_said,          // these three: the payload is the entry
    outbox_confirm,
    outbox_copy,  // these two: and with it the flags as they are then
    outbox_append,
    outbox_home_chunk,  // of what goes home for an append-request, which is the payload
    outbox_state,       // of a mailbox, the UIDs from prev_uid to uid; visible in offset, settled in length
    outbox_stated,
    outbox_return,  // the payload is the entry
    outbox_resealed,
};

}  // namespace fwmail::service
