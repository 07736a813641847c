#include "service/admin.hpp"

#include <string.h>

#include <algorithm>

#include "base/random.hpp"
#include "base/utf8.hpp"
#include "crypto/armor.hpp"
#include "crypto/box.hpp"
#include "crypto/scram.hpp"
#include "mime/saslprep.hpp"
#include "service/link_table.hpp"
#include "service/link_token.hpp"
#include "service/quota.hpp"
#include "smtp/path.hpp"

namespace fwmail::service {
namespace json = boost::json;
namespace {

enum class Removed { refused, too };

Result<store::User> need_user(AdminContext& context, const json::object& request,
                              Removed removed = Removed::refused) {
    std::string name = text_of(request, "name");
    auto user = TRY(context.system.find_user(name));
    if (!user || (user->state == store::UserState::removed && removed == Removed::refused))
        return fail(ErrorKind::refused, "there is no user " + name + " here: fwmail user list shows them");
    return std::move(*user);
}

Result<> core_only(const AdminContext& context, std::string_view what) {
    if (context.identity.role == NodeRole::core) return {};
    return fail(ErrorKind::usage,
                std::string(what) + " are managed at core; the remote learns of them by mail");
}

bool is_user_name(std::string_view name) {
    if (name.empty() || name.size() > 64) return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '-' || c == '_' || c == '+';
    });
}

Result<> make_mailboxes(AdminContext& context, AccountId account, UnixMillis now) {
    auto store = TRY(store::AccountStore::open(context.data_dir(), account, now));
    constexpr std::pair<const char*, const char*> standard[] = {{"INBOX", ""},      {"Drafts", "\\Drafts"},
                                                                {"Sent", "\\Sent"}, {"Archive", "\\Archive"},
                                                                {"Junk", "\\Junk"}, {"Trash", "\\Trash"}};
    for (auto [name, use] : standard) {
        if (TRY(store->find_mailbox(name))) continue;
        TRY(store->create_mailbox(name, use, now));
        TRY(store->set_subscribed(name, true, {context.identity.id, now}));
    }
    return {};
}

Result<store::UserKey> make_user_key(AdminContext& context, const store::User& user, std::string_view address,
                                     UnixMillis created) {
    auto key = TRY(crypto::generate_key(user.name + " <" + std::string(address) + ">", created));
    auto secret = TRY(crypto::write_secret_key(key, std::nullopt));
    std::string fingerprint = key.public_key.fingerprint.hex();
    auto box = TRY(
        crypto::box_seal(context.master_key, secret.view(), "user-key:" + user.id.hex() + ":" + fingerprint));
    return store::UserKey{user.id, fingerprint, crypto::write_certificate(key.public_key),
                          box,     created,     std::nullopt};
}

std::string grouped(const store::UserKey& key) {
    auto fingerprint = crypto::Fingerprint::from_hex(key.fingerprint);
    return fingerprint ? fingerprint->grouped() : key.fingerprint;
}

Result<> set_password(AdminContext& context, AccountId account, store::CredentialKind kind,
                      std::string_view label, const Secret& password) {
    UnixMillis now = context.clock();
    auto credentials = TRY(context.system.load_credentials(account));
    std::erase_if(credentials, [](const auto& old) { return old.revoked.has_value(); });
    // One salt and iteration count for all passwords of a user: SCRAM tells them before it can know which
    // of them the client has.
    std::string salt = random_octets(crypto::scram_salt_octets);
    std::uint32_t iterations = crypto::scram_iterations;
    if (!credentials.empty()) {
        auto other = TRY(crypto::ScramVerifier::from_text(credentials.front().verifier));
        salt = other.salt;
        iterations = other.iterations;
    }
    auto prepared = mime::saslprep(password.view());
    if (!prepared) return fail(ErrorKind::refused, prepared.error().text);
    auto verifier = TRY(crypto::make_verifier(Secret(std::move(*prepared)), salt, iterations));
    for (const auto& old : credentials)
        if (old.kind == kind && equal_ignoring_case(old.label, label))
            TRY(context.system.revoke_credential(old.id, now));
    store::Credential credential;
    credential.account = account;
    credential.kind = kind;
    credential.label = std::string(label);
    credential.verifier = verifier.text();
    credential.created = now;
    TRY(context.system.add_credential(credential));
    return {};
}

