// Numeric addresses and the hosts file.
#include <boost/asio/ip/address.hpp>

#include "base/encoding.hpp"
#include "net/dns.hpp"
#include "net/socket_stream.hpp"

namespace fwmail::net {

std::string numeric_address(std::string_view text) {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
    if (text.size() > 64 || text.find('%') != std::string_view::npos) return {};
    boost::system::error_code error;
    auto address = boost::asio::ip::make_address(text, error);
    return error ? std::string() : address.to_string();
}

std::string limited_as(std::string_view numeric) {
    boost::system::error_code error;
    auto address = boost::asio::ip::make_address(numeric, error);
    if (error) return std::string(numeric);
    if (!address.is_v6() || address.to_v6().is_v4_mapped()) return address_text(address);
    auto network = address.to_v6().to_bytes();
    std::fill(network.begin() + 8, network.end(), 0);
    return boost::asio::ip::address_v6(network).to_string() + "/64";
}

std::vector<std::string> find_in_hosts(std::string_view hosts_text, std::string_view host) {
    std::vector<std::string> found;
    constexpr std::string_view space = " \t\r";
    while (!hosts_text.empty()) {
        std::size_t end = std::min(hosts_text.find('\n'), hosts_text.size());
        std::string_view line = hosts_text.substr(0, end);
        hosts_text.remove_prefix(std::min(end + 1, hosts_text.size()));
        line = line.substr(0, line.find('#'));
        std::string_view first;
        while (found.size() < 32) {
            std::size_t begin = line.find_first_not_of(space);
            if (begin == std::string_view::npos) break;
            line.remove_prefix(begin);
            std::string_view word = line.substr(0, line.find_first_of(space));
            line.remove_prefix(word.size());
            if (first.empty()) {
                first = word;
            } else if (equal_ignoring_case(word, host)) {
                if (std::string address = numeric_address(first); !address.empty()) found.push_back(address);
                break;
            }
        }
    }
    return found;
}

}  // namespace fwmail::net
