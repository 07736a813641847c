// How a command reaches its node: through the control socket of the running role, or by opening the store.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <optional>
#include <set>

#include "base/secret.hpp"
#include "config/config.hpp"
#include "roles/command.hpp"

namespace fwmail::roles {

// Words of a command line: positional ones, `--name value`, and the switches that take none.
struct Words {
    std::vector<std::string> positional;
    std::map<std::string, std::vector<std::string>> options;
    std::set<std::string> switches;

    std::string option(const std::string& name) const;
    bool has(const std::string& name) const { return switches.contains(name) || options.contains(name); }
};
// Usage error on an option that is in neither list, or without its value.
Result<Words> parse_words(const Arguments& arguments, const std::set<std::string>& options,
                          const std::set<std::string>& switches);

// The configuration of either role: what matters to commands is where the data-dir is.
Result<config::Config> load_any_config(const std::string& config_file);
// Sends the request to the node that the configuration file belongs to.
Result<boost::json::object> ask_node(const std::string& config_file, const boost::json::object& request);

// The first line of a file; or, without a path, asked at the terminal (twice if `confirm`), or read from
// standard input where that is no terminal.
Result<Secret> read_secret(const std::string& file, const std::string& prompt, bool confirm);

}  // namespace fwmail::roles
