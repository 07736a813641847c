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
    bool subscribed = false;
    bool nonexistent = false;       // only a level above others, or a name that is subscribed
    bool subscribed_below = false;  // CHILDINFO ("SUBSCRIBED")
    bool operator==(const ListedMailbox&) const = default;
};

// RFC 5258 3, RFC 6154 2: which mailboxes a LIST is about. Several conditions must all hold.
struct ListSelection {
    bool subscribed = false, special_use = false;
    bool recursive = false;  // also what lies above a mailbox that is selected
    bool operator==(const ListSelection&) const = default;
};

// In order of names. Levels above a mailbox that are no mailboxes themselves are listed too, as \Noselect.
std::vector<ListedMailbox> listed(const MailboxList& list, std::string_view pattern);
// The same for any of several patterns, each mailbox once; levels that are no mailboxes only without a
// selection or with a recursive one.
std::vector<ListedMailbox> listed(const MailboxList& list, const std::vector<std::string>& patterns,
                                  const ListSelection& selection);
// The subscribed ones; with `%` at the pattern's end also, as \Noselect, levels above a subscribed one.
std::vector<ListedMailbox> listed_subscribed(const MailboxList& list, std::string_view pattern);

}  // namespace fwmail::imap