Result<json::object> user_add(AdminContext& context, const json::object& request) {
    TRY(core_only(context, "users"));
    store::User user;
    user.name = text_of(request, "name");
    if (!is_user_name(user.name))
        return fail(ErrorKind::usage, "a user name has 1 to 64 letters, digits, '.', '-', '_' or '+'");
    if (auto other = TRY(context.system.find_user(user.name)))
        return fail(ErrorKind::refused,
                    other->state == store::UserState::removed
                        ? "the user " + other->name + " was removed, and the name is kept: choose another one"
                        : "there is a user " + user.name + " already");
    user.created = context.clock();
    user.id = make_account_id(user.created);
    std::vector<std::string> addresses;
    if (const auto* list = request.if_contains("addresses"); list && list->is_array())
        for (const auto& address : list->get_array())
            if (address.is_string()) addresses.emplace_back(address.get_string());
    if (addresses.empty()) {
        auto domains = context.config.list("domain");
        if (domains.empty())
            return fail(ErrorKind::usage,
                        "give an address with --address, or set domain in the configuration");
        for (const auto& domain : domains) addresses.push_back(user.name + "@" + domain);
    }
    for (const auto& address : addresses) TRY(smtp::parse_address(address));
    TRY(context.system.add_user(user, addresses));
    if (std::string password = text_of(request, "password"); !password.empty())
        TRY(set_password(context, user.id, store::CredentialKind::inside, "inside",
                         Secret(std::move(password))));
    auto key = TRY(make_user_key(context, user, addresses.front(), user.created));
    TRY(context.system.add_key(key));
    TRY(make_mailboxes(context, user.id, user.created));
    context.users_changed = true;
    context.accounts_changed.insert(user.id);
    return json::object{{"name", user.name}, {"fingerprint", grouped(key)}};
}

Result<json::object> user_list(AdminContext& context) {
    json::array users;
    for (const auto& user : TRY(context.system.load_users())) {
        if (user.state != store::UserState::active) continue;
        json::array addresses, passwords;
        for (const auto& address : TRY(context.system.load_addresses(user.id)))
            addresses.emplace_back(address);
        for (const auto& credential : TRY(context.system.load_credentials(user.id)))
            if (!credential.revoked)
                passwords.push_back(json::object{
                    {"kind", credential.kind == store::CredentialKind::inside ? "inside" : "outside"},
                    {"label", credential.label}});
        std::string fingerprint;
        for (const auto& key : TRY(context.system.load_keys(user.id)))
            if (!key.retired && fingerprint.empty()) fingerprint = grouped(key);
        users.push_back(json::object{{"name", user.name},
                                     {"addresses", addresses},
                                     {"passwords", passwords},
                                     {"fingerprint", fingerprint}});
    }
    return json::object{{"users", users}};
}

Result<json::object> user_passwd(AdminContext& context, const json::object& request) {
    TRY(core_only(context, "passwords"));
    auto user = TRY(need_user(context, request));
    context.users_changed = true;
    context.accounts_changed.insert(user.id);
    const auto* outside = request.if_contains("outside");
    if (!outside || !outside->is_bool() || !outside->get_bool()) {
        Secret password(text_of(request, "password"));
        TRY(set_password(context, user.id, store::CredentialKind::inside, "inside", password));
        return json::object{};
    }
    std::string label = text_of(request, "label");
    if (label.empty()) label = "outside";
    if (label.size() > 100 || !is_plain_utf8(label))
        return fail(ErrorKind::usage, "a label has at most 100 octets of plain text");
    if (const auto* revoke = request.if_contains("revoke");
        revoke && revoke->is_bool() && revoke->get_bool()) {
        bool found = false;
        for (const auto& old : TRY(context.system.load_credentials(user.id)))
            if (!old.revoked && old.kind == store::CredentialKind::outside &&
                equal_ignoring_case(old.label, label)) {
                TRY(context.system.revoke_credential(old.id, context.clock()));
                found = true;
            }
        if (!found)
            return fail(ErrorKind::refused, "this user has no outside password with the label " + label);
        return json::object{};
    }
    // Generated, so that nobody's inside password works outside.
    Secret password = crypto::generate_password();
    TRY(set_password(context, user.id, store::CredentialKind::outside, label, password));
    return json::object{{"password", password.view()}};
}

