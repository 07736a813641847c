// Flags of a message: the system flags as bits, keywords as sorted atoms. One type for IMAP, store and sync.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/encoding.hpp"

namespace fwmail {

struct FlagSet {
    // RFC 9051 2.3.2. \Recent is a session's, never stored.
    enum System : std::uint32_t { seen = 1, answered = 2, flagged = 4, deleted = 8, draft = 16 };
    std::uint32_t system = 0;
    std::vector<std::string> keywords;  // sorted, unique ignoring case; spelled as first given

    bool operator==(const FlagSet&) const = default;
    bool has(System flag) const { return system & flag; }
    bool has_keyword(std::string_view keyword) const {
        return std::ranges::any_of(keywords, [&](const auto& k) { return equal_ignoring_case(k, keyword); });
    }
    void add_keyword(std::string_view keyword) {
        if (has_keyword(keyword)) return;
        keywords.emplace_back(keyword);
        std::ranges::sort(keywords);
    }
    void remove_keyword(std::string_view keyword) {
        std::erase_if(keywords, [&](const auto& k) { return equal_ignoring_case(k, keyword); });
    }
    void add(const FlagSet& other) {
        system |= other.system;
        for (const auto& k : other.keywords) add_keyword(k);
    }
    void remove(const FlagSet& other) {
        system &= ~other.system;
        for (const auto& k : other.keywords) remove_keyword(k);
    }

    // As IMAP writes it between the parentheses: `\Seen \Flagged $Forwarded`.
    std::string text() const {
        std::string out;
        append_text(out);
        return out;
    }
    void append_text(std::string& out) const {
        static constexpr std::pair<System, const char*> names[] = {{answered, "\\Answered"},
                                                                   {flagged, "\\Flagged"},
                                                                   {deleted, "\\Deleted"},
                                                                   {seen, "\\Seen"},
                                                                   {draft, "\\Draft"}};
        bool first = true;
        auto append = [&](std::string_view word) {
            if (!std::exchange(first, false)) out += ' ';
            out += word;
        };
        for (auto [bit, name] : names)
            if (system & bit) append(name);
        for (const auto& k : keywords) append(k);
    }
    // Undoes text(). Unknown words with a backslash are left out.
    static FlagSet from_text(std::string_view text) {
        FlagSet flags;
        while (!text.empty()) {
            std::size_t end = std::min(text.find(' '), text.size());
            flags.add_word(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return flags;
    }
    // One flag as IMAP spells it; false for an unknown system flag (and \Recent), which is not added.
    bool add_word(std::string_view word) {
        if (word.empty()) return false;
        if (word[0] != '\\') {
            add_keyword(word);
            return true;
        }
        std::string name = ascii_lower(word.substr(1));
        std::uint32_t bit = name == "seen"       ? seen
                            : name == "answered" ? answered
                            : name == "flagged"  ? flagged
                            : name == "deleted"  ? deleted
                            : name == "draft"    ? draft
                                                 : 0u;
        system |= bit;
        return bit != 0;
    }
};

}  // namespace fwmail
