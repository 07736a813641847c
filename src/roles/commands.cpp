// The commands that set a node up and look at it: init, user, key, link, status, version.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "base/hooks.hpp"
#include "roles/client.hpp"
#include "roles/version.hpp"
#include "service/admin.hpp"
#include "store/lock.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

using service::text_of;

int finish(std::string_view command, const Result<>& result) {
    return result ? exit_success : report(command, result.error());
}

void say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }
void print(const std::string& text) { std::printf("%s\n", text.c_str()); }

// --- init

Result<> write_config(const std::string& path, config::RoleBits role, const config::Values& values) {
    std::string text = config::write_commented_config(role, values);
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file) return fail(ErrorKind::usage, "cannot write " + path);
    ::chmod(path.c_str(), 0600);
    return {};
}

Result<> init(const Arguments& arguments) {
    if (arguments.empty() || (arguments[0] != "core" && arguments[0] != "remote"))
        return fail(
            ErrorKind::usage,
            "say what to set up: fwmail init core --config FILE, or fwmail init remote --config FILE");
    bool core = arguments[0] == "core";
    config::RoleBits role = core ? config::role_core : config::role_remote;
    std::string config_file;
    config::Values values;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        std::string word = arguments[i], value;
        auto equals = word.find('=');
        if (!word.starts_with("--")) return fail(ErrorKind::usage, "unexpected word " + word);
        if (equals != std::string::npos) {
            value = word.substr(equals + 1);
            word.resize(equals);
        } else if (++i < arguments.size()) {
            value = arguments[i];
        } else {
            return fail(ErrorKind::usage, word + " wants a value");
        }
        if (word == "--config")
            config_file = value;
        else
            values.emplace_back(word.substr(2), value);
    }
    if (config_file.empty()) return fail(ErrorKind::usage, "say where the configuration goes: --config FILE");
    bool any_given = !values.empty();
    auto given = [&](std::string_view key) {
        return std::ranges::any_of(values, [&](const auto& v) { return v.first == key; });
    };
    std::filesystem::path folder = std::filesystem::absolute(config_file).lexically_normal().parent_path();
    if (!given("data-dir"))
        values.emplace_back("data-dir", (folder / (core ? "core-data" : "remote-data")).string());
    if (!given("imap.listen")) values.emplace_back("imap.listen", core ? "127.0.0.1:1143" : "127.0.0.1:2143");
    if (!given("smtp.listen")) values.emplace_back("smtp.listen", core ? "127.0.0.1:1025" : "127.0.0.1:2025");
    bool existed = std::filesystem::exists(config_file);
    if (existed && any_given)
        return fail(ErrorKind::usage, config_file +
                                          " exists already, so nothing of the command line would go into it: "
                                          "edit it, or remove it first");
    if (!existed) {
        // Checked before it is written, so that a mistake leaves nothing behind; as words, so that unknown
        // keys show.
        Arguments checked;
        for (const auto& [key, value] : values) checked.insert(checked.end(), {"--" + key, value});
        TRY(config::Config::parse(role, "", config_file, checked));
        TRY(write_config(config_file, role, values));
    }
    auto config = TRY(config::Config::load(role, {"--config", config_file}));
    auto data_dir = config.path("data-dir");
    TRY(store::prepare_data_dir(data_dir));
    auto lock = TRY(store::Lock::take(data_dir));
    TRY(service::ensure_master_key(data_dir));
    auto master_key = TRY(service::load_master_key(data_dir));
    auto system = TRY(store::SystemStore::open(data_dir));
    TRY(service::ensure_identity(*system, master_key,
                                 core ? service::NodeRole::core : service::NodeRole::remote,
                                 config.text("host-name"), system_clock()()));
    auto identity = TRY(service::load_identity(*system, master_key));
    print((existed ? "used " : "wrote ") + config_file);
    print("keys and mail lie in " + data_dir.string());
    print("fingerprint " + identity.key.public_key.fingerprint.grouped());
    print("");
    print("keep " + (data_dir / "master.key").string() +
          " safe: without it no key in this data-dir can be read");
    if (core) {
        print("next: fwmail user add NAME --config " + config_file);
        print("      fwmail core --config " + config_file);
    } else {
        print("next: at core, fwmail link invite NAME --config FILE");
        print("      here, fwmail link accept NAME --config " + config_file);
        print("      fwmail remote --config " + config_file);
    }
    return {};
}