Result<json::object> user_remove(AdminContext& context, const json::object& request) {
    TRY(core_only(context, "users"));
    auto user = TRY(need_user(context, request));
    TRY(context.system.set_user_state(user.id, store::UserState::removed));
    for (const auto& address : TRY(context.system.load_addresses(user.id)))
        TRY(context.system.remove_address(address));
    for (const auto& credential : TRY(context.system.load_credentials(user.id)))
        if (!credential.revoked) TRY(context.system.revoke_credential(credential.id, context.clock()));
    context.users_changed = true;
    context.accounts_changed.insert(user.id);
    return json::object{};
}

// Absent: as it is. "default": the configuration's. 0: no limit.
Result<std::optional<std::uint64_t>> new_limit(const json::object& request, std::string_view name,
                                               std::optional<std::uint64_t> before, bool octets) {
    std::string text = text_of(request, name);
    if (text.empty()) return before;
    if (text == "default") return std::optional<std::uint64_t>();
    if (octets) return TRY(config::parse_octets(text));
    if (text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
        return fail(ErrorKind::usage, "'" + text + "' is not a number of messages");
    return std::stoull(text);
}

Result<json::object> user_quota(AdminContext& context, const json::object& request) {
    TRY(core_only(context, "limits"));
    auto user = TRY(need_user(context, request));
    auto octets = TRY(new_limit(request, "size", user.limit_octets, true));
    auto messages = TRY(new_limit(request, "messages", user.limit_messages, false));
    if (octets != user.limit_octets || messages != user.limit_messages) {
        TRY(context.system.set_user_limits(user.id, octets, messages));
        user.limit_octets = octets;
        user.limit_messages = messages;
        context.users_changed = true;
    }
    auto store = TRY(
        store::AccountStore::open(context.data_dir(), user.id, context.clock(), store::Access::read_only));
    auto usage = TRY(store->usage());
    auto quota = quota_of(context.config, user);
    return json::object{{"octets", usage.octets},
                        {"messages", usage.messages},
                        {"limit_octets", quota.octets},
                        {"limit_messages", quota.messages}};
}

}  // namespace

