// What may be a keyword of a message: names come from other servers and from files, and go into IMAP's
// responses.
#pragma once

#include <algorithm>
#include <string_view>

namespace fwmail {

inline constexpr std::size_t longest_keyword = 100;

// RFC 9051 9: an atom, so none of "(" ")" "{" SP CTL list-wildcards quoted-specials resp-specials.
inline bool is_keyword(std::string_view word) {
    return !word.empty() && word.size() <= longest_keyword && std::ranges::all_of(word, [](char c) {
        return c > ' ' && c < 0x7f && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
    });
}

}  // namespace fwmail
