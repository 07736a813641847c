// fwmail help: the manual pages, from inside the executable.
#include <cstdio>

#include "roles/command.hpp"
#include "roles/help_pages.hpp"

namespace fwmail::roles {

int run_help(const Arguments& arguments) {
    std::string topic = arguments.empty() ? "fwmail" : arguments.front();
    for (const auto& page : help_pages())
        if (page.name == topic || page.name == "fwmail-" + topic || page.name == "fwmail." + topic) {
            std::fwrite(page.text.data(), 1, page.text.size(), stdout);
            return exit_success;
        }
    std::string names;
    for (const auto& page : help_pages()) (names += " ") += page.name;
    return report("help", {ErrorKind::usage, "there is no page " + topic + "; there are:" + names});
}

}  // namespace fwmail::roles
