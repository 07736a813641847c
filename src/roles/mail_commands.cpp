// The commands about the ways of mail: alias, queue.
#include <cstdio>

#include "base/clock.hpp"
#include "roles/client.hpp"
#include "service/admin.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

using service::text_of;

int finish(std::string_view command, const Result<>& result) {
    return result ? exit_success : report(command, result.error());
}

void print(const std::string& text) { std::printf("%s\n", text.c_str()); }

// What others chose must not steer the terminal.
std::string shown(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
    return text;
}

Result<> alias(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config"}, {"json"}));
    std::string verb = words.positional.empty() ? "" : words.positional[0];
    if (verb != "add" && verb != "list" && verb != "remove")
        return fail(ErrorKind::usage, "say what to do: fwmail alias add, list or remove");
    json::object request{{"command", "alias." + verb}};
    if (verb != "list") {
        if (words.positional.size() < 2)
            return fail(ErrorKind::usage, "say which address: fwmail alias " + verb + " ADDRESS");
        request["address"] = words.positional[1];
        json::array targets;
        for (std::size_t i = 2; i < words.positional.size(); ++i) targets.emplace_back(words.positional[i]);
        request["targets"] = targets;
    }
    auto answer = TRY(ask_node(words.option("config"), request));
    if (verb != "list") return {};
    if (words.has("json")) {
        print(json::serialize(answer));
        return {};
    }
    for (const auto& value : answer["aliases"].as_array()) {
        const auto& row = value.as_object();
        std::string line = text_of(row, "address") + ":";
        for (const auto& target : row.at("targets").as_array()) line += " " + std::string(target.as_string());
        print(line);
    }
    return {};
}

std::string in_time(const json::value& when) {
    std::int64_t seconds = when.to_number<std::int64_t>() - system_clock()().value / 1000;
    if (seconds <= 0) return "now";
    if (seconds < 120) return "in " + std::to_string(seconds) + " s";
    if (seconds < 7200) return "in " + std::to_string(seconds / 60) + " min";
    return "in " + std::to_string(seconds / 3600) + " h";
}

void print_mail(const json::object& row) {
    print(text_of(row, "id") + "  " + text_of(row, "kind") + "  " +
          std::to_string(row.at("size").to_number<std::uint64_t>()) + " octets  from <" +
          shown(text_of(row, "sender")) + ">  " +
          (row.at("held").as_bool() ? "held" : "next try " + in_time(row.at("next_attempt"))));
    for (const auto& value : row.at("recipients").as_array()) {
        const auto& recipient = value.as_object();
        std::string line =
            "    <" + shown(text_of(recipient, "address")) + ">  " + text_of(recipient, "state");
        if (auto reply = shown(text_of(recipient, "reply")); !reply.empty()) line += ": " + reply;
        print(line);
    }
}

Result<> queue(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config"}, {"json"}));
    std::string verb = words.positional.empty() ? "" : words.positional[0];
    if (verb != "list" && verb != "show" && verb != "retry" && verb != "hold" && verb != "release" &&
        verb != "remove")
        return fail(ErrorKind::usage,
                    "say what to do: fwmail queue list, show, retry, hold, release or remove");
    bool one = words.positional.size() == 2;
    if (words.positional.size() > 2 || (verb == "list" ? one : verb != "retry" && !one))
        return fail(ErrorKind::usage,
                    "say which mail: fwmail queue " + verb + " ID, as fwmail queue list shows it");
    json::object request{{"command", "queue." + verb}};
    if (one) request["id"] = words.positional[1];
    auto answer = TRY(ask_node(words.option("config"), request));
    if (words.has("json")) {
        print(json::serialize(answer));
    } else if (verb == "list") {
        for (const auto& row : answer["mails"].as_array()) print_mail(row.as_object());
    } else if (verb == "show") {
        print_mail(answer);
        std::string header = text_of(answer, "header");
        for (char& c : header)
            if (c != '\n' && c != '\t' && static_cast<unsigned char>(c) < ' ') c = c == '\r' ? ' ' : '?';
        std::printf("\n%s", header.c_str());
    }
    return {};
}

}  // namespace

int run_alias(const Arguments& arguments) { return finish("alias", alias(arguments)); }
int run_queue(const Arguments& arguments) { return finish("queue", queue(arguments)); }

}  // namespace fwmail::roles
