// Delivery status notifications (RFC 3461, 3464) as this node sends them: to users here at once, to others
// through the queue.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "service/intake.hpp"
#include "service/node.hpp"
#include "smtp/bounce.hpp"

namespace fwmail::service {

struct NoticeRequest {
    smtp::DsnKind kind = smtp::DsnKind::failed;
    std::string sender;  // of the mail that it is about; never empty
    std::string envid;
    store::DsnReturn ret = store::DsnReturn::unsaid;
    UnixMillis created;                     // when that mail came
    std::optional<UnixMillis> retry_until;  // delayed
    std::vector<smtp::DsnRecipient> recipients;
    std::string original;  // its first octets, at least its header; all of it where `whole`
    bool whole = false;
};

struct Notice {
    // To be run in the transaction in which what it tells of becomes true, so that neither is without the
    // other.
    std::function<Result<>(store::SystemStore&)> store;
    std::optional<AccountId> local;  // whose spool it goes to; else the queue
    std::size_t octets = 0;
};

// How many octets of the original are wanted.
std::uint64_t wanted_of_original(store::DsnReturn ret, std::uint64_t size);
Result<Notice> make_notice(Node& node, NoticeRequest request);
// After the commit.
void announce(const Notice& notice, Node& node, Intake& intake);

// A recipient as a notice names it; `reply` as the queue keeps it, "550 5.1.1 no".
smtp::DsnRecipient notice_row(const store::QueueRecipient& recipient, UnixMillis when);

}  // namespace fwmail::service
