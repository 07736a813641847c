// Which mailboxes LIST and LSUB show (RFC 9051 6.3.9, RFC 3501 6.3.8, 6.3.9).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "imap/backend.hpp"

namespace fwmail::imap {

// `*` stands for any characters, `%` for any but '/'. Pattern and name are UTF-8. Never exponential.
bool matches_pattern(std::string_view pattern, std::string_view name);

struct ListedMailbox {
    std::string name;
    bool noselect = false;
    bool has_children = false;
    std::string special_use;
    bool operator==(const ListedMailbox&) const = default;
};

// In order of names. Levels above a mailbox that are no mailboxes themselves are listed too, as \Noselect.
std::vector<ListedMailbox> listed(const MailboxList& list, std::string_view pattern);
// The subscribed ones; with `%` at the pattern's end also, as \Noselect, levels above a subscribed one.
std::vector<ListedMailbox> listed_subscribed(const MailboxList& list, std::string_view pattern);

}  // namespace fwmail::imap
