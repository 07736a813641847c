// What has changed since a client last looked (RFC 7162), and MOVE (RFC 6851).
#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "service/home.hpp"
#include "service/mailbox_service.hpp"
#include "store/provisional.hpp"

namespace fwmail::service {
// Leaves of request.uids what has changed since, and returns which of them have vanished. An expunge that
// this session has not been told of is not among them: it would shift numbers that the client still counts
// by.
net::Task<Result<UidSet>> MailboxService::narrow_to_changes(imap::Fetch& request) {
    auto job = [id = selected_->mailbox, since = *request.changed_since, until = selected_->told](
                   store::AccountStore& account) { return account.changed_uids(id, since, until); };
    auto changes = CO_TRY(co_await node_.read(*account_, job));
    UidSet vanished;
    if (request.vanished) vanished = changes.expunged.intersection(request.uids);
    request.uids = changes.changed.intersection(request.uids);
    co_return vanished;
}

net::Task<Result<MailboxService::R>> MailboxService::on(imap::Move request) {
    CO_TRY(changeable());
    auto target = CO_TRY(co_await find_target(request.mailbox));
    // One transaction: never in both mailboxes, never in none (RFC 6851 3.3). Bodies keep their holds.
    auto home = home_of(node_);
    std::size_t octets = request.uids.count() * store::octets_a_message;
    auto job = [from = selected_->mailbox, to = target.id, uids = std::move(request.uids), home,
                core = node_.is_core(), author = store::Author{node_.id, node_.clock()}](
                   store::AccountStore& account) -> Result<std::vector<store::UidPair>> {
        auto named = TRY(store::follow_successors(account, from, uids));
        auto pairs = TRY(account.move(from, named, to, author.now, author));
        if (!core) TRY(plan_copies_home(account, home, from, to, pairs, true, author.now));
        return pairs;
    };
    auto pairs = CO_TRY(co_await node_.write(*account_, std::move(job), octets));
    crash_point("move.stored");
    imap::Copied answer;
    answer.uidvalidity = target.uidvalidity;
    for (const auto& pair : pairs) {
        answer.source.push_back(pair.from);
        answer.destination.push_back(pair.to);
    }
    node_.hub.changed(*account_);
    if (!home.empty()) wake_sender(node_, *account_);
    co_return answer;
}

}  // namespace fwmail::service
