#include "service/maildrop_service.hpp"

#include "service/home.hpp"
#include "service/releases.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t page = 10'000;  // rows read at one time

Result<std::vector<pop3::Message>> load_drop(store::AccountStore& account, MailboxId inbox) {
    UidSet all;
    all.add(1, 0xffffffff);
    std::vector<pop3::Message> messages;
    for (Uid after;;) {
        auto rows = TRY(account.load_messages(inbox, all, store::column_size, page, after));
        for (const auto& row : rows) messages.push_back({row.uid, row.size});
        if (rows.size() < page) return messages;
        after = rows.back().uid;
    }
}

// RFC 3206: AUTH, credentials; SYS/TEMP, try again; SYS/PERM, do not.
pop3::Refusal to_refusal(const Error& error, bool login) {
    switch (error.kind) {
        case ErrorKind::refused:
            return {login ? "AUTH" : "", error.text};
        case ErrorKind::temporary:
            return {"SYS/TEMP", error.text};
        case ErrorKind::protocol:
            return {"", error.text};
        case ErrorKind::usage:
        case ErrorKind::internal:
            return {"SYS/TEMP", "internal trouble, try again later"};
    }
    return {};
}

}  // namespace

net::Task<pop3::Reply> MaildropService::execute(pop3::Request request) {
    bool login =
        !std::holds_alternative<pop3::Open>(request) && !std::holds_alternative<pop3::Remove>(request);
    auto task = std::visit([this](auto& r) { return on(std::move(r)); }, request);
    auto result = co_await std::move(task);
    if (result) co_return std::move(*result);
    if (result.error().kind == ErrorKind::internal) node_.log.error("pop3", result.error().text);
    co_return to_refusal(result.error(), login);
}

net::Task<Result<pop3::Reply>> MaildropService::on(pop3::Login request) {
    LoginAttempt attempt{"pop3", std::move(request.user), peer_};
    auto user = CO_TRY(co_await log_in(node_, std::move(attempt), std::move(request.password)));
    co_return co_await open_drop(user->user.id);
}

net::Task<Result<pop3::Reply>> MaildropService::on(pop3::AuthStart request) {
    auto step = CO_TRY(co_await sasl_.start(std::move(request.mechanism), std::move(request.initial)));
    if (auto* challenge = std::get_if<sasl::Challenge>(&step))
        co_return pop3::AuthChallenge{std::move(challenge->octets)};
    co_return co_await open_drop(std::get<UserPtr>(step)->user.id);
}

net::Task<Result<pop3::Reply>> MaildropService::on(pop3::AuthResponse request) {
    auto step = CO_TRY(co_await sasl_.on_response(std::move(request.octets)));
    if (auto* challenge = std::get_if<sasl::Challenge>(&step))
        co_return pop3::AuthChallenge{std::move(challenge->octets)};
    co_return co_await open_drop(std::get<UserPtr>(step)->user.id);
}

net::Task<Result<pop3::Reply>> MaildropService::open_drop(AccountId account) {
    node_.hub.hurry(account, node_.clock(), ChangeHub::Haste::login);
    node_.link_wake.notify();
    struct Drop {
        store::Mailbox inbox;
        std::vector<pop3::Message> messages;
    };
    auto load = [](store::AccountStore& store) -> Result<Drop> {
        auto inbox = TRY(store.find_mailbox("INBOX"));
        if (!inbox) return fail(ErrorKind::temporary, "there is no INBOX yet");
        auto messages = TRY(load_drop(store, inbox->id));
        return Drop{std::move(*inbox), std::move(messages)};
    };
    auto drop = CO_TRY(co_await node_.read(account, load));
    account_ = account;
    inbox_ = drop.inbox.id;
    pop3::Maildrop answer;
    answer.uidvalidity = node_.is_core() ? drop.inbox.uidvalidity : drop.inbox.sealed_uidvalidity;
    answer.messages = std::move(drop.messages);
    if (!takes_changes(node_))
        answer.read_only_reason = "this outside copy of the mailbox is not linked with a core server";
    co_return answer;
}

net::Task<Result<pop3::Reply>> MaildropService::on(pop3::Open request) {
    if (!account_) co_return fail(ErrorKind::internal, "RETR without a maildrop");
    auto load = [inbox = inbox_, uid = request.uid](store::AccountStore& store) {
        UidSet one;
        one.add(uid.value);
        return store.load_messages(inbox, one, store::column_identity | store::column_size, 1);
    };
    auto rows = CO_TRY(co_await node_.read(*account_, load));
    if (rows.empty()) co_return fail(ErrorKind::refused, "that message has gone meanwhile");
    reader_.emplace(node_, rows[0].object, 0, rows[0].size);
    co_return pop3::Done{};
}

net::Task<Result<std::string>> MaildropService::next_piece() {
    if (!reader_) co_return fail(ErrorKind::internal, "no message is open");
    auto piece = co_await reader_->next();
    if (!piece) node_.log.error("pop3", piece.error().text);
    co_return piece;
}

net::Task<Result<pop3::Reply>> MaildropService::on(pop3::Remove request) {
    if (!account_) co_return fail(ErrorKind::internal, "QUIT without a maildrop");
    auto home = home_of(node_);
    auto remove = [inbox = inbox_, uids = std::move(request.uids), home,
                   now = node_.clock()](store::AccountStore& store) -> Result<> {
        auto expunged = TRY(store.expunge_any(inbox, uids));
        return plan_expunge_home(store, home, inbox, expunged.uids, now);
    };
    CO_TRY(co_await node_.write(*account_, std::move(remove)));
    co_await drain_releases(node_, *account_);
    node_.hub.changed(*account_);
    if (!home.empty()) wake_sender(node_, *account_);
    co_return pop3::Done{};
}

}  // namespace fwmail::service
