// fwmail link, fwmail status: the parts of admin.hpp that are about other nodes.
#include <algorithm>

#include "base/random.hpp"
#include "base/utf8.hpp"
#include "service/admin.hpp"
#include "service/digests.hpp"
#include "service/flag_entries.hpp"
#include "service/link_table.hpp"
#include "service/link_token.hpp"
#include "service/outbox_kinds.hpp"
#include "service/poller.hpp"
#include "service/quota.hpp"
#include "store/epochs.hpp"
#include "store/outside_expunges.hpp"
#include "store/provisional.hpp"
#include "store/resealed.hpp"

namespace fwmail::service {
namespace json = boost::json;
namespace {

// Above those of earlier links with the same node, whose mail may be under way still.
sync::Epoch new_epoch(UnixMillis now) {
    sync::Epoch epoch;
    epoch.counter = static_cast<std::uint64_t>(std::max<std::int64_t>(now.value, 1));
    fill_random({reinterpret_cast<std::uint8_t*>(&epoch.random), sizeof epoch.random});
    return epoch;
}

// Where the peer can reach our SMTP when no smart host stands between: host-name, or the address listened on.
std::string own_next_hop(const AdminContext& context) {
    auto listen = context.config.host_ports("smtp.listen");
    if (listen.empty() || listen.front().port == 0) return {};
    if (listen.front().host == "*" || listen.front().host == "::" || listen.front().host == "0.0.0.0")
        listen.front().host = context.config.text("host-name");
    return listen.front().text();
}

bool is_link_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    });
}

Result<LinkToken> own_token(const AdminContext& context) {
    // The token fixes the address for good, so a name that means nothing elsewhere would break the link
    // quietly.
    if (!context.config.is_set("host-name"))
        return fail(
            ErrorKind::usage,
            "set host-name in the configuration first: the other node sends its mail to an address under it");
    LinkToken token;
    token.role = std::string(role_name(context.identity.role));
    token.node = context.identity.id;
    token.key = TRY(crypto::write_compact_key(context.identity.key.public_key));
    token.address = "fwmail-" + hex_encode(random_octets(5)) + "@" + context.config.text("host-name");
    token.next_hop = own_next_hop(context);
    token.epoch = new_epoch(context.clock());
    return token;
}

json::object answer_with(const AdminContext& context, const LinkToken& token,
                         const std::string& peer_fingerprint) {
    json::object answer{{"token", write_link_token(token)},
                        {"fingerprint", context.identity.key.public_key.fingerprint.grouped()}};
    if (!peer_fingerprint.empty()) answer["peer_fingerprint"] = peer_fingerprint;
    return answer;
}

Result<store::Link> link_from(const AdminContext& context, const LinkToken& token, std::string name,
                              std::string own_address, const sync::Epoch& own_epoch) {
    if (token.node == context.identity.id)
        return fail(ErrorKind::usage, "this token was made by this very node");
    if (token.role == role_name(context.identity.role))
        return fail(ErrorKind::usage,
                    "this token is of another " + token.role + ": a core is linked with a remote");
    store::Link link;
    link.peer = token.node;
    link.name = std::move(name);
    link.role = token.role;
    link.state = store::LinkState::active;
    link.own_address = std::move(own_address);
    link.peer_address = token.address;
    link.next_hop = token.next_hop;
    link.peer_certificate = token.key;
    link.own_epoch = epoch_octets(own_epoch);
    link.peer_epoch = epoch_octets(token.epoch);
    link.created = context.clock();
    return link;
}

Result<json::object> link_invite(AdminContext& context, const std::string& name) {
    if (TRY(context.system.find_link(name)))
        return fail(ErrorKind::refused, "there is a link " + name + " already");
    auto token = TRY(own_token(context));
    token.nonce = make_node_id(context.clock());
    std::string text = write_link_token(token);
    TRY(context.system.set_setting("invitation:" + ascii_lower(name), text));
    return answer_with(context, token, "");
}

// What the accounts know of a peer from an earlier link with it.
Result<> forget_peer(AdminContext& context, NodeId peer) {
    for (const auto& user : TRY(context.system.load_users())) {
        auto store = TRY(store::AccountStore::open(context.data_dir(), user.id, context.clock()));
        TRY(store->forget_peer(peer));
        TRY(store->set_value("account-entry:" + peer.hex(), ""));
        TRY(store->set_value(mailboxes_cursor(peer), "0"));
        TRY(store->set_value("withheld-count", "0"));
    }
    return {};
}

