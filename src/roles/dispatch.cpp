#include "roles/dispatch.hpp"

#include <cstdio>
#include <exception>

namespace fwmail::roles {
namespace {

void print_commands(std::span<const Command> commands, FILE* to) {
    std::fprintf(to, "usage: fwmail COMMAND ...\n\n");
    for (const auto& command : commands)
        std::fprintf(to, "  %-8.*s %.*s\n", static_cast<int>(command.name.size()), command.name.data(),
                     static_cast<int>(command.summary.size()), command.summary.data());
    std::fprintf(to, "\nfwmail COMMAND --help shows its usage, fwmail help TOPIC a manual page.\n");
}

}  // namespace

int report(std::string_view command, const Error& error) {
    std::fprintf(stderr, "fwmail %.*s: %s\n", static_cast<int>(command.size()), command.data(),
                 error.text.c_str());
    return error.kind == ErrorKind::usage ? exit_usage : exit_failed;
}

int dispatch(std::span<const Command> commands, Arguments arguments) {
    if (arguments.empty()) {
        print_commands(commands, stderr);
        return exit_usage;
    }
    std::string name = arguments.front();
    arguments.erase(arguments.begin());
    if (name == "--help" || name == "-h") {
        print_commands(commands, stdout);
        return exit_success;
    }
    if (name == "--version") name = "version";
    for (const auto& command : commands) {
        if (command.name != name) continue;
        for (const auto& argument : arguments)
            if (argument == "--help" || argument == "-h") {
                std::printf("usage: fwmail %s %.*s\n%.*s\n", name.c_str(),
                            static_cast<int>(command.usage.size()), command.usage.data(),
                            static_cast<int>(command.summary.size()), command.summary.data());
                return exit_success;
            }
        try {
            return command.run(arguments);
        } catch (const std::exception& exception) {
            return report(name,
                          {ErrorKind::internal, std::string("a bug, please report it: ") + exception.what()});
        }
    }
    return report(name, {ErrorKind::usage, "there is no such command: fwmail --help lists them"});
}

}  // namespace fwmail::roles