// --- user

std::string number(const json::object& row, std::string_view name) {
    return std::to_string(row.at(name).to_number<std::uint64_t>());
}

// "3 of 100 messages, 4096 octets": what an account holds, and may hold where that is limited.
std::string amounts(const json::object& row) {
    auto one = [&](const std::string& name) {
        std::string limit = number(row, "limit_" + name);
        return number(row, name) + (limit == "0" ? "" : " of " + limit) + " " + name;
    };
    return one("messages") + ", " + one("octets");
}

Result<> user(const Arguments& arguments) {
    auto words =
        TRY(parse_words(arguments, {"config", "address", "password-file", "label", "size", "messages"},
                        {"outside", "revoke", "json"}));
    if (words.positional.empty())
        return fail(ErrorKind::usage, "say what to do: add, list, passwd, quota or remove");
    const std::string& verb = words.positional[0];
    if (verb != "add" && verb != "list" && verb != "passwd" && verb != "quota" && verb != "remove")
        return fail(ErrorKind::usage,
                    "there is no fwmail user " + verb + ": add, list, passwd, quota or remove");
    json::object request{{"command", "user." + verb}};
    if (verb != "list") {
        if (words.positional.size() != 2)
            return fail(ErrorKind::usage, "say which user: fwmail user " + verb + " NAME");
        request["name"] = words.positional[1];
    }
    std::string config = words.option("config");
    if (verb == "add") {
        json::array addresses;
        for (const auto& address : words.options["address"]) addresses.emplace_back(address);
        request["addresses"] = addresses;
        request["password"] =
            std::string(TRY(read_secret(words.option("password-file"), "Password inside", true)).view());
        auto answer = TRY(ask_node(config, request));
        print("user " + words.positional[1] + " is added");
        print("key " + text_of(answer, "fingerprint"));
        say("next: fwmail user passwd " + words.positional[1] + " --outside --config " + config +
            " gives a password for the remote");
    } else if (verb == "list") {
        auto answer = TRY(ask_node(config, request));
        if (words.has("json")) {
            print(json::serialize(answer));
            return {};
        }
        for (const auto& row : answer["users"].as_array()) {
            const auto& object = row.as_object();
            std::string line = text_of(object, "name") + " ";
            for (const auto& address : object.at("addresses").as_array())
                line += " <" + std::string(address.as_string()) + ">";
            for (const auto& password : object.at("passwords").as_array())
                line += " " + text_of(password.as_object(), "kind") + ":" +
                        text_of(password.as_object(), "label");
            print(line + "  key " + text_of(object, "fingerprint"));
        }
    } else if (verb == "passwd") {
        request["outside"] = words.has("outside");
        request["label"] = words.option("label");
        request["revoke"] = words.has("revoke");
        if (words.has("revoke") && !words.has("outside"))
            return fail(ErrorKind::usage, "--revoke goes with --outside");
        if (!words.has("outside"))
            request["password"] = std::string(
                TRY(read_secret(words.option("password-file"), "New password inside", true)).view());
        auto answer = TRY(ask_node(config, request));
        if (auto password = text_of(answer, "password"); !password.empty()) {
            say("the password for this device; it is shown once:");
            print(password);
        }
    } else if (verb == "quota") {
        request["size"] = words.option("size");
        request["messages"] = words.option("messages");
        auto answer = TRY(ask_node(config, request));
        print(words.positional[1] + ": " + amounts(answer));
    } else {
        TRY(ask_node(config, request));
        say("the user can no longer log in and gets no more mail; the mail stays on disk");
    }
    return {};
}

// --- key

std::string ago(const json::value& when) {
    if (!when.is_number()) return "never";
    std::int64_t seconds =
        std::max<std::int64_t>(0, system_clock()().value / 1000 - when.to_number<std::int64_t>());
    if (seconds < 120) return std::to_string(seconds) + " s ago";
    if (seconds < 7200) return std::to_string(seconds / 60) + " min ago";
    return std::to_string(seconds / 3600) + " h ago";
}

