#include "imap/list_match.hpp"

#include <algorithm>
#include <map>

namespace fwmail::imap {
namespace {

struct Node {
    const MailboxRow* row = nullptr;  // null: only a level above others
    bool has_children = false;
    bool subscribed_below = false;
    bool special_below = false;
    bool both_below = false;  // one mailbox that is subscribed and has a special use
};

// `names`: with those that are subscribed and are no mailboxes.
std::map<std::string, Node> tree_of(const MailboxList& list, bool names) {
    std::map<std::string, Node> tree;
    for (const auto& row : list.rows) {
        if (row.nonexistent && !names) continue;
        tree[row.name].row = &row;
        for (std::size_t at = row.name.rfind('/'); at != std::string::npos && at > 0;
             at = row.name.rfind('/', at - 1)) {
            Node& above = tree[row.name.substr(0, at)];
            above.has_children |= !row.nonexistent;
            above.subscribed_below |= row.subscribed;
            above.special_below |= !row.special_use.empty();
            above.both_below |= row.subscribed && !row.special_use.empty();
        }
    }
    return tree;
}

// Runs of wildcards into one: `*` swallows `%`.
std::string simplified(std::string_view pattern) {
    std::string out;
    for (char c : pattern) {
        bool wild = c == '*' || c == '%';
        bool before = !out.empty() && (out.back() == '*' || out.back() == '%');
        if (!wild || !before)
            out += c;
        else if (c == '*')
            out.back() = '*';
    }
    return out;
}

// INBOX is matched without regard to case (RFC 3501 5.1).
std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    return text;
}

class Matcher {
  public:
    explicit Matcher(std::string_view pattern) : pattern_(simplified(pattern)), upper_(upper(pattern_)) {}
    bool operator()(std::string_view name) const {
        return matches_pattern(pattern_, name) || (name == "INBOX" && matches_pattern(upper_, name));
    }
    bool ends_in_percent() const { return pattern_.ends_with('%'); }

  private:
    std::string pattern_, upper_;
};

}  // namespace

// All positions of the pattern that the name so far can stand at, moved on character by character.
bool matches_pattern(std::string_view pattern, std::string_view name) {
    std::vector<char> here(pattern.size() + 1), next(pattern.size() + 1);
    auto wild = [&](std::size_t i) { return i < pattern.size() && (pattern[i] == '*' || pattern[i] == '%'); };
    here[0] = 1;
    for (std::size_t i = 0; wild(i); ++i) here[i + 1] = 1;
    for (char c : name) {
        bool any = false;
        std::ranges::fill(next, 0);
        for (std::size_t i = 0; i < pattern.size(); ++i) {
            if (!here[i]) continue;
            std::size_t to = wild(i) ? i : i + 1;
            bool fits = wild(i) ? pattern[i] == '*' || c != '/' : pattern[i] == c;
            if (!fits || next[to]) continue;
            any = true;
            for (next[to] = 1; wild(to) && !next[to + 1]; ++to) next[to + 1] = 1;
        }
        if (!any) return false;
        std::swap(here, next);
    }
    return here[pattern.size()];
}

std::vector<ListedMailbox> listed(const MailboxList& list, std::string_view pattern) {
    std::vector<ListedMailbox> out;
    Matcher matches(pattern);
    for (const auto& [name, node] : tree_of(list, false)) {
        if (!matches(name)) continue;
        bool noselect = !node.row || node.row->noselect;
        out.push_back({name, noselect, node.has_children, node.row ? node.row->special_use : std::string(),
                       node.row && node.row->subscribed, !node.row, false});
    }
    return out;
}

std::vector<ListedMailbox> listed(const MailboxList& list, const std::vector<std::string>& patterns,
                                  const ListSelection& selection) {
    std::vector<ListedMailbox> out;
    std::vector<Matcher> matchers;
    for (const auto& pattern : patterns)
        if (!pattern.empty()) matchers.emplace_back(pattern);
    for (const auto& [name, node] : tree_of(list, selection.subscribed)) {
        bool subscribed = node.row && node.row->subscribed;
        bool special = node.row && !node.row->special_use.empty();
        bool selected = (!selection.subscribed || subscribed) && (!selection.special_use || special);
        bool below = selection.subscribed && selection.special_use ? node.both_below
                     : selection.subscribed                        ? node.subscribed_below
                                                                   : node.special_below;
        below = below && selection.recursive;
        if (!selected && !below) continue;
        if (std::ranges::none_of(matchers, [&](const auto& matches) { return matches(name); })) continue;
        ListedMailbox mailbox{name, !node.row || node.row->noselect, node.has_children,
                              special ? node.row->special_use : std::string()};
        mailbox.subscribed = subscribed;
        mailbox.nonexistent = !node.row || node.row->nonexistent;
        mailbox.subscribed_below = below && selection.subscribed;
        out.push_back(std::move(mailbox));
    }
    return out;
}

std::vector<ListedMailbox> listed_subscribed(const MailboxList& list, std::string_view pattern) {
    std::vector<ListedMailbox> out;
    Matcher matches(pattern);
    for (const auto& [name, node] : tree_of(list, true)) {
        bool subscribed = node.row && node.row->subscribed;
        bool level = !subscribed && node.subscribed_below && matches.ends_in_percent();
        if ((!subscribed && !level) || !matches(name)) continue;
        bool noselect = level || node.row->noselect;
        out.push_back({name, noselect, node.has_children, subscribed ? node.row->special_use : std::string(),
                       subscribed, !node.row || node.row->nonexistent, false});
    }
    return out;
}

}  // namespace fwmail::imap