Result<json::object> link_accept(AdminContext& context, const std::string& name, const LinkToken& token) {
    auto peer = TRY(crypto::parse_compact_key(token.key, token.address));
    if (TRY(context.system.find_link(name)))
        return fail(ErrorKind::refused, "there is a link " + name + " already");
    if (auto other = TRY(context.system.find_link(token.node));
        other && other->state != store::LinkState::revoked)
        return fail(ErrorKind::refused, "that node is linked already, as " + other->name);
    TRY(forget_peer(context, token.node));
    context.links_changed = true;
    if (!token.answer) {
        auto own = TRY(own_token(context));
        own.answer = true;
        own.nonce = token.nonce;
        TRY(context.system.save_link(TRY(link_from(context, token, name, own.address, own.epoch))));
        return answer_with(context, own, peer.fingerprint.grouped());
    }
    std::string setting = "invitation:" + ascii_lower(name);
    auto text = TRY(context.system.setting(setting));
    if (!text)
        return fail(ErrorKind::refused,
                    "no invitation of the name " + name + " is open: fwmail link invite makes one");
    auto invitation = TRY(parse_link_token(*text));
    if (invitation.nonce != token.nonce)
        return fail(ErrorKind::refused, "this token answers another invitation");
    TRY(context.system.save_link(TRY(link_from(context, token, name, invitation.address, invitation.epoch))));
    TRY(context.system.remove_setting(setting));
    for (const auto& user : TRY(context.system.load_users())) context.accounts_changed.insert(user.id);
    return json::object{{"fingerprint", context.identity.key.public_key.fingerprint.grouped()},
                        {"peer_fingerprint", peer.fingerprint.grouped()}};
}

json::value time_of(const std::optional<UnixMillis>& when) {
    return when ? json::value(when->value / 1000) : json::value(nullptr);
}

// Null: the link goes by SMTP.
json::value line_of(const AdminContext& context, const store::Link& link) {
    if (!is_dialled(context.config, link.name)) return nullptr;
    LineState state;
    if (auto found = context.lines.find(link.peer); found != context.lines.end()) state = found->second;
    return json::object{
        {"open", state.open_since.has_value()}, {"since", time_of(state.open_since)}, {"error", state.error}};
}

Result<json::object> describe(AdminContext& context, const store::Link& link) {
    json::object out{{"name", link.name},
                     {"role", link.role},
                     {"address", link.peer_address},
                     {"own_address", link.own_address},
                     {"mails_sent", link.mails_sent},
                     {"mails_received", link.mails_received},
                     {"mails_refused", link.mails_refused},
                     {"last_sent", time_of(link.last_sent)},
                     {"last_received", time_of(link.last_received)},
                     {"last_error", link.last_error},
                     {"line", line_of(context, link)}};
    if (auto key = crypto::parse_compact_key(link.peer_certificate, link.peer_address))
        out["fingerprint"] = key->fingerprint.grouped();
    auto queue = TRY(context.system.queue_summary(link.peer));
    out["queued_mails"] = queue.count;
    out["queued_octets"] = queue.octets;
    return out;
}

Result<json::object> link_list(AdminContext& context) {
    json::array links;
    for (const auto& link : TRY(context.system.load_links())) links.push_back(TRY(describe(context, link)));
    return json::object{{"links", links}};
}

Result<json::object> link_remove(AdminContext& context, const std::string& name) {
    auto link = TRY(context.system.find_link(name));
    if (!link) {
        if (TRY(context.system.setting("invitation:" + ascii_lower(name)))) {
            TRY(context.system.remove_setting("invitation:" + ascii_lower(name)));
            return json::object{};
        }
        return fail(ErrorKind::refused, "there is no link " + name + ": fwmail link list shows them");
    }
    // What the accounts know of the peer stays until a link with it begins anew: were it forgotten here and
    // the removal undone by a crash, their numbers would begin again from 1 in a link that goes on.
    TRY(context.system.remove_link(link->peer));
    context.links_changed = true;
    return json::object{};
}

