#include "smtp/dsn_parameters.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "smtp/harmless.hpp"

namespace fwmail::smtp {
namespace {

constexpr std::size_t longest_envid = 100, longest_orcpt = 500;  // RFC 3461 4.4, 4.2
constexpr std::pair<std::string_view, DsnNotify> notify_words[] = {
    {"SUCCESS", dsn_success}, {"FAILURE", dsn_failure}, {"DELAY", dsn_delay}};

bool is_upper_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); }

// RFC 3461 4: xtext = *( xchar / hexchar )
bool is_xtext(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '+') {
            if (i + 2 >= text.size() || !is_upper_hex(text[i + 1]) || !is_upper_hex(text[i + 2]))
                return false;
            i += 2;
        } else if (c < '!' || c > '~' || c == '=') {
            return false;
        }
    }
    return true;
}

auto bad(const char* what) { return fail(ErrorKind::protocol, std::string("bad value of ") + what); }

}  // namespace

std::string MailDsn::text() const {
    std::string out;
    if (ret != DsnReturn::unsaid) out += ret == DsnReturn::full ? " RET=FULL" : " RET=HDRS";
    if (!envid.empty()) out += " ENVID=" + envid;
    return out;
}

std::string RecipientDsn::text() const {
    std::string words = notify & dsn_never ? "NEVER" : "";
    for (auto [word, bit] : notify_words)
        if (notify & bit) words += (words.empty() ? "" : ",") + std::string(word);
    std::string out = words.empty() ? "" : " NOTIFY=" + words;
    if (!orcpt.empty()) out += " ORCPT=" + orcpt;
    return out;
}

Result<DsnReturn> parse_ret(std::string_view value) {
    if (equal_ignoring_case(value, "FULL")) return DsnReturn::full;
    if (equal_ignoring_case(value, "HDRS")) return DsnReturn::headers;
    return bad("RET");
}

Result<std::string> parse_envid(std::string_view value) {
    if (value.empty() || value.size() > longest_envid || !is_xtext(value)) return bad("ENVID");
    return std::string(value);
}

// NEVER stands alone.
Result<std::uint32_t> parse_notify(std::string_view value) {
    if (equal_ignoring_case(value, "NEVER")) return dsn_never;
    std::uint32_t bits = 0;
    for (;;) {
        auto comma = value.find(',');
        std::string_view word = value.substr(0, comma);
        auto found = std::ranges::find_if(
            notify_words, [&](const auto& row) { return equal_ignoring_case(row.first, word); });
        if (found == std::end(notify_words)) return bad("NOTIFY");
        bits |= found->second;
        if (comma == std::string_view::npos) return bits;
        value.remove_prefix(comma + 1);
    }
}

// addr-type ";" xtext
Result<std::string> parse_orcpt(std::string_view value) {
    auto semicolon = value.find(';');
    bool good =
        semicolon != std::string_view::npos && semicolon > 0 && value.size() <= longest_orcpt &&
        is_xtext(value.substr(semicolon + 1)) && std::ranges::all_of(value.substr(0, semicolon), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        });
    if (!good) return bad("ORCPT");
    return std::string(value);
}

std::string decode_xtext(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto octet = text[i] == '+' ? hex_decode(text.substr(i + 1, 2)) : std::nullopt;
        if (octet) i += 2;
        out += octet ? *octet : std::string(1, text[i]);
    }
    return harmless(out, longest_orcpt);
}

}  // namespace fwmail::smtp
