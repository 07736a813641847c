#include "service/intake.hpp"

#include "base/co_try.hpp"
#include "base/hooks.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t batch = 200;

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
    for (;;) {
        auto more = co_await take_up(account);
        if (!more) {
            node_.log.error("intake", more.error().text + "; the mail stays in the spool and is tried again");
            co_await net::sleep_for(std::chrono::seconds(5));
        }
        if (more && *more) continue;
        std::lock_guard lock(mutex_);
        if (more && !again_.erase(account)) {
            working_.erase(account);
            co_return;
        }
        if (node_.stopping) co_return;
    }
}

// True: there may be more.
net::Task<Result<bool>> Intake::take_up(AccountId account) {
    auto load = [account](store::SystemStore& system) { return system.load_spool(account, batch); };
    auto rows = CO_TRY(co_await node_.read(store::system_file, load));
    if (rows.empty()) co_return false;
    bool more = rows.size() == batch;
    std::vector<store::DeliveryId> ids;
    for (const auto& row : rows) ids.push_back(row.delivery);
    auto deliver = [rows = std::move(rows)](store::AccountStore& store) -> Result<> {
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
    node_.hub.changed(account);
    crash_point("intake.delivered");
    auto remove = [ids](store::SystemStore& system) { return system.delete_spool(ids); };
    CO_TRY(co_await node_.write(store::system_file, std::move(remove)));
    crash_point("intake.despooled");
    auto forget = [ids](store::AccountStore& store) { return store.forget_deliveries(ids); };
    CO_TRY(co_await node_.write(account, std::move(forget)));
    co_return more;
}

net::Task<Result<>> Intake::recover() {
    auto load = [](store::SystemStore& system) { return system.accounts_with_spool(); };
    auto accounts = CO_TRY(co_await node_.read(store::system_file, load));
    for (auto account : accounts) wake(account);
    co_return Result<>();
}

}  // namespace fwmail::service
