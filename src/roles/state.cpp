// fwmail state: what a server knows of a user's mail, in a form that is the same at core and outside; and how
// it differs from what the other one has printed.
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>

#include "roles/client.hpp"
#include "service/admin.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

using service::text_of;

// One line for each mailbox and message, with a key that sorts and names it.
using Lines = std::map<std::string, std::string>;

// Words of a line are apart by one space; names may hold any but control characters, and stand last.
std::string mailbox_line(const json::object& row) {
    return "mailbox " + text_of(row, "id") + " " +
           std::to_string(row.at("uidvalidity").to_number<std::uint32_t>()) + " " +
           (row.at("subscribed").as_bool() ? "subscribed" : "-") + " " +
           (text_of(row, "use").empty() ? "-" : text_of(row, "use")) + " " + text_of(row, "name");
}

std::string message_line(const std::string& mailbox, const json::object& row) {
    return "message " + mailbox + " " + std::to_string(row.at("uid").to_number<std::uint32_t>()) + " " +
           text_of(row, "email") + " " + text_of(row, "sha256") + " " +
           std::to_string(row.at("updated").to_number<std::uint64_t>()) + " (" + text_of(row, "flags") + ")";
}

// What a line is about: its first words. A message's are its mailbox and UID, a mailbox's its id, a
// subscription's its name.
std::string key_of(const std::string& line) {
    if (line.starts_with("subscription ")) return line;
    std::size_t words = line.starts_with("message ") ? 3 : 2, at = 0;
    for (; words > 0 && at != std::string::npos; --words) at = line.find(' ', at + 1);
    return line.substr(0, at);
}

Result<> each_line(const std::string& config, const std::string& user, const std::string& mailbox,
                   const std::function<void(const std::string&)>& take) {
    auto answer =
        TRY(ask_node(config, {{"command", "state.mailboxes"}, {"name", user}, {"mailbox", mailbox}}));
    for (const auto& value : answer.at("mailboxes").as_array()) {
        const auto& row = value.as_object();
        std::string id = text_of(row, "id");
        take(mailbox_line(row));
        std::int64_t after = 0;
        for (bool more = true; more;) {
            auto part = TRY(ask_node(
                config, {{"command", "state.messages"}, {"name", user}, {"id", id}, {"after", after}}));
            for (const auto& message : part.at("messages").as_array()) {
                after = message.as_object().at("uid").to_number<std::int64_t>();
                // What is withheld from the remote is core's alone.
                if (message.as_object().at("sealed").as_bool()) take(message_line(id, message.as_object()));
            }
            more = part.at("more").as_bool();
        }
    }
    for (const auto& name : answer.at("subscriptions").as_array())
        take("subscription " + std::string(name.as_string()));
    return {};
}

Result<Lines> read_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return fail(ErrorKind::usage, "cannot read " + path);
    Lines lines;
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with("mailbox ") && !line.starts_with("message ") &&
            !line.starts_with("subscription "))
            return fail(ErrorKind::usage, path + " was not written by fwmail state");
        lines[key_of(line)] = line;
    }
    return lines;
}

void print(const std::string& line) { std::printf("%s\n", line.c_str()); }

Result<> state(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "compare"}, {}));
    if (words.positional.empty() || words.positional.size() > 2)
        return fail(ErrorKind::usage, "say whose: fwmail state USER [MAILBOX]");
    const std::string& user = words.positional[0];
    std::string mailbox = words.positional.size() > 1 ? words.positional[1] : "";
    std::string other = words.option("compare");
    if (other.empty()) return each_line(words.option("config"), user, mailbox, print);
    auto theirs = TRY(read_file(other));
    std::size_t differences = 0;
    auto differs = [&](const char* mark, const std::string& line) {
        ++differences;
        print(mark + line);
    };
    TRY(each_line(words.option("config"), user, mailbox, [&](const std::string& line) {
        auto it = theirs.find(key_of(line));
        if (it == theirs.end()) return differs("+ ", line);
        if (it->second != line) {
            differs("- ", it->second);
            differs("+ ", line);
        }
        theirs.erase(it);
    }));
    for (const auto& [key, line] : theirs) differs("- ", line);
    if (differences)
        return fail(ErrorKind::refused, "the state differs from " + other + ": " +
                                            std::to_string(differences) + " lines (- there, + here)");
    return {};
}

}  // namespace

int run_state(const Arguments& arguments) {
    auto result = state(arguments);
    return result ? exit_success : report("state", result.error());
}

}  // namespace fwmail::roles
