// Looking things up in the table of options.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/schema.hpp"

namespace fwmail::config {

// "imap.listen", "data-dir", "link.*.next-hop".
std::string full_name(const Option& option);

// [link.office] is the section "link.*", name "office". Names are letters, digits, - and _.
struct NamedSection {
    std::string_view prefix, name;
};
std::optional<NamedSection> named_section(std::string_view section);

// Null: the role has no such option.
const Option* find_option(RoleBits role, std::string_view name);

inline bool contains(const std::vector<std::string>& list, std::string_view word) {
    return std::ranges::find(list, word) != list.end();
}

Result<std::uint64_t> parse_count(std::string_view text);

}  // namespace fwmail::config
