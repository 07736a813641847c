// Every option there is: one table from which the configuration is read, checked, written and documented.
#pragma once

#include <span>
#include <string_view>

namespace fwmail::config {

enum class OptionType {
    text,
    path,      // relative ones count from the configuration file's folder
    octets,    // 100M: k, M, G are powers of 1024
    duration,  // 60s: s, m, h, d; 0 without a unit too
    count,
    boolean,    // yes or no
    host_port,  // host:port
    choice,     // one of `choices`
};

enum RoleBits : unsigned { role_core = 1, role_remote = 2 };

struct Option {
    std::string_view section;  // "": before the first section; "link.*": named sections [link.NAME]
    std::string_view key;
    OptionType type;
    std::string_view fallback;  // as it would be written; "" = none
    std::string_view help;      // one line, no full stop
    unsigned roles = role_core | role_remote;
    bool required = false;
    bool list = false;              // may be given several times; a fallback is one value
    std::string_view choices = {};  // "a|b|c"
};

std::span<const Option> all_options();

}  // namespace fwmail::config
