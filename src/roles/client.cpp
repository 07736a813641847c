#include "roles/client.hpp"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>

#include "net/control.hpp"
#include "service/admin.hpp"
#include "service/releases.hpp"
#include "store/lock.hpp"

namespace fwmail::roles {
namespace json = boost::json;
namespace {

Result<json::object> ask_offline(const config::Config& config, const json::object& request) {
    auto data_dir = config.path("data-dir");
    if (!std::filesystem::exists(data_dir / "system.db"))
        return fail(ErrorKind::usage, data_dir.string() + " has not been set up: run fwmail init");
    auto lock = TRY(store::Lock::take(data_dir));
    auto master_key = TRY(service::load_master_key(data_dir));
    auto system = TRY(service::open_stopped(data_dir, system_clock()()));
    auto identity = TRY(service::load_identity(*system, master_key));
    service::AdminContext context{*system, config, master_key, identity, system_clock(),
                                  {},      false,  false,      {}};
    if (service::only_reads(request)) return service::execute_admin(context, request);
    json::object answer;
    TRY(system->together([&]() -> Result<> {
        answer = TRY(service::execute_admin(context, request));
        return {};
    }));
    return answer;
}

Result<std::string> read_line_quietly(const std::string& prompt) {
    std::fprintf(stderr, "%s: ", prompt.c_str());
    termios before{};
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        termios quiet = before;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    std::string line;
    bool good = static_cast<bool>(std::getline(std::cin, line));
    if (terminal) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::fprintf(stderr, "\n");
    if (!good) return fail(ErrorKind::usage, "nothing was entered");
    return line;
}

}  // namespace

std::string Words::option(const std::string& name) const {
    auto it = options.find(name);
    return it == options.end() || it->second.empty() ? std::string() : it->second.back();
}

Result<Words> parse_words(const Arguments& arguments, const std::set<std::string>& options,
                          const std::set<std::string>& switches) {
    Words words;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (!word.starts_with("--") || word == "--") {
            if (word != "--") words.positional.push_back(word);
            continue;
        }
        auto equals = word.find('=');
        std::string name = word.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
        if (switches.contains(name) && equals == std::string::npos) {
            words.switches.insert(name);
        } else if (options.contains(name)) {
            if (equals == std::string::npos && i + 1 == arguments.size())
                return fail(ErrorKind::usage, "--" + name + " wants a value");
            words.options[name].push_back(equals == std::string::npos ? arguments[++i]
                                                                      : word.substr(equals + 1));
        } else {
            return fail(ErrorKind::usage, "there is no option --" + name + " here: --help shows the usage");
        }
    }
    return words;
}

Result<config::Config> load_any_config(const std::string& config_file) {
    if (config_file.empty()) return fail(ErrorKind::usage, "say which node is meant: --config FILE");
    auto core = config::Config::load(config::role_core, {"--config", config_file});
    if (core) return core;
    auto remote = config::Config::load(config::role_remote, {"--config", config_file});
    if (remote) return remote;
    // In order for neither. Each role stumbles over the options of the other one, so the role that came
    // further, by the line in "FILE:LINE: ...", is the one that is meant.
    auto line = [&](const std::string& text) {
        return text.starts_with(config_file + ":")
                   ? std::strtoul(text.c_str() + config_file.size() + 1, nullptr, 10)
                   : std::numeric_limits<unsigned long>::max();
    };
    return line(remote.error().text) > line(core.error().text) ? remote : core;
}

Result<json::object> ask_node(const std::string& config_file, const json::object& request) {
    auto config = TRY(load_any_config(config_file));
    std::string answer, question = json::serialize(request);
    auto asked =
        net::control_request(config.path("data-dir") / "control", question, [&](std::string_view line) {
            answer = line;
            return true;
        });
    wipe(question);
    if (!asked) {
        if (asked.error().kind != ErrorKind::refused) return std::unexpected(asked.error());
        return ask_offline(config, request);
    }
    boost::system::error_code error;
    auto value = json::parse(answer, error);
    wipe(answer);
    if (error || !value.is_object())
        return fail(ErrorKind::internal, "the running node gave no answer: its log says why");
    if (auto text = service::text_of(value.as_object(), "error"); !text.empty())
        return fail(
            service::text_of(value.as_object(), "kind") == "usage" ? ErrorKind::usage : ErrorKind::refused,
            text);
    return std::move(value.as_object());
}

Result<Secret> read_secret(const std::string& file, const std::string& prompt, bool confirm) {
    std::string line;
    if (!file.empty()) {
        std::ifstream stream(file, std::ios::binary);
        if (!stream) return fail(ErrorKind::usage, "cannot read " + file);
        std::getline(stream, line);
    } else if (isatty(STDIN_FILENO)) {
        line = TRY(read_line_quietly(prompt));
        if (confirm) {
            std::string again = TRY(read_line_quietly(prompt + ", once more"));
            bool same = again == line;
            wipe(again);
            if (!same) return fail(ErrorKind::usage, "the two are not the same");
        }
    } else {
        std::getline(std::cin, line);
    }
    if (line.ends_with('\r')) line.pop_back();
    Secret secret(line);
    wipe(line);
    if (secret.empty()) return fail(ErrorKind::usage, "an empty password or passphrase is not taken");
    return secret;
}

}  // namespace fwmail::roles
