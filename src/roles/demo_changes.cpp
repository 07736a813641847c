// What happens to the mail afterwards, and who is turned away.
#include <boost/json.hpp>
#include <cstdio>
#include <iterator>

#include "base/random.hpp"
#include "crypto/openpgp_message.hpp"
#include "roles/demo_journey.hpp"
#include "service/link_token.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::roles {
namespace {

using std::chrono::steady_clock;
namespace json = boost::json;

Result<json::object> ask_status(const DemoNode& node) {
    auto done = TRY(run_fwmail({"status", "--json", "--config", node.config.string()}));
    boost::system::error_code error;
    auto value = json::parse(done.out, error);
    if (error || !value.is_object()) return fail(ErrorKind::protocol, "status --json gives no object");
    return std::move(value.as_object());
}

Result<json::object> only_link(const DemoNode& node) {
    auto status = TRY(ask_status(node));
    const auto* links = status.if_contains("links");
    if (!links || !links->is_array() || links->get_array().size() != 1 || !links->get_array()[0].is_object())
        return fail(ErrorKind::refused, "the status of " + node.role + " does not show the one link");
    return links->get_array()[0].get_object();
}

std::string text(const json::object& row, std::string_view name) {
    const auto* value = row.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// All that a stranger can know: both addresses, and the remote's public key from a token seen in passing.
// Sealed to the right key, but signed with one of his own.
Result<std::string> forged_node_mail(const std::string& from, const std::string& to, std::string_view token) {
    auto invitation = TRY(service::parse_link_token(token));
    auto target = TRY(crypto::parse_compact_key(invitation.key, invitation.address));
    UnixMillis now = system_clock()();
    auto forger = TRY(crypto::generate_key(from, now));
    crypto::SealOptions options;
    options.seed = Secret(random_octets(crypto::seed_size));
    options.date = now;
    options.signer = &forger;
    sync::NodeMail mail;
    mail.from = from;
    mail.to = to;
    mail.date = now;
    mail.message_id = "<forged@elsewhere.test>";
    mail.content = TRY(crypto::seal("nothing of yours", {&target, 1}, std::move(options)));
    return sync::build_node_mail(mail);
}

}  // namespace

Result<std::uint64_t> link_number(const DemoNode& node, const std::string& name) {
    auto link = TRY(only_link(node));
    const auto* value = link.if_contains(name);
    if (!value || !value->is_number()) return fail(ErrorKind::refused, "status does not tell " + name);
    return value->to_number<std::uint64_t>();
}

// --- 9

Result<> Journey::same_state(const std::string& what) {
    auto began = steady_clock::now();
    TRY(wait_until(what, [&]() -> Result<std::string> {
        auto inside = TRY(look_at(core_)), outside = TRY(look_at(remote_));
        std::string missing;
        for (const auto& [uid, message] : inside)
            if (!outside.contains(uid))
                missing += " UID " + std::to_string(uid) + " is not there yet;";
            else if (outside[uid].flags != message.flags)
                missing += " UID " + std::to_string(uid) + " has the flags (" + outside[uid].flags + ");";
        for (const auto& [uid, message] : outside)
            if (!inside.contains(uid)) missing += " UID " + std::to_string(uid) + " is still there;";
        return missing.empty() ? missing : "the remote:" + missing;
    }));
    char line[80];
    std::snprintf(line, sizeof line, "the remote shows the same after %.1f s",
                  std::chrono::duration<double>(steady_clock::now() - began).count());
    say(line);
    return {};
}

Result<> Journey::change_at_core() {
    auto flagged = letters_.begin()->first, gone = std::prev(letters_.end(), 2)->first;
    auto client = TRY(ImapClient::log_in(core_.imap_port, "ann", core_.password));
    TRY(client.command("SELECT INBOX"));
    for (const std::string& command : {"UID STORE " + std::to_string(flagged) + " +FLAGS (\\Flagged)",
                                       "UID STORE " + std::to_string(gone) + " +FLAGS (\\Deleted)",
                                       "UID EXPUNGE " + std::to_string(gone)}) {
        say("C: " + command);
        for (const auto& response : TRY(client.command(command))) detail(response.text);
    }
    auto inside = TRY(look_at(core_));
    TRY(verify(inside[flagged].flags == "\\Flagged" && inside.size() == 4 && !inside.contains(gone) &&
                   inside.erase(flagged) == 1,
               "core has done both"));
    letters_.erase(gone);
    TRY(same_state("the remote to follow"));
    for (const auto& [uid, message] : TRY(look_at(remote_)))
        detail("UID " + std::to_string(uid) + " (" + message.flags + ")");
    return {};
}

// --- 10

Result<> Journey::watch_idle() {
    auto client = TRY(ImapClient::log_in(remote_.imap_port, "ann", remote_.password));
    TRY(client.command("SELECT INBOX"));
    say("C: IDLE   at the remote");
    TRY(client.begin_idle());
    auto letter = late_letter();
    TRY(deliver(letter));
    auto began = steady_clock::now();
    const std::string wanted = "* " + std::to_string(letters_.size() + 1) + " EXISTS";
    while (true) {
        auto response = client.next(Milliseconds(20'000));
        if (!response)
            return fail(response.error().kind, "IDLE was not told " + wanted + ": " + response.error().text);
        char line[16];
        std::snprintf(line, sizeof line, "%4.1f s  ",
                      std::chrono::duration<double>(steady_clock::now() - began).count());
        detail(line + ("S: " + response->text));
        if (response->text == wanted) break;
    }
    TRY(client.end_idle());
    return same_state("both to show the same");
}

// --- 11

Result<> Journey::refuse(const std::string& what, const std::string& to, const std::string& message) {
    auto client = TRY(SmtpClient::open(remote_.smtp_port));
    auto answer = TRY(client.send("bob@elsewhere.test", to, message));
    say(what + ", to <" + to + ">:");
    detail(answer.text);
    return verify(answer.text.starts_with("550 5.7.1"), "the remote answers 550 5.7.1");
}

Result<> Journey::forge() {
    auto before = TRY(look_at(remote_));
    auto link = TRY(only_link(remote_));
    std::string to = text(link, "own_address"), from = text(link, "address");
    TRY(verify(!to.empty() && !from.empty(), "status names the link's addresses"));
    TRY(refuse("a letter that does not come from core", "ann@example.test", late_letter().octets));
    TRY(refuse("a letter to the link's own address", to, late_letter().octets));
    auto forged = TRY(forged_node_mail(from, to, answer_));
    TRY(refuse("node mail sealed to the remote's key, signed by a stranger's", to, forged));
    auto after = TRY(look_at(remote_));
    TRY(verify(after.size() == before.size(), "the remote's mailbox is as before"));
    auto refused = TRY(link_number(remote_, "mails_refused"));
    return verify(refused == 2,
                  "status counts the two refused mails of the link, not " + std::to_string(refused));
}

// --- 12

Result<> Journey::show_status() {
    TRY(wait_until("the remote's acknowledgement", [&]() -> Result<std::string> {
        auto waiting = TRY(link_number(core_, "unacknowledged"));
        return waiting == 0 ? "" : std::to_string(waiting) + " entries are not acknowledged yet";
    }));
    say("the remote has acknowledged everything, by mail");
    for (const auto* node : {&core_, &remote_}) {
        auto done = TRY(run_fwmail({"status", "--config", node->config.string()}));
        say("$ fwmail status --config " + node->config.string());
        excerpt(done.out, 40);
        auto status = TRY(ask_status(*node));
        const auto* running = status.if_contains("running");
        TRY(verify(text(status, "role") == node->role && running && running->is_bool() && running->get_bool(),
                   "status says that " + node->role + " runs"));
    }
    // Each tells the other from time to time; one may be on its way.
    return wait_until("mail that went the other way too", [&]() -> Result<std::string> {
        auto sent = TRY(link_number(remote_, "mails_sent")), home = TRY(link_number(core_, "mails_received"));
        if (home > 0 && home == sent) return "";
        return "core has received " + std::to_string(home) + " of " + std::to_string(sent) + " mails";
    });
}

}  // namespace fwmail::roles
