// Single values: what a text means, or what is wrong with it.
#include <charconv>
#include <limits>

#include "base/encoding.hpp"
#include "config/config.hpp"

namespace fwmail::config {
namespace {

Result<std::uint64_t> parse_number(std::string_view digits, std::string_view whole, std::string_view hint) {
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
        return fail(ErrorKind::usage, "'" + std::string(whole) + "' is not " + std::string(hint));
    return value;
}

Result<std::uint64_t> multiply(std::uint64_t value, std::uint64_t factor, std::uint64_t most,
                               std::string_view whole) {
    if (value > most / factor) return fail(ErrorKind::usage, "'" + std::string(whole) + "' is too large");
    return value * factor;
}

}  // namespace

std::string HostPort::text() const {
    bool brackets = host.find(':') != std::string::npos;
    return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> parse_host_port(std::string_view text) {
    auto wrong = [&] {
        return fail(ErrorKind::usage,
                    "'" + std::string(text) + "' is not host:port; an IPv6 address needs [ ]");
    };
    std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || text.size() > 300) return wrong();
    std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
    bool bracketed = host.front() == '[';
    if (bracketed) {
        if (host.size() < 3 || host.back() != ']') return wrong();
        host = host.substr(1, host.size() - 2);
    }
    for (char c : host) {
        bool good = (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' ||
                    c == '.' || c == '_' || (c == '*' && host.size() == 1) ||
                    (bracketed && (c == ':' || c == '%'));
        if (!good) return wrong();
    }
    unsigned port = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || port > 65535)
        return wrong();
    return HostPort{std::string(host), static_cast<std::uint16_t>(port)};
}

Result<std::uint64_t> parse_octets(std::string_view text) {
    std::uint64_t factor = 1;
    std::string_view digits = text;
    if (!digits.empty()) {
        switch (digits.back()) {
            case 'k':
            case 'K':
                factor = 1ull << 10;
                break;
            case 'm':
            case 'M':
                factor = 1ull << 20;
                break;
            case 'g':
            case 'G':
                factor = 1ull << 30;
                break;
        }
        if (factor != 1) digits.remove_suffix(1);
    }
    std::uint64_t value =
        TRY(parse_number(digits, text, "a size; write a number of octets, or as 500k, 100M, 2G"));
    return multiply(value, factor, std::numeric_limits<std::int64_t>::max(), text);
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
    if (text == "0") return std::chrono::seconds(0);
    constexpr std::string_view hint = "a time; write a number and a unit, as 60s, 15m, 12h, 90d";
    std::uint64_t factor = 0;
    if (!text.empty()) {
        switch (text.back()) {
            case 's':
                factor = 1;
                break;
            case 'm':
                factor = 60;
                break;
            case 'h':
                factor = 3600;
                break;
            case 'd':
                factor = 86400;
                break;
        }
    }
    if (factor == 0) return fail(ErrorKind::usage, "'" + std::string(text) + "' is not " + std::string(hint));
    std::uint64_t value = TRY(parse_number(text.substr(0, text.size() - 1), text, hint));
    // A hundred years: sums with the present time stay in range.
    return std::chrono::seconds(TRY(multiply(value, factor, 86400ull * 36525, text)));
}

Result<bool> parse_boolean(std::string_view text) {
    std::string word = ascii_lower(text);
    if (word == "yes" || word == "true" || word == "on" || word == "1") return true;
    if (word == "no" || word == "false" || word == "off" || word == "0") return false;
    return fail(ErrorKind::usage, "'" + std::string(text) + "' is neither yes nor no");
}

}  // namespace fwmail::config
