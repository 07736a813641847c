#include "service/mx_plan.hpp"

#include <algorithm>

#include "base/encoding.hpp"

namespace fwmail::service {

Result<std::vector<std::string>> plan_exchangers(const net::MxAnswer& answer, const std::string& domain,
                                                 const std::string& own_name,
                                                 const std::function<std::size_t(std::size_t)>& random) {
    if (answer.null_mx) return fail(ErrorKind::refused, "556 5.1.10 " + domain + " takes no mail (null MX)");
    if (answer.hosts.empty()) return std::vector{domain};
    auto hosts = answer.hosts;
    for (std::size_t i = hosts.size(); i > 1; --i) std::swap(hosts[i - 1], hosts[random(i)]);
    std::vector<std::pair<std::uint16_t, std::size_t>> order;
    for (std::size_t i = 0; i < hosts.size(); ++i) order.emplace_back(hosts[i].preference, i);
    std::ranges::sort(order);
    auto own =
        std::ranges::find_if(hosts, [&](const auto& mx) { return equal_ignoring_case(mx.host, own_name); });
    std::vector<std::string> names;
    for (auto [preference, index] : order) {
        const auto& mx = hosts[index];
        if ((own == hosts.end() || preference < own->preference) && names.size() < most_exchangers &&
            std::ranges::find(names, mx.host) == names.end())
            names.push_back(mx.host);
    }
    if (names.empty())
        return fail(ErrorKind::refused,
                    "550 5.4.6 the MX of " + domain + " is this server, which does not know that domain");
    return names;
}

}  // namespace fwmail::service
