#include "service/maildir_names.hpp"

#include <algorithm>
#include <utility>

#include "base/keyword.hpp"
#include "imap/parser.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t most_keywords = 26;
constexpr std::pair<char, std::uint32_t> letters[] = {{'D', FlagSet::draft},
                                                      {'F', FlagSet::flagged},
                                                      {'R', FlagSet::answered},
                                                      {'S', FlagSet::seen},
                                                      {'T', FlagSet::deleted}};
constexpr std::string_view passed = "$Forwarded";  // P

// A '.' within a level, which no modified UTF-7 writes so: it would be another level.
constexpr std::string_view dot = "&AC4-";

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    std::string out;
    for (std::size_t at = 0;;) {
        std::size_t next = text.find(from, at);
        out += text.substr(at, next == std::string_view::npos ? next : next - at);
        if (next == std::string_view::npos) return out;
        out += to;
        at = next + from.size();
    }
}

}  // namespace

MaildirKeywords parse_keywords(std::string_view file) {
    MaildirKeywords keywords;
    while (!file.empty()) {
        std::size_t end = std::min(file.find('\n'), file.size());
        std::string_view line = file.substr(0, end);
        file.remove_prefix(std::min(end + 1, file.size()));
        std::size_t space = line.find(' ');
        if (space == 0 || space > 2) continue;
        std::size_t number = 0;
        for (char c : line.substr(0, space)) number = number * 10 + static_cast<std::size_t>(c - '0');
        if (number >= most_keywords) continue;
        if (keywords.size() <= number) keywords.resize(number + 1);
        keywords[number] = line.substr(space + 1, 128);
    }
    return keywords;
}

std::string write_keywords(const MaildirKeywords& keywords) {
    std::string out;
    for (std::size_t i = 0; i < keywords.size(); ++i) out += std::to_string(i) + ' ' + keywords[i] + '\n';
    return out;
}

FlagSet flags_of_letters(std::string_view text, const MaildirKeywords& keywords) {
    FlagSet flags;
    for (char c : text) {
        for (auto [letter, flag] : letters)
            if (c == letter) flags.system |= flag;
        if (c == 'P') flags.add_keyword(passed);
        std::size_t number = static_cast<std::size_t>(c - 'a');
        if (c >= 'a' && number < keywords.size() && is_keyword(keywords[number]))
            flags.add_keyword(keywords[number]);
    }
    return flags;
}

std::string letters_of_flags(const FlagSet& flags, MaildirKeywords& keywords) {
    std::string out;
    for (auto [letter, flag] : letters)
        if (flags.system & flag) out += letter;
    for (const auto& keyword : flags.keywords) {
        if (equal_ignoring_case(keyword, passed)) {
            out += 'P';
            continue;
        }
        auto at =
            std::ranges::find_if(keywords, [&](const auto& k) { return equal_ignoring_case(k, keyword); });
        std::size_t number = static_cast<std::size_t>(at - keywords.begin());
        if (at == keywords.end()) {
            if (keywords.size() >= most_keywords) continue;
            keywords.push_back(keyword);
        }
        out += static_cast<char>('a' + number);
    }
    std::ranges::sort(out);
    return out;
}

std::string_view maildir_base(std::string_view name) { return name.substr(0, name.find(":2,")); }

std::string_view maildir_letters(std::string_view name) {
    std::size_t at = name.find(":2,");
    return at == std::string_view::npos ? std::string_view() : name.substr(at + 3);
}

std::string path_of_maildir_folder(std::string_view name) {
    if (name.starts_with('.')) name.remove_prefix(1);
    if (name.empty()) return "INBOX";
    std::string path;
    while (true) {
        std::size_t end = std::min(name.find('.'), name.size());
        std::string level = replace_all(name.substr(0, end), dot, ".");
        path += imap::decode_mailbox_name(level).value_or(level);
        if (end == name.size()) return path;
        name.remove_prefix(end + 1);
        path += '/';
    }
}

std::string maildir_folder_of_path(std::string_view path) {
    if (equal_ignoring_case(path, "INBOX")) return {};
    std::string name;
    while (true) {
        std::size_t end = std::min(path.find('/'), path.size());
        name += '.' + replace_all(imap::encode_mailbox_name(path.substr(0, end)), ".", dot);
        if (end == path.size()) return name;
        path.remove_prefix(end + 1);
    }
}

}  // namespace fwmail::service
