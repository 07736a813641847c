// The messages that the demo sends.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace fwmail::roles {

struct Letter {
    std::string what;     // for the reader of the demo
    std::string subject;  // as a mail program shows it, UTF-8
    std::string octets;   // CRLF line ends
    // SMTP's DATA gives every message a last CRLF; what shall not have one is appended by IMAP.
    bool by_append = false;
};

// A word of the subject and of the text of the first letter, which must not be found outside.
inline constexpr const char* telling_word = "Nightingale";

std::vector<Letter> demo_letters();
Letter late_letter();

}  // namespace fwmail::roles
