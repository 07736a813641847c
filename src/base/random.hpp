// Random octets from getrandom(2): works in an empty chroot and never returns weak octets.
#pragma once

#include <span>
#include <string>

#include "base/clock.hpp"
#include "base/ids.hpp"

namespace fwmail {

void fill_random(std::span<std::uint8_t> out);
std::string random_octets(std::size_t count);

// A new time-ordered id: 48 bits of `now`, 80 random bits.
template <class Tag>
Id128<Tag> make_id(UnixMillis now) {
    Id128<Tag> id;
    fill_random(id.bytes);
    for (int i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(now.value >> (40 - 8 * i));
    return id;
}
inline EmailId make_email_id(UnixMillis now) { return make_id<EmailIdTag>(now); }
inline MailboxId make_mailbox_id(UnixMillis now) { return make_id<MailboxIdTag>(now); }
inline AccountId make_account_id(UnixMillis now) { return make_id<AccountIdTag>(now); }
inline NodeId make_node_id(UnixMillis now) { return make_id<NodeIdTag>(now); }
inline ObjectId make_object_id(UnixMillis now) { return make_id<ObjectIdTag>(now); }

}  // namespace fwmail
