#include "smtp/received.hpp"

#include "base/encoding.hpp"
#include "smtp/harmless.hpp"

namespace fwmail::smtp {

// RFC 5321 4.4: Time-stamp-line
std::string write_received(const ReceivedInfo& info) {
    auto word = [](std::string_view text) {
        std::string out = harmless_in_comment(text);
        for (char& c : out)
            if (c == ' ' || c == ';') c = '?';
        return out;
    };
    std::string out = "Received: from " + (info.helo.empty() ? "unknown" : word(info.helo));
    if (!info.peer.empty()) {
        std::string peer = harmless_in_comment(info.peer);
        out += peer.contains(':') ? " ([IPv6:" + peer + "])" : " ([" + peer + "])";
    }
    out += "\r\n\tby " + word(info.by) + " (fwmail) with " + word(info.protocol);
    if (!info.id.empty()) out += " id " + word(info.id);
    if (!info.recipient.empty()) out += "\r\n\tfor <" + harmless(info.recipient, 320) + '>';
    out += ";\r\n\t" + harmless(info.date) + "\r\n";
    return out;
}

namespace {

// Calls `see` with the value of each field of that name, its first line only, up to the empty line.
template <class See>
void each_field(std::string_view header, std::string_view name, See see) {
    while (!header.empty()) {
        std::size_t end = header.find('\n');
        std::string_view line = header.substr(0, end);
        if (line.empty() || line == "\r") break;
        if (equal_ignoring_case(line.substr(0, name.size()), name)) {
            std::size_t colon = line.find_first_not_of(" \t", name.size());
            if (colon != std::string_view::npos && line[colon] == ':') see(line.substr(colon + 1));
        }
        if (end == std::string_view::npos) break;
        header.remove_prefix(end + 1);
    }
}

}  // namespace

std::size_t count_received(std::string_view header) {
    std::size_t count = 0;
    each_field(header, "Received", [&](std::string_view) { ++count; });
    return count;
}

bool has_delivered_to(std::string_view header, std::string_view address) {
    bool found = false;
    each_field(header, "Delivered-To", [&](std::string_view value) {
        std::size_t first = value.find_first_not_of(" \t<"), last = value.find_last_not_of(" \t\r>");
        if (first == std::string_view::npos || last == std::string_view::npos || last < first) return;
        found |= equal_ignoring_case(value.substr(first, last - first + 1), address);
    });
    return found;
}

}  // namespace fwmail::smtp