std::string text_of(const json::object& request, std::string_view name) {
    const auto* value = request.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<json::object> admin_user(AdminContext& context, std::string_view command,
                                const json::object& request) {
    if (command == "add") return user_add(context, request);
    if (command == "list") return user_list(context);
    if (command == "passwd") return user_passwd(context, request);
    if (command == "remove") return user_remove(context, request);
    if (command == "quota") return user_quota(context, request);
    return fail(ErrorKind::usage, "no such command");
}

bool is_set(const json::object& request, const char* name) {
    const auto* value = request.if_contains(name);
    return value && value->is_bool() && value->get_bool();
}

Result<json::object> key_rotate(AdminContext& context, const store::User& user, bool reseals) {
    auto addresses = TRY(context.system.load_addresses(user.id));
    if (addresses.empty()) return fail(ErrorKind::refused, "this user has no address to name a key by");
    UnixMillis now = context.clock();
    auto keys = TRY(context.system.load_keys(user.id));
    auto key = TRY(make_user_key(context, user, addresses.front(), now));
    // The newest is the one in use, whatever the clock says. Inside it stands the clock's time: other
    // programs take no key of the future.
    if (!keys.empty()) key.created.value = std::max(now.value, keys.front().created.value + 1);
    // What an earlier rotation has not come to yet is done by this one.
    key.reseals = reseals || std::ranges::any_of(keys, &store::UserKey::reseals);
    TRY(context.system.rotate_key(key));
    context.users_changed = true;
    context.accounts_changed.insert(user.id);
    return json::object{{"fingerprint", grouped(key)}, {"reseals", key.reseals}};
}

Result<json::object> key_list(AdminContext& context, const store::User& user) {
    json::array keys;
    for (const auto& key : TRY(context.system.load_keys(user.id))) {
        json::object row{
            {"fingerprint", grouped(key)}, {"created", key.created.value / 1000}, {"reseals", key.reseals}};
        if (key.retired) row["retired"] = key.retired->value / 1000;
        keys.push_back(std::move(row));
    }
    return json::object{{"keys", keys}};
}

Result<std::string> export_key(AdminContext& context, const store::User& user, const store::UserKey& key,
                               bool secret, const std::optional<Secret>& passphrase) {
    if (!secret) return crypto::armor(crypto::ArmorType::public_key, key.certificate);
    if (key.secret.empty()) return fail(ErrorKind::refused, "the secret half of this user's key is not here");
    auto octets = TRY(crypto::box_open(context.master_key, key.secret,
                                       "user-key:" + user.id.hex() + ":" + key.fingerprint));
    auto whole = TRY(crypto::parse_secret_key(octets.view(), std::nullopt));
    auto out = TRY(crypto::write_secret_key(whole, passphrase));
    return crypto::armor(crypto::ArmorType::private_key, out.view());
}

Result<json::object> key_export(AdminContext& context, const store::User& user, const json::object& request) {
    std::optional<Secret> passphrase;
    if (std::string text = text_of(request, "passphrase"); !text.empty())
        passphrase = Secret(std::move(text));
    auto keys = TRY(context.system.load_keys(user.id));
    if (!is_set(request, "all")) {
        std::erase_if(keys, [](const auto& key) { return key.retired.has_value(); });
        keys.resize(std::min<std::size_t>(keys.size(), 1));
    }
    if (keys.empty()) return fail(ErrorKind::refused, "this user has no key");
    std::string text;
    for (const auto& key : keys)
        text += TRY(export_key(context, user, key, is_set(request, "secret"), passphrase));
    json::object answer{{"key", text}};
    wipe(text);
    return answer;
}

Result<json::object> admin_key(AdminContext& context, std::string_view command, const json::object& request) {
    TRY(core_only(context, "keys"));
    if (command == "rotate")
        return key_rotate(context, TRY(need_user(context, request)), is_set(request, "reseal"));
    // Old mail is still to be opened.
    auto user = TRY(need_user(context, request, Removed::too));
    if (command == "list") return key_list(context, user);
    if (command == "export") return key_export(context, user, request);
    return fail(ErrorKind::usage, "no such command");
}

bool only_reads(const json::object& request) {
    std::string command = text_of(request, "command");
    return command == "status" || command == "sync" || command == "check" || command == "user.list" ||
           command == "expunged.list" || command.starts_with("state.") || command == "link.list" ||
           command == "key.export" || command == "key.list";
}

void wipe_secrets(json::object& message) {
    for (const char* name : {"password", "passphrase", "key"})
        if (auto* value = message.if_contains(name); value && value->is_string())
            explicit_bzero(value->get_string().data(), value->get_string().size());
}

Result<json::object> execute_admin(AdminContext& context, const json::object& request) {
    std::string command = text_of(request, "command");
    auto dot = command.find('.');
    std::string_view area = std::string_view(command).substr(0, dot);
    std::string_view verb =
        dot == std::string::npos ? std::string_view() : std::string_view(command).substr(dot + 1);
    if (area == "user") return admin_user(context, verb, request);
    if (area == "key") return admin_key(context, verb, request);
    if (area == "link") return admin_link(context, verb, request);
    if (area == "alias") return admin_alias(context, verb, request);
    if (area == "queue") return admin_queue(context, verb, request);
    if (area == "expunged") return admin_expunged(context, verb, request);
    if (area == "state") return admin_state(context, verb, request);
    if (area == "status") return admin_status(context);
    if (area == "sync") return admin_sync(context, request);
    if (area == "check") return admin_check(context);
    return fail(ErrorKind::usage, "no such command: " + command);
}

}  // namespace fwmail::service
