// What others ask of dialled lines: which links have one, and how it stands.
#pragma once

#include <optional>
#include <string>

#include "base/ids.hpp"
#include "config/config.hpp"

namespace fwmail::service {

// Whether the link of that name goes by a line: core dials it, or the remote is dialled for it.
bool is_dialled(const config::Config& config, const std::string& link_name);

struct LineState {
    std::optional<UnixMillis> open_since;
    std::string error;  // why it is not open, as far as that is known
};

}  // namespace fwmail::service