struct AccountNumbers {
    store::Usage usage;
    std::uint64_t withheld = 0, stubs = 0, not_indexed = 0, held = 0, to_reseal = 0;
    std::string withheld_reason;
    std::map<NodeId, store::OutboxSummary> outbox;
    std::map<NodeId, bool> comparing;  // after a loss; nothing is planned meanwhile
    std::map<NodeId, Outcome> compared;
    std::map<NodeId, std::uint64_t> conflicts;
    store::Waiting waiting;
};

// Messages that the search index has not come to.
std::uint64_t not_indexed(AdminContext& context, AccountId account, store::AccountStore& store) {
    if (context.identity.role != NodeRole::core) return 0;
    std::int64_t last = 0;
    if (auto index = store::SearchStore::open(context.data_dir(), account, store::Access::read_only))
        if (auto mark = (*index)->mark()) last = mark->last;
    return store.count_after(last).value_or(0);
}

// Messages that are not shown sealed to the user's new key yet, where they are to be.
Result<std::uint64_t> count_to_reseal(AdminContext& context, AccountId account, store::AccountStore& store) {
    if (context.identity.role != NodeRole::core) return store::count_resealed(store);
    for (const auto& key : TRY(context.system.load_keys(account))) {
        if (!key.reseals) continue;
        std::uint64_t count = 0;
        auto end = recipe_end(TRY(crypto::parse_certificate(key.certificate)));
        for (const auto& mailbox : TRY(store.load_mailboxes()))
            count += TRY(store::sealed_otherwise(store, mailbox.id, end, Uid{}, SIZE_MAX >> 1)).count();
        return count;
    }
    return 0;
}

Result<AccountNumbers> numbers_of(AdminContext& context, AccountId account,
                                  const std::vector<store::Link>& links) {
    AccountNumbers numbers;
    auto store = TRY(
        store::AccountStore::open(context.data_dir(), account, context.clock(), store::Access::read_only));
    numbers.usage = TRY(store->usage());
    numbers.withheld = TRY(store->counter("withheld-count"));
    numbers.stubs = TRY(store->counter("stub-count"));
    numbers.waiting = TRY(store::summarize_waiting(*store));
    numbers.withheld_reason = TRY(store->value("withheld-reason")).value_or("");
    numbers.held = TRY(store::summarize_hidden(*store)).held;
    numbers.not_indexed = not_indexed(context, account, *store);
    numbers.to_reseal = TRY(count_to_reseal(context, account, *store));
    for (const auto& link : links) {
        numbers.outbox[link.peer] = TRY(store->outbox_summary(link.peer, outbox_message));
        numbers.comparing[link.peer] = TRY(store::awaited_state(*store, link.peer)) > 0;
        if (auto outcome = TRY(last_outcome(*store, link.peer))) numbers.compared[link.peer] = *outcome;
        numbers.conflicts[link.peer] = TRY(store->counter(conflicts_counter(link.peer)));
    }
    return numbers;
}

}  // namespace

Result<json::object> admin_link(AdminContext& context, std::string_view command,
                                const json::object& request) {
    if (command == "list") return link_list(context);
    std::string name = text_of(request, "name");
    if (!is_link_name(name))
        return fail(ErrorKind::usage, "a link's name has 1 to 32 letters, digits, '-' or '_'");
    if (command == "invite") return link_invite(context, name);
    if (command == "accept")
        return link_accept(context, name, TRY(parse_link_token(text_of(request, "token"))));
    if (command == "remove") return link_remove(context, name);
    return fail(ErrorKind::usage, "no such command");
}

// A round for one user, or all; the answer is what the links have to do.
Result<json::object> admin_sync(AdminContext& context, const json::object& request) {
    if (context.listening.empty())
        return fail(ErrorKind::refused, "the server does not run: it synchronises when it does");
    auto links = TRY(context.system.load_links());
    if (links.empty())
        return fail(ErrorKind::refused, "there is no link to synchronise with: fwmail link invite makes one");
    context.compare = request.contains("compare") && request.at("compare").as_bool();
    if (context.compare &&
        std::ranges::none_of(links, [](const auto& link) { return link.role == "remote"; }))
        return fail(ErrorKind::refused, "core compares what it has with its remotes: run it there");
    std::string name = text_of(request, "name");
    for (const auto& user : TRY(context.system.load_users()))
        if (name.empty() || equal_ignoring_case(user.name, name)) context.accounts_hurried.insert(user.id);
    if (context.accounts_hurried.empty() && !name.empty())
        return fail(ErrorKind::refused, "there is no user " + name + " here: fwmail user list shows them");
    return admin_status(context);
}

