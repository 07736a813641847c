#pragma once

#include <span>
#include <string_view>

namespace fwmail::roles {

struct HelpPage {
    std::string_view name;  // without the section: "fwmail-core"
    std::string_view text;
};
// Made from man/ when the executable is built.
std::span<const HelpPage> help_pages();

}  // namespace fwmail::roles