Result<> key(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "passphrase-file"},
                                 {"secret", "passphrase", "all", "reseal", "json"}));
    std::string verb = words.positional.empty() ? "" : words.positional[0];
    if (words.positional.size() != 2 || (verb != "export" && verb != "rotate" && verb != "list"))
        return fail(ErrorKind::usage,
                    "fwmail key list NAME, key export NAME [--secret] [--all] or key rotate NAME [--reseal]");
    json::object request{{"command", "key." + verb},
                         {"name", words.positional[1]},
                         {"secret", words.has("secret")},
                         {"all", words.has("all")},
                         {"reseal", words.has("reseal")}};
    if (words.has("passphrase") || words.has("passphrase-file"))
        request["passphrase"] = std::string(
            TRY(read_secret(words.option("passphrase-file"), "Passphrase for the exported key", true))
                .view());
    auto answer = TRY(ask_node(words.option("config"), request));
    if (verb == "export") {
        std::printf("%s", text_of(answer, "key").c_str());
    } else if (words.has("json")) {
        print(json::serialize(answer));
    } else if (verb == "list") {
        for (const auto& value : answer["keys"].as_array()) {
            const auto& row = value.as_object();
            std::string line = text_of(row, "fingerprint") + "  made " + ago(row.at("created"));
            if (row.contains("retired")) line += ", retired " + ago(row.at("retired"));
            if (row.at("reseals").as_bool()) line += ", earlier mail is being sealed to it";
            print(line);
        }
    } else {
        print("key " + text_of(answer, "fingerprint"));
        say("new mail is sealed to this key: give it to the user's programs with\n  fwmail key export " +
            words.positional[1] + " --secret --config " + words.option("config") + "\n" +
            (answer.at("reseals").as_bool()
                 ? "earlier mail is being sealed to it, too; fwmail status shows how far"
                 : "earlier mail stays sealed to the earlier keys, which are kept"));
    }
    return {};
}

// --- link

void print_link(const json::object& row) {
    print(text_of(row, "name") + "  " + text_of(row, "role") + "  " + text_of(row, "address") + "  " +
          text_of(row, "fingerprint"));
}

Result<> link(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "token"}, {"json"}));
    if (words.positional.empty())
        return fail(ErrorKind::usage, "say what to do: invite, accept, list or remove");
    const std::string& verb = words.positional[0];
    if (verb != "invite" && verb != "accept" && verb != "list" && verb != "remove")
        return fail(ErrorKind::usage, "there is no fwmail link " + verb + ": invite, accept, list or remove");
    json::object request{{"command", "link." + verb}};
    if (verb != "list") {
        if (words.positional.size() != 2)
            return fail(ErrorKind::usage, "say which link: fwmail link " + verb + " NAME");
        request["name"] = words.positional[1];
    }
    if (verb == "accept") {
        // A token holds no secret; it may be an argument.
        std::string token = words.option("token");
        if (token.empty()) {
            if (::isatty(0)) std::fprintf(stderr, "Token: ");
            std::cin >> token;
        }
        request["token"] = token;
    }
    auto answer = TRY(ask_node(words.option("config"), request));
    if (verb == "list") {
        if (words.has("json"))
            print(json::serialize(answer));
        else
            for (const auto& row : answer["links"].as_array()) print_link(row.as_object());
        return {};
    }
    if (auto fingerprint = text_of(answer, "fingerprint"); !fingerprint.empty())
        say("this node's fingerprint:  " + fingerprint);
    if (auto fingerprint = text_of(answer, "peer_fingerprint"); !fingerprint.empty())
        say("the other's fingerprint:  " + fingerprint + "  (compare it with what the other node shows)");
    if (auto token = text_of(answer, "token"); !token.empty()) {
        say(verb == "invite"
                ? "give this token to fwmail link accept at the other node:"
                : "give this answer to fwmail link accept at the node that sent the invitation:");
        print(token);
    } else if (verb == "accept") {
        say("the link is up");
    }
    return {};
}

// --- status

std::string line_text(const json::object& line) {
    if (line.at("open").as_bool()) return "open, since " + ago(line.at("since"));
    auto error = text_of(line, "error");
    return "NOT open" + (error.empty() ? "" : ": " + error);
}

