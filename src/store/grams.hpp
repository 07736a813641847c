// What the search index knows texts by: short runs of characters, so that any part of a word is found.
// Private to store.
//
// At each character of a text stands one gram: it and the next, where one of the two is of a script that
// writes without spaces (from U+2E80 on: Chinese, Japanese, Korean), else it and the next two. NUL parts
// texts; before it and at the end grams are shorter. So which gram stands somewhere depends on the next
// characters alone, and a text that contains another has all whole grams of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fwmail::store {

class Database;

// How FTS5 is asked for texts that may contain `needle`: all of some of its grams. Empty: the index cannot
// tell.
std::string gram_query(std::string_view needle);

// Makes the tokenizer `fwmail_grams` known to a connection.
Result<void> register_grams(Database& db);

struct GramCharacter {
    std::size_t length;
    char32_t value;
};
// Valid UTF-8 is wanted; of anything else an octet is a character, and nothing is read beyond the end.
inline GramCharacter gram_character(std::string_view text, std::size_t at) {
    auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    unsigned first = octet(0);
    std::size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (length == 1 || at + length > text.size()) return {1, first};
    char32_t value = first & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) value = value << 6 | (octet(i) & 0x3Fu);
    return {length, value};
}

inline bool is_unspaced(char32_t c) { return c >= 0x2E80; }

// Calls `take(offset, length, whole)` for the gram at each character.
template <class Take>
void each_gram(std::string_view text, Take take) {
    auto at_end = [&](std::size_t at) { return at >= text.size() || text[at] == '\0'; };
    for (std::size_t at = 0; at < text.size();) {
        auto first = gram_character(text, at);
        if (first.value == 0) {
            ++at;
            continue;
        }
        std::size_t end = at + first.length;
        bool whole = false;
        if (!at_end(end)) {
            auto second = gram_character(text, end);
            end += second.length;
            whole = is_unspaced(first.value) || is_unspaced(second.value);
            if (!whole && !at_end(end)) {
                end += gram_character(text, end).length;
                whole = true;
            }
        }
        take(at, end - at, whole);
        at += first.length;
    }
}

}  // namespace fwmail::store
