// fwmail state: the state information of a user's mail (patent H11-266279, figure 6), in pieces.
#include "base/encoding.hpp"
#include "service/admin.hpp"

namespace fwmail::service {
namespace json = boost::json;
namespace {

constexpr std::size_t rows_at_once = 2000;

Result<std::unique_ptr<store::AccountStore>> open_account(AdminContext& context,
                                                          const json::object& request) {
    std::string name = text_of(request, "name");
    auto user = TRY(context.system.find_user(name));
    if (!user) return fail(ErrorKind::refused, "there is no user " + name + " here");
    return store::AccountStore::open(context.data_dir(), user->id, context.clock(), store::Access::read_only);
}

Result<json::object> mailboxes(AdminContext& context, const json::object& request) {
    auto account = TRY(open_account(context, request));
    std::string only = text_of(request, "mailbox");
    json::array rows;
    for (const auto& mailbox : TRY(account->load_mailboxes())) {
        if (mailbox.name == mailbox.id.hex()) continue;  // a stand-in: its name is still on the way
        if (!only.empty() && !equal_ignoring_case(only, mailbox.name)) continue;
        rows.push_back(json::object{{"id", mailbox.id.hex()},
                                    {"name", mailbox.name},
                                    {"use", mailbox.special_use},
                                    {"subscribed", mailbox.subscribed},
                                    {"uidvalidity", mailbox.sealed_uidvalidity.value}});
    }
    json::array names;  // that are subscribed, without a mailbox
    if (only.empty())
        for (const auto& name : TRY(account->load_subscriptions()))
            if (!TRY(account->find_mailbox(name))) names.emplace_back(name);
    if (rows.empty() && !only.empty()) return fail(ErrorKind::refused, "this user has no mailbox " + only);
    return json::object{{"mailboxes", std::move(rows)}, {"subscriptions", std::move(names)}};
}

Result<json::object> messages(AdminContext& context, const json::object& request) {
    auto account = TRY(open_account(context, request));
    auto mailbox = MailboxId::from_hex(text_of(request, "id"));
    const auto* after = request.if_contains("after");
    if (!mailbox || !after || !after->is_int64() || after->get_int64() < 0)
        return fail(ErrorKind::usage, "say which mailbox and after which UID");
    auto known = TRY(account->find_mailbox(*mailbox));
    if (!known || known->deleted)  // since it was listed
        return json::object{{"messages", json::array()}, {"more", false}};
    UidSet all;
    all.add(1, 0xffffffff);
    auto found = TRY(account->load_messages(
        *mailbox, all,
        store::column_flags | store::column_registers | store::column_identity | store::column_seal,
        rows_at_once, Uid{static_cast<std::uint32_t>(after->get_int64())}));
    json::array rows;
    for (const auto& m : found)
        rows.push_back(json::object{{"uid", m.uid.value},
                                    {"email", m.email_id.hex()},
                                    {"sha256", hex_encode(m.seal.sha256)},
                                    {"sealed", m.seal.state == store::SealState::sealed},
                                    {"flags", m.flags.text()},
                                    {"updated", sync::latest_time(m.registers) >> 16}});
    return json::object{{"messages", std::move(rows)}, {"more", found.size() == rows_at_once}};
}

}  // namespace

Result<json::object> admin_state(AdminContext& context, std::string_view command,
                                 const json::object& request) {
    if (command == "mailboxes") return mailboxes(context, request);
    if (command == "messages") return messages(context, request);
    return fail(ErrorKind::usage, "no such command");
}

}  // namespace fwmail::service