void print_status(const json::object& status) {
    print(text_of(status, "role") + " " + text_of(status, "host_name") +
          (status.at("running").as_bool() ? " is running" : " is NOT running"));
    for (const auto& line : status.at("listening").as_array())
        print("  listens on " + std::string(line.as_string()));
    for (const auto& value : status.at("links").as_array()) {
        const auto& row = value.as_object();
        print("link " + text_of(row, "name") + " (" + text_of(row, "role") + ")");
        print("  sent " + number(row, "mails_sent") + " mails, the last " + ago(row.at("last_sent")) +
              "; received " + number(row, "mails_received") + ", the last " + ago(row.at("last_received")) +
              "; refused " + number(row, "mails_refused"));
        print("  to go: " + number(row, "messages_to_go") + " messages, " + number(row, "unacknowledged") +
              " entries not acknowledged, " + number(row, "queued_mails") + " mails in the queue");
        if (number(row, "waiting_for_bodies") != "0" || number(row, "unconfirmed") != "0")
            print("  waiting: " + number(row, "waiting_for_bodies") +
                  " messages for what is still to come, " + number(row, "unconfirmed") +
                  " filed here to be confirmed");
        if (number(row, "conflicts") != "0")
            print("  flags of " + number(row, "conflicts") +
                  " messages were changed on both sides at once, and merged");
        if (row.at("accounts_compared").to_number<std::uint64_t>())
            print("  compared: " + number(row, "accounts_compared") + " accounts, the longest ago " +
                  ago(row.at("compared")) + "; not alike were " + number(row, "accounts_differing"));
        if (const auto& line = row.at("line"); line.is_object())
            print("  the dialled line is " + line_text(line.as_object()));
        if (row.at("accounts_comparing").to_number<std::uint64_t>())
            print("  " + number(row, "accounts_comparing") +
                  " accounts are compared, as one side has lost what it knew: until that is done nothing new "
                  "goes");
        if (auto error = text_of(row, "last_error"); !error.empty()) print("  last error: " + error);
    }
    for (const auto& value : status.at("users").as_array()) {
        const auto& row = value.as_object();
        print("user " + text_of(row, "name") + ": " + amounts(row) +
              (row.at("full").as_bool() ? ", FULL: no more mail is taken" : "") +
              (row.at("withheld").to_number<std::uint64_t>()
                   ? ", " + number(row, "withheld") +
                         " withheld from the remote: " + text_of(row, "withheld_reason")
                   : "") +
              (row.at("stubs").to_number<std::uint64_t>()
                   ? ", " + number(row, "stubs") + " stubs were shown for bodies that did not come"
                   : "") +
              (row.at("to_reseal").to_number<std::uint64_t>()
                   ? ", " + number(row, "to_reseal") + " are still to be shown sealed to the new key"
                   : "") +
              (row.at("expunges_held").to_number<std::uint64_t>()
                   ? ", " + number(row, "expunges_held") +
                         " deleted at the remote wait for a decision: fwmail expunged list"
                   : "") +
              (row.at("not_indexed").to_number<std::uint64_t>()
                   ? ", " + number(row, "not_indexed") + " not in the search index yet"
                   : ""));
    }
    print("queue: " + number(status.at("queue").as_object(), "mails") + " mails");
    for (const auto& value : status.at("refusals").as_array()) {
        const auto& row = value.as_object();
        print("refused " + ago(row.at("when")) + ": " + text_of(row, "what") + ": " + text_of(row, "reason"));
    }
}

Result<> status(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config"}, {"json"}));
    auto answer = TRY(ask_node(words.option("config"), {{"command", "status"}}));
    if (words.has("json"))
        print(json::serialize(answer));
    else
        print_status(answer);
    return {};
}

// --- sync

struct Pending {
    std::uint64_t entries = 0, mails = 0, comparing = 0;
    std::uint64_t to_compare = 0;  // accounts of which no outcome has come since it was asked for
    bool operator==(const Pending&) const = default;
};

