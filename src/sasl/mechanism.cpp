#include "sasl/mechanism.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/random.hpp"

namespace fwmail::sasl {

std::string in_capitals(std::string_view name) {
    std::string out(name);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return out;
}

std::optional<std::string_view> ChannelBindings::of_type(std::string_view type) const {
    const std::string* found = type == "tls-exporter"           ? &tls_exporter
                               : type == "tls-server-end-point" ? &tls_server_end_point
                                                                : nullptr;
    if (!found || found->empty()) return std::nullopt;
    return *found;
}

std::optional<std::vector<Attribute>> parse_attributes(std::string_view text) {
    std::vector<Attribute> out;
    for (;;) {
        std::string_view part = text.substr(0, text.find(','));
        bool letter =
            !part.empty() && ((part[0] >= 'a' && part[0] <= 'z') || (part[0] >= 'A' && part[0] <= 'Z'));
        if (!letter || part.size() < 2 || part[1] != '=' || out.size() == 16) return std::nullopt;
        out.push_back({part[0], part.substr(2)});
        if (part.size() == text.size()) return out;
        text.remove_prefix(part.size() + 1);
    }
}

std::string write_saslname(std::string_view name) {
    std::string out;
    for (char c : name)
        if (c == ',')
            out += "=2C";
        else if (c == '=')
            out += "=3D";
        else
            out += c;
    return out;
}

std::optional<std::string> parse_saslname(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '=') {
            out += text[at];
            continue;
        }
        std::string_view code = text.substr(at, 3);
        if (code != "=2C" && code != "=3D") return std::nullopt;
        out += code == "=2C" ? ',' : '=';
        at += 2;
    }
    if (out.empty() || out.contains('\0')) return std::nullopt;
    return out;
}

bool is_nonce(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127 && c != ','; });
}

std::string make_nonce() { return base64_encode(random_octets(18)); }

}  // namespace fwmail::sasl
