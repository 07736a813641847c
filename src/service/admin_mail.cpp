// fwmail alias, fwmail queue: the parts of admin.hpp that are about the ways of mail.
#include <algorithm>

#include "base/encoding.hpp"
#include "service/admin.hpp"
#include "smtp/path.hpp"

namespace fwmail::service {
namespace json = boost::json;
namespace {

constexpr std::size_t most_listed = 10'000;

// --- alias

std::vector<std::string> texts_of(const json::object& request, std::string_view name) {
    std::vector<std::string> out;
    const auto* list = request.if_contains(name);
    if (!list || !list->is_array()) return out;
    for (const auto& value : list->get_array())
        if (value.is_string()) out.emplace_back(value.get_string());
    return out;
}

// An address in one of our domains, or `@domain` for all in it that nobody has.
Result<std::string> alias_address(const AdminContext& context, std::string address) {
    std::string domain;
    if (address.starts_with('@')) {
        domain = address.substr(1);
    } else {
        auto path = TRY(smtp::parse_address(address));
        domain = path.domain;
        address = path.text();
    }
    auto ours = context.config.list("domain");
    if (std::ranges::none_of(ours, [&](const auto& d) { return equal_ignoring_case(d, domain); }))
        return fail(ErrorKind::usage,
                    "'" + domain + "' is no mail domain of this server: see domain in the configuration");
    return address;
}

// A user's name stands for the user's first address.
Result<std::string> alias_target(AdminContext& context, const std::string& text) {
    if (text.contains('@')) return TRY(smtp::parse_address(text)).text();
    auto user = TRY(context.system.find_user(text));
    if (!user || user->state != store::UserState::active)
        return fail(ErrorKind::refused, "there is no user " + text + " here: fwmail user list shows them");
    auto addresses = TRY(context.system.load_addresses(user->id));
    if (addresses.empty()) return fail(ErrorKind::refused, text + " has no address");
    return addresses.front();
}

Result<json::object> alias_list(AdminContext& context) {
    json::array rows;
    for (const auto& alias : TRY(context.system.load_aliases())) {
        json::array targets;
        for (const auto& target : alias.targets) targets.emplace_back(target);
        rows.push_back(json::object{{"address", alias.address}, {"targets", targets}});
    }
    return json::object{{"aliases", rows}};
}

// --- queue

std::string_view state_name(store::RecipientState state) {
    switch (state) {
        case store::RecipientState::pending:
            return "waiting";
        case store::RecipientState::delivered:
            return "delivered";
        case store::RecipientState::failed:
            return "failed";
    }
    return "";
}

std::string_view kind_name(store::QueueKind kind) {
    switch (kind) {
        case store::QueueKind::mail:
            return "mail";
        case store::QueueKind::node:
            return "node";
        case store::QueueKind::bounce:
            return "notice";
    }
    return "";
}

json::object describe(const store::QueueItem& item) {
    json::array recipients;
    for (const auto& r : item.recipients)
        recipients.push_back(json::object{{"address", r.address},
                                          {"state", state_name(r.state)},
                                          {"attempts", r.attempts},
                                          {"reply", r.last_reply}});
    return {{"id", item.id.hex()},
            {"kind", kind_name(item.kind)},
            {"sender", item.sender},
            {"size", item.size - std::min(item.skip, item.size)},
            {"created", item.created.value / 1000},
            {"next_attempt", item.next_attempt.value / 1000},
            {"expires", item.expires.value / 1000},
            {"held", item.held},
            {"recipients", recipients}};
}

Result<json::object> queue_list(AdminContext& context) {
    json::array rows;
    for (const auto& item : TRY(context.system.load_queue(most_listed))) rows.push_back(describe(item));
    return json::object{{"mails", rows}};
}

Result<json::object> queue_show(AdminContext& context, const store::QueueItem& item) {
    json::object answer = describe(item);
    auto head = TRY(context.system.read_object(item.object, item.skip, 64 * 1024));
    if (auto end = head.find("\r\n\r\n"); end != std::string::npos) head.resize(end + 2);
    answer["header"] = item.kind == store::QueueKind::node ? "" : head;
    return answer;
}

Result<std::vector<store::QueueItem>> chosen_items(AdminContext& context, const std::string& id, bool all) {
    if (all) return context.system.load_queue(most_listed);
    auto parsed = store::QueueId::from_hex(id);
    auto item = parsed ? TRY(context.system.find_queue_item(*parsed)) : std::nullopt;
    if (!item)
        return fail(ErrorKind::refused,
                    "there is no mail " + id + " in the queue: fwmail queue list shows them");
    return std::vector{std::move(*item)};
}

}  // namespace

Result<json::object> admin_alias(AdminContext& context, std::string_view command,
                                 const json::object& request) {
    if (context.identity.role != NodeRole::core) return fail(ErrorKind::usage, "aliases are managed at core");
    if (command == "list") return alias_list(context);
    if (command != "add" && command != "remove") return fail(ErrorKind::usage, "no such command");
    std::string address = text_of(request, "address");
    std::vector<std::string> targets;
    for (const auto& text : texts_of(request, "targets")) targets.push_back(TRY(alias_target(context, text)));
    context.users_changed = true;
    if (command == "remove") {
        TRY(context.system.remove_alias(address, targets));
        return json::object{};
    }
    if (targets.empty()) return fail(ErrorKind::usage, "say to whom: fwmail alias add ADDRESS TARGET...");
    TRY(context.system.add_alias(TRY(alias_address(context, address)), targets));
    return json::object{};
}

Result<json::object> admin_queue(AdminContext& context, std::string_view command,
                                 const json::object& request) {
    if (command == "list") return queue_list(context);
    std::string id = text_of(request, "id");
    auto items = TRY(chosen_items(context, id, command == "retry" && id.empty()));
    if (command == "show") return queue_show(context, items.front());
    UnixMillis now = context.clock();
    for (const auto& item : items) {
        if (command == "retry")
            TRY(context.system.reschedule(item.id, now));
        else if (command == "hold" || command == "release")
            TRY(context.system.set_held(item.id, command == "hold"));
        else if (command == "remove")
            TRY(context.system.remove(item.id));
        else
            return fail(ErrorKind::usage, "no such command");
        if (command == "release") TRY(context.system.reschedule(item.id, now));
    }
    context.queue_changed = true;
    return json::object{{"mails", items.size()}};
}

}  // namespace fwmail::service
