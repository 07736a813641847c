// fwmail expunged: what was expunged from outside. It is hidden and can be put back for 30 days; what is more
// than a day's measure is held until somebody has decided.
#include "service/admin.hpp"
#include "store/outside_expunges.hpp"

namespace fwmail::service {
namespace json = boost::json;
namespace {

constexpr std::int64_t day = 86'400'000;

Result<std::unique_ptr<store::AccountStore>> open_account(AdminContext& context, const store::User& user,
                                                          store::Access access) {
    return store::AccountStore::open(context.data_dir(), user.id, context.clock(), access);
}

Result<json::object> list(AdminContext& context) {
    json::array users;
    for (const auto& user : TRY(context.system.load_users())) {
        if (!std::filesystem::exists(store::AccountStore::path_of(context.data_dir(), user.id))) continue;
        auto account = TRY(open_account(context, user, store::Access::read_only));
        auto summary = TRY(store::summarize_hidden(*account));
        json::array held;
        for (const auto& expunge : TRY(store::load_held_expunges(*account))) {
            auto mailbox = TRY(account->find_mailbox(expunge.mailbox));
            auto link = TRY(context.system.find_link(expunge.peer));
            held.push_back(json::object{{"mailbox", mailbox ? mailbox->name : expunge.mailbox.hex()},
                                        {"link", link ? link->name : expunge.peer.hex()},
                                        {"messages", expunge.count},
                                        {"since", expunge.since.value / 1000}});
        }
        if (summary.hidden == 0 && held.empty()) continue;
        users.push_back(
            json::object{{"name", user.name}, {"hidden", summary.hidden}, {"held", std::move(held)}});
    }
    return json::object{{"users", std::move(users)}};
}

// They get new numbers, so that they appear outside again, where the old ones have gone.
Result<std::uint64_t> put_back(AdminContext& context, store::AccountStore& account,
                               const store::HeldExpunge& held) {
    auto mailbox = TRY(account.find_mailbox(held.mailbox));
    if (!mailbox || mailbox->deleted) return 0;
    if (held.deletes) {  // outside that mailbox has gone for good: another one of its name comes
        auto count = TRY(store::count_messages(account, held.mailbox, held.uids));
        TRY(store::delete_outside(account, held.peer, held.mailbox, {}, context.clock()));
        return count;
    }
    FlagSet deleted;
    deleted.system = FlagSet::deleted;  // or the next EXPUNGE would take them again
    TRY(account.store_flags(held.mailbox, held.uids, store::StoreMode::remove, deleted,
                            {context.identity.id, context.clock()}));
    return TRY(account.move(held.mailbox, held.uids, held.mailbox, context.clock())).size();
}

Result<std::uint64_t> let_go(AdminContext& context, store::AccountStore& account,
                             const store::HeldExpunge& held) {
    auto mailbox = TRY(account.find_mailbox(held.mailbox));
    if (!mailbox || mailbox->deleted) return 0;
    if (held.deletes)
        return store::delete_outside(account, held.peer, held.mailbox, held.uids, context.clock());
    return store::hide_messages(account, held.peer, held.mailbox, held.uids, context.clock());
}

Result<json::object> decide(AdminContext& context, const store::User& user, bool release) {
    auto account = TRY(open_account(context, user, store::Access::read_write));
    std::uint64_t count = 0;
    for (const auto& held : TRY(store::load_held_expunges(*account))) {
        count += TRY(release ? let_go(context, *account, held) : put_back(context, *account, held));
        TRY(store::drop_held_expunge(*account, held.id));
    }
    return json::object{{"messages", count}};
}

Result<json::object> restore(AdminContext& context, const store::User& user, const json::object& request) {
    std::int64_t days = 30;
    if (const auto* given = request.if_contains("days"); given && given->is_int64())
        days = given->get_int64();
    if (days < 1 || days > 30) return fail(ErrorKind::usage, "--days is 1 to 30");
    auto account = TRY(open_account(context, user, store::Access::read_write));
    UnixMillis now = context.clock();
    return json::object{
        {"messages", TRY(store::restore_hidden(*account, UnixMillis{now.value - days * day}, now))}};
}

}  // namespace

Result<json::object> admin_expunged(AdminContext& context, std::string_view command,
                                    const json::object& request) {
    if (context.identity.role != NodeRole::core)
        return fail(ErrorKind::usage, "what is deleted outside is decided on at core");
    if (command == "list") return list(context);
    std::string name = text_of(request, "name");
    auto user = TRY(context.system.find_user(name));
    if (!user || user->state == store::UserState::removed)
        return fail(ErrorKind::refused, "there is no user " + name + " here: fwmail user list shows them");
    context.accounts_changed.insert(user->id);
    if (command == "release") return decide(context, *user, true);
    if (command == "reject") return decide(context, *user, false);
    if (command == "restore") return restore(context, *user, request);
    return fail(ErrorKind::usage, "no such command");
}

}  // namespace fwmail::service
