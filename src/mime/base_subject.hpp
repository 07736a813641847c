// The base subject of a message (RFC 5256 2.1): what is left of its subject without "Re:", "[list]", "(fwd)"
// and their like.
#pragma once

#include <string>
#include <string_view>

namespace fwmail::mime {

struct BaseSubject {
    std::string text;    // UTF-8, RFC 2047 undone, white space single
    bool reply = false;  // or a forward: something was removed that says so (RFC 5256 3)
    bool operator==(const BaseSubject&) const = default;
};

// Of a Subject field's body, unfolded or not. Linear in its size.
BaseSubject base_subject(std::string_view field);

}  // namespace fwmail::mime
