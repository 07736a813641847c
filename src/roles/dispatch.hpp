// Finds a command in the table and runs it.
#pragma once

#include <span>

#include "roles/command.hpp"

namespace fwmail::roles {

struct Command {
    std::string_view name, usage, summary;
    int (*run)(const Arguments&);
};

int dispatch(std::span<const Command> commands, Arguments arguments);

}  // namespace fwmail::roles
