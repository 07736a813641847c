// Names to addresses, by c-ares. glibc's own resolver loads shared objects, which a static executable must
// not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/stream.hpp"

namespace fwmail::net {

struct ResolverOptions {
    std::filesystem::path hosts_file = "/etc/hosts";
    std::string servers = {};  // "127.0.0.1:5353,[::1]:53"; empty: /etc/resolv.conf
};

struct MxHost {
    std::uint16_t preference = 0;
    std::string host;
    bool operator==(const MxHost&) const = default;
};

// `hosts` is empty where the domain exists and has no MX, so that its own address counts (RFC 5321 5.1).
struct MxAnswer {
    std::vector<MxHost> hosts = {};  // sorted by preference, at most 32
    bool null_mx = false;            // the domain takes no mail (RFC 7505)
};

// Immutable, thread safe. resolv.conf and the hosts file are read at each question, so that a laptop that
// moves between networks is right.
class Resolver {
  public:
    explicit Resolver(ResolverOptions options = {}) : options_(std::move(options)) {}

    // Numeric addresses, IPv6 and IPv4 in turn, at most 32, none twice. Order of sources: numeric address,
    // localhost (RFC 6761 6.3), hosts file, DNS. `refused`: the name does not exist or has no address.
    // `temporary`: no answer.
    Task<Result<std::vector<std::string>>> resolve(std::string host, Deadline deadline) const;
    // `refused`: there is no such domain. `temporary`: no answer.
    Task<Result<MxAnswer>> resolve_mx(std::string domain, Deadline deadline) const;

  private:
    ResolverOptions options_;
};

// Addresses that a hosts(5) text gives for `host`, ignoring case.
std::vector<std::string> find_in_hosts(std::string_view hosts_text, std::string_view host);
// "192.0.2.1", "2001:db8::1"; in brackets too. Empty if it is not a numeric address.
std::string numeric_address(std::string_view text);
// Whom a limit counts: an IPv4 address, or the /64 that one IPv6 host usually has to itself, as
// "2001:db8::/64".
// What is no address stands for itself.
std::string limited_as(std::string_view numeric);

inline bool is_loopback(std::string_view numeric) {
    return numeric.starts_with("127.") || numeric == "::1" || numeric == "local";
}

}  // namespace fwmail::net
