#include "service/line_state.hpp"

#include <algorithm>

namespace fwmail::service {

bool is_dialled(const config::Config& config, const std::string& link_name) {
    auto names = config.names("link");
    if (std::ranges::find(names, link_name) == names.end()) return false;
    std::string section = "link." + link_name;
    return config.role() == config::role_core ? !config.host_port(section + ".dial").host.empty()
                                              : config.boolean(section + ".dialled");
}

}  // namespace fwmail::service
