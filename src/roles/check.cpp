// fwmail check: are the configuration and the store of a stopped node in order?
#include <cstdio>

#include "net/tls.hpp"
#include "roles/client.hpp"
#include "service/admin.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

// As the role will read it at its start. Returns what is wrong, one sentence each.
std::vector<std::string> check_config(const std::string& file, const std::string& role) {
    auto config =
        config::Config::load(role == "core" ? config::role_core : config::role_remote, {"--config", file});
    if (!config) return {config.error().text};
    std::vector<std::string> problems;
    if (config->host_ports("imap.listen").empty() && config->host_ports("imap.listen-tls").empty() &&
        config->host_ports("smtp.listen").empty())
        problems.emplace_back(
            "nothing to listen on, unless sockets are handed over: set listen in [imap] and [smtp]");
    auto certificate = config->path("tls.certificate"), key = config->path("tls.key");
    if (certificate.empty() != key.empty()) {
        problems.emplace_back("set both certificate and key in [tls], or neither");
    } else if (!certificate.empty()) {
        auto tls = net::TlsServer::load(certificate, key);
        if (!tls) problems.push_back(tls.error().text);
    }
    return problems;
}

std::string count_of(const json::object& answer, std::string_view name) {
    return std::to_string(answer.at(name).to_number<std::uint64_t>());
}

// True: no problems.
Result<bool> check(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"config"}, {}));
    if (!words.positional.empty()) return fail(ErrorKind::usage, "unexpected word " + words.positional[0]);
    auto answer = TRY(ask_node(words.option("config"), {{"command", "check"}}));
    auto problems = check_config(words.option("config"), service::text_of(answer, "role"));
    for (const auto& problem : answer.at("problems").as_array()) problems.emplace_back(problem.as_string());
    for (const auto& problem : problems) std::printf("%s\n", problem.c_str());
    if (auto count = count_of(answer, "held_by_nothing"); count != "0")
        std::printf(
            "%s bodies are kept that no message names: a crash came between, and the next start lets go of "
            "them; or a user's file is older than system.db, and they stay\n",
            count.c_str());
    if (problems.empty())
        std::printf("no problems: %s users, %s messages, %s bodies\n", count_of(answer, "users").c_str(),
                    count_of(answer, "messages").c_str(), count_of(answer, "bodies").c_str());
    return problems.empty();
}

}  // namespace

int run_check(const Arguments& arguments) {
    auto good = check(arguments);
    if (!good) return report("check", good.error());
    return *good ? exit_success : exit_failed;
}

}  // namespace fwmail::roles
