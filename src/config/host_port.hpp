// A host and a port, as listeners and next hops are written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::config {

struct HostPort {
    std::string host;  // a name or a numeric address, without brackets; "*": all
    std::uint16_t port = 0;
    bool operator==(const HostPort&) const = default;
    // "mail.example:25", "[2001:db8::1]:25".
    std::string text() const;
};

// host:port, address:port, [IPv6]:port or *:port.
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace fwmail::config
