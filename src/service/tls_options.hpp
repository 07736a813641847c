// Whom a connection out trusts, as its section of the configuration says.
#pragma once

#include <string>

#include "config/config.hpp"
#include "net/tls.hpp"

namespace fwmail::service {

// Of `verify`, `ca-file` and `pin` in the section, "smarthost" or "link.NAME". `check_names`: whether `verify
// = yes` counts. A pin that is none is `usage`.
Result<net::TlsClientOptions> tls_options_of(const config::Config& config, const std::string& section,
                                             bool check_names);

}  // namespace fwmail::service
