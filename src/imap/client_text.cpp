#include "imap/client_text.hpp"

#include <algorithm>
#include <charconv>

namespace fwmail::imap::client {

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

bool quotable(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 127; });
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string set_text(const UidSet& uids) {
    std::string out;
    for (const auto& i : uids.list()) {
        if (!out.empty()) out += ',';
        out += std::to_string(i.first);
        if (i.last == 0xffffffff)
            out += ":*";
        else if (i.last != i.first)
            out += ':' + std::to_string(i.last);
    }
    return out;
}

std::string section_at_end(std::string_view text) {
    while (text.ends_with(' ')) text.remove_suffix(1);
    // Spaces stand within the brackets too.
    std::size_t open = text.ends_with(']') || text.ends_with('>') ? text.rfind('[') : text.size();
    if (open == std::string_view::npos) open = text.size();
    std::size_t start = text.find_last_of(" (", open == 0 ? 0 : open - 1);
    return upper(text.substr(start == std::string_view::npos ? 0 : start + 1));
}

std::uint64_t parse_decimal(std::string_view text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

}  // namespace fwmail::imap::client