// How often each user's account has been compared.
using Comparisons = std::map<std::string, std::uint64_t>;
Comparisons comparisons_of(const json::object& status) {
    Comparisons counts;
    for (const auto& value : status.at("users").as_array())
        counts[text_of(value.as_object(), "name")] =
            value.as_object().at("comparisons").to_number<std::uint64_t>();
    return counts;
}

// `before`: of those accounts that are to be compared.
Pending pending_of(const json::object& status, const Comparisons& before) {
    Pending all;
    auto now = comparisons_of(status);
    for (const auto& [name, count] : before) all.to_compare += now.contains(name) && now[name] == count;
    for (const auto& value : status.at("links").as_array()) {
        all.entries += value.as_object().at("unacknowledged").to_number<std::uint64_t>();
        all.mails += value.as_object().at("queued_mails").to_number<std::uint64_t>();
        all.comparing += value.as_object().at("accounts_comparing").to_number<std::uint64_t>();
    }
    return all;
}

std::string describe(const Pending& pending) {
    return std::to_string(pending.entries) + " entries not acknowledged, " + std::to_string(pending.mails) +
           " mails in the queue" +
           (pending.comparing ? ", " + std::to_string(pending.comparing) + " accounts being compared" : "") +
           (pending.to_compare ? ", " + std::to_string(pending.to_compare) + " accounts to be compared" : "");
}

void say_compared(const json::object& status) {
    for (const auto& value : status.at("links").as_array()) {
        const auto& row = value.as_object();
        if (row.at("accounts_compared").to_number<std::uint64_t>())
            say("link " + text_of(row, "name") + ": of " + number(row, "accounts_compared") +
                " accounts that were compared " + number(row, "accounts_differing") + " were not alike");
    }
}

constexpr auto ask_again = std::chrono::seconds(30);

Result<> sync(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "wait"}, {"compare"}));
    if (words.positional.size() > 1)
        return fail(ErrorKind::usage, "say one user, or none for all: fwmail sync [USER]");
    std::chrono::seconds wait(0);
    if (words.has("wait")) {
        auto parsed = config::parse_duration(words.option("wait"));
        if (!parsed) return fail(ErrorKind::usage, "--wait: " + parsed.error().text);
        wait = *parsed;
    }
    json::object request{{"command", "sync"}};
    if (!words.positional.empty()) request["name"] = words.positional[0];
    if (words.has("compare")) request["compare"] = true;
    auto until = std::chrono::steady_clock::now() + wait,
         again = std::chrono::steady_clock::now() + ask_again;
    auto answer = TRY(ask_node(words.option("config"), request));
    Comparisons before;
    if (words.has("compare")) before = comparisons_of(answer);
    if (!words.positional.empty())
        std::erase_if(before,
                      [&](const auto& one) { return !equal_ignoring_case(one.first, words.positional[0]); });
    auto pending = pending_of(answer, before);
    say(describe(pending));
    while (wait.count() && pending != Pending{}) {
        if (std::chrono::steady_clock::now() >= until)
            return fail(ErrorKind::temporary, "after " + std::to_string(wait.count()) +
                                                  " s there are still " + describe(pending) +
                                                  ": fwmail status tells more");
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        bool repeat = pending.to_compare && std::chrono::steady_clock::now() >= again;  // a mail may be lost
        if (repeat) again += ask_again;
        answer =
            TRY(ask_node(words.option("config"), repeat ? request : json::object{{"command", "status"}}));
        auto now = pending_of(answer, before);
        if (std::exchange(pending, now) != now) say(describe(now));
    }
    if (wait.count() && !before.empty()) say_compared(answer);
    return {};
}

}  // namespace

int run_init(const Arguments& arguments) { return finish("init", init(arguments)); }
int run_user(const Arguments& arguments) { return finish("user", user(arguments)); }
int run_key(const Arguments& arguments) { return finish("key", key(arguments)); }
int run_link(const Arguments& arguments) { return finish("link", link(arguments)); }
int run_status(const Arguments& arguments) { return finish("status", status(arguments)); }
int run_sync(const Arguments& arguments) { return finish("sync", sync(arguments)); }

int run_version(const Arguments&) {
    print(std::string("fwmail ") + version);
    if (has_test_hooks()) print("with test hooks: not for use with real mail");
    return exit_success;
}

}  // namespace fwmail::roles