Result<json::object> admin_status(AdminContext& context) {
    json::object status{{"role", role_name(context.identity.role)},
                        {"running", !context.listening.empty()},
                        {"host_name", context.config.text("host-name")},
                        {"fingerprint", context.identity.key.public_key.fingerprint.grouped()}};
    json::array listening, users, links_out, refusals;
    for (const auto& line : context.listening) listening.emplace_back(line);
    status["listening"] = listening;
    auto links = TRY(context.system.load_links());
    std::map<NodeId, store::OutboxSummary> totals;
    std::map<NodeId, std::uint64_t> comparing, compared, differing, conflicts;
    store::Waiting waiting;
    std::map<NodeId, UnixMillis> oldest;
    for (const auto& user : TRY(context.system.load_users())) {
        if (!std::filesystem::exists(store::AccountStore::path_of(context.data_dir(), user.id))) continue;
        auto numbers = TRY(numbers_of(context, user.id, links));
        for (auto& [peer, summary] : numbers.outbox) {
            totals[peer].unacknowledged += summary.unacknowledged;
            totals[peer].messages += summary.messages;
            comparing[peer] += numbers.comparing[peer];
            conflicts[peer] += numbers.conflicts[peer];
        }
        waiting.bodies += numbers.waiting.bodies;
        waiting.unconfirmed += numbers.waiting.unconfirmed;
        if (user.state != store::UserState::active) continue;
        std::uint64_t comparisons = 0;
        for (const auto& [peer, outcome] : numbers.compared) {
            ++compared[peer];
            differing[peer] += outcome.found.differing > 0;
            auto& first = oldest.try_emplace(peer, outcome.when).first->second;
            first = std::min(first, outcome.when);
            comparisons += outcome.count;
        }
        auto quota = quota_of(context.config, user);
        users.push_back(json::object{{"name", user.name},
                                     {"messages", numbers.usage.messages},
                                     {"octets", numbers.usage.octets},
                                     {"limit_messages", quota.messages},
                                     {"limit_octets", quota.octets},
                                     {"full", !quota.has_room(numbers.usage, {0, 1})},
                                     {"withheld", numbers.withheld},
                                     {"stubs", numbers.stubs},
                                     {"not_indexed", numbers.not_indexed},
                                     {"to_reseal", numbers.to_reseal},
                                     {"expunges_held", numbers.held},
                                     {"comparisons", comparisons},
                                     {"withheld_reason", numbers.withheld_reason}});
    }
    for (const auto& link : links) {
        auto row = TRY(describe(context, link));
        row["unacknowledged"] = totals[link.peer].unacknowledged;
        row["messages_to_go"] = totals[link.peer].messages;
        row["accounts_comparing"] = comparing[link.peer];
        row["conflicts"] = conflicts[link.peer];
        // What a remote waits for, core alone brings.
        row["waiting_for_bodies"] = link.role == "core" ? waiting.bodies : 0;
        row["unconfirmed"] = link.role == "core" ? waiting.unconfirmed : 0;
        row["accounts_compared"] = compared[link.peer];
        row["accounts_differing"] = differing[link.peer];
        row["compared"] = nullptr;  // the account for which it is the longest ago
        if (auto first = oldest.find(link.peer); first != oldest.end())
            row["compared"] = first->second.value / 1000;
        links_out.push_back(row);
    }
    for (const auto& refusal : TRY(context.system.load_refusals(10)))
        refusals.push_back(json::object{
            {"when", refusal.when.value / 1000}, {"what", refusal.what}, {"reason", refusal.reason}});
    auto queue = TRY(context.system.queue_summary(NodeId{}));
    status["users"] = users;
    status["links"] = links_out;
    status["queue"] = json::object{{"mails", queue.count}, {"octets", queue.octets}};
    status["refusals"] = refusals;
    return status;
}

}  // namespace fwmail::service
