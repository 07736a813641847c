// In which order the mail exchangers of a domain are tried: pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "net/dns.hpp"

namespace fwmail::service {

inline constexpr std::size_t most_exchangers = 5;  // of one domain, in one go

// By preference, equals in random order (RFC 5321 5.1); `random(n)` gives a number below n. Without an MX the
// domain itself. Where this server is among them, those as far away or farther are left out, or mail would
// run in circles. `refused`, with an SMTP reply as text: a null MX (RFC 7505 3), or nobody nearer than
// ourselves.
Result<std::vector<std::string>> plan_exchangers(const net::MxAnswer& answer, const std::string& domain,
                                                 const std::string& own_name,
                                                 const std::function<std::size_t(std::size_t)>& random);

}  // namespace fwmail::service
