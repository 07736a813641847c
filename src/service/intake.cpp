#include "service/intake.hpp"

#include "base/co_try.hpp"
#include "base/hooks.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t batch = 200;
// While mail keeps coming it is taken up so often: two commits then serve what came meanwhile.
constexpr auto pause = std::chrono::milliseconds(10);

store::NewMessage to_message(const store::SpoolRow& row, MailboxId mailbox) {
    store::NewMessage message;
    message.mailbox = mailbox;
    message.hold = row.delivery;
    message.email_id = row.email_id;
    message.object = row.object;
    message.size = row.size;
    message.date = row.received;
    message.flags = row.flags;
    message.texts = row.texts;
    message.saved_at = row.received;
    return message;
}

}  // namespace

void Intake::wake(AccountId account) {
    {
        std::lock_guard lock(mutex_);
        if (!working_.insert(account).second) {
            again_.insert(account);
            return;
        }
    }
    node_.runtime.spawn("intake", work(account));
}

net::Task<> Intake::work(AccountId account) {
    Ids taken_up;  // out of the spool, and still noted as delivered in the account
    for (;;) {
        auto more = co_await take_up(account, taken_up);
        if (!more) {
            node_.log.error("intake", more.error().text + "; the mail stays in the spool and is tried again");
            co_await net::sleep_for(std::chrono::seconds(5));
            if (node_.stopping) co_return;
            continue;
        }
        if (*more) continue;
        co_await net::sleep_for(pause);
        if (is_more(account)) continue;
        co_await forget(account, taken_up);
        std::lock_guard lock(mutex_);
        if (again_.erase(account)) continue;
        working_.erase(account);
        co_return;
    }
}

bool Intake::is_more(AccountId account) {
    std::lock_guard lock(mutex_);
    return again_.erase(account) > 0;
}

net::Task<> Intake::forget(AccountId account, Ids& taken_up) {
    Ids ids = std::exchange(taken_up, {});
    if (ids.empty()) co_return;
    auto job = [ids = std::move(ids)](store::AccountStore& store) { return store.forget_deliveries(ids); };
    auto forgotten = co_await node_.write(account, std::move(job));
    if (!forgotten) node_.log.error("intake", forgotten.error().text);
}

// True: there may be more. What was taken up before is forgotten in the transaction that delivers.
net::Task<Result<bool>> Intake::take_up(AccountId account, Ids& taken_up) {
    auto load = [account](store::SystemStore& system) { return system.load_spool(account, batch); };
    auto rows = CO_TRY(co_await node_.read(store::system_file, load));
    if (rows.empty()) co_return false;
    bool more = rows.size() == batch;
    Ids ids;
    for (const auto& row : rows) ids.push_back(row.delivery);
    auto deliver = [rows = std::move(rows), taken_up](store::AccountStore& store) -> Result<> {
        TRY(store.forget_deliveries(taken_up));
        std::vector<store::NewMessage> messages;
        for (const auto& row : rows) {
            auto mailbox = TRY(store.find_mailbox(row.mailbox));
            if (!mailbox) mailbox = TRY(store.find_mailbox("INBOX"));
            if (!mailbox) return fail(ErrorKind::internal, "an account has no INBOX");
            messages.push_back(to_message(row, mailbox->id));
        }
        TRY(store.deliver(messages));
        return {};
    };
    CO_TRY(co_await node_.write(account, std::move(deliver)));
    taken_up.clear();
    node_.hub.changed(account);
    crash_point("intake.delivered");
    auto remove = [ids](store::SystemStore& system) { return system.delete_spool(ids); };
    CO_TRY(co_await node_.write(store::system_file, std::move(remove)));
    crash_point("intake.despooled");
    taken_up = std::move(ids);
    co_return more;
}

net::Task<Result<>> Intake::recover() {
    auto load = [](store::SystemStore& system) { return system.accounts_with_spool(); };
    auto accounts = CO_TRY(co_await node_.read(store::system_file, load));
    for (auto account : accounts) wake(account);
    co_return Result<>();
}

}  // namespace fwmail::service
