// fwmail expunged: what was deleted at the remote.
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/clock.hpp"
#include "roles/client.hpp"
#include "service/admin.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

using service::text_of;

void print(const std::string& line) { std::printf("%s\n", line.c_str()); }

std::string number(const json::object& row, std::string_view name) {
    return std::to_string(row.at(name).to_number<std::uint64_t>());
}

void print_user(const json::object& user) {
    print("user " + text_of(user, "name") + ": " + number(user, "hidden") +
          " messages deleted outside can still be put back");
    for (const auto& value : user.at("held").as_array()) {
        const auto& held = value.as_object();
        std::int64_t age = system_clock()().value / 1000 - held.at("since").to_number<std::int64_t>();
        print("  held since " + std::to_string(std::max<std::int64_t>(age, 0) / 60) +
              " min: " + number(held, "messages") + " messages of " + text_of(held, "mailbox") +
              ", by link " + text_of(held, "link"));
    }
}

Result<> expunged(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config", "days"}, {"json"}));
    std::string verb = words.positional.empty() ? "" : words.positional[0];
    if (verb != "list" && verb != "release" && verb != "reject" && verb != "restore")
        return fail(ErrorKind::usage, "say what to do: fwmail expunged list, release, reject or restore");
    json::object request{{"command", "expunged." + verb}};
    if (verb != "list") {
        if (words.positional.size() != 2)
            return fail(ErrorKind::usage, "say whose: fwmail expunged " + verb + " USER");
        request["name"] = words.positional[1];
    }
    if (std::string days = words.option("days"); !days.empty()) {
        std::int64_t value = 0;
        auto [end, error] = std::from_chars(days.data(), days.data() + days.size(), value);
        if (error != std::errc() || end != days.data() + days.size())
            return fail(ErrorKind::usage, "--days wants a number");
        request["days"] = value;
    }
    auto answer = TRY(ask_node(words.option("config"), request));
    if (verb != "list")
        print(number(answer, "messages") + " messages");
    else if (words.has("json"))
        print(json::serialize(answer));
    else
        for (const auto& user : answer.at("users").as_array()) print_user(user.as_object());
    return {};
}

}  // namespace

int run_expunged(const Arguments& arguments) {
    auto result = expunged(arguments);
    return result ? exit_success : report("expunged", result.error());
}

}  // namespace fwmail::roles
