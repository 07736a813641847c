// What is to become of a message's line ends on their way out, said another way than mime/dot_stuffing does.
#pragma once

#include <string>
#include <string_view>

namespace fwmail::testing {

// Bare LFs end lines, bare CRs are spaces, and the last line ends as well.
inline std::string crlf_only(std::string_view message) {
    std::string out;
    for (std::size_t i = 0; i < message.size(); ++i) {
        bool last = i + 1 == message.size();
        if (message[i] == '\n' || (message[i] == '\r' && last))
            out += "\r\n";
        else if (message[i] != '\r')
            out += message[i];
        else if (message[i + 1] != '\n')
            out += ' ';
    }
    if (!out.empty() && !out.ends_with("\r\n")) out += "\r\n";
    return out;
}

}  // namespace fwmail::testing
