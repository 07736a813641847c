#include "mime/fields.hpp"

#include <algorithm>
#include <vector>

#include "base/encoding.hpp"
#include "mime/address.hpp"
#include "mime/charset.hpp"
#include "mime/date.hpp"
#include "mime/encoded_word.hpp"
#include "mime/header.hpp"

namespace fwmail::mime {

namespace {

constexpr std::size_t preferred_line = 78;  // RFC 5322 2.1.1
constexpr std::size_t longest_line = 998;
constexpr std::size_t max_addresses = 500;
constexpr std::size_t max_ids = 100;
constexpr std::size_t max_value = 60 * 1024;  // before folding, which adds at most a CRLF for each word
constexpr std::size_t max_raw = 256 * 1024;
constexpr std::size_t max_word = 700;

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= 200 &&
           std::ranges::all_of(name, [](char c) { return c > 32 && c < 127 && c != ':'; });
}

// `value` with line endings before some of its spaces; empty when a line over 998 octets would be left. The
// first line has `used` octets already.
std::optional<std::string> fold_value(std::size_t used, std::string_view value) {
    std::string out;
    std::size_t line = used;
    while (!value.empty()) {
        // One run of white space and the word behind it.
        std::size_t word = std::min(value.find_first_not_of(" \t"), value.size());
        std::size_t next = std::min(value.find_first_of(" \t", word), value.size());
        // No line of white space only, and none may be first or last (RFC 5322 3.2.2).
        if (word > 0 && next > word && line > used && line + next > preferred_line) {
            out += "\r\n";
            line = 0;
        }
        out += value.substr(0, next);
        line += next;
        if (line > longest_line) return std::nullopt;
        value.remove_prefix(next);
    }
    return out;
}

bool contains_8bit(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) >= 127; });
}

std::string without_controls(std::string text) {
    for (auto& c : text)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
    return text;
}

std::string collapsed(std::string_view text) {
    std::string out;
    for (char c : text)
        if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    while (out.ends_with(' ')) out.pop_back();
    return out;
}

// Unstructured text (RFC 5322 3.6.5): words too long for a line are cut.
std::string sanitized_text(std::string_view raw) {
    std::string text = collapsed(without_controls(guess_utf8(unfold(raw))));
    std::string encoded = encode_header(text), out;
    std::size_t run = 0;
    for (char c : encoded) {
        if (out.size() >= max_value) break;
        run = c == ' ' ? 0 : run + 1;
        if (run > max_word) {
            out += ' ';
            run = 1;
        }
        out += c;
    }
    return collapsed(out);
}

// A display name that has only ASCII, and no more than a line's worth of it.
std::string sanitized_phrase(const std::string& name) {
    std::string text = collapsed(without_controls(guess_utf8(name)));
    if (text.size() > 400) text = repair_utf8(std::string_view(text).substr(0, 400));
    bool plain = !contains_8bit(text) && text.find("=?") == std::string::npos;
    bool words = !contains_8bit(text) && decode_header(text) != text;  // encoded words that can be read stay
    return plain || words ? text : encode_header(text);
}

bool usable_domain(const std::string& host) {
    if (host.empty() || host.size() > 255) return false;
    if (host.starts_with('['))
        return host.ends_with(']') && std::ranges::all_of(host, [](char c) { return c > 32 && c < 127; }) &&
               std::ranges::count_if(host, [](char c) { return c == '[' || c == ']' || c == '\\'; }) == 2;
    return std::ranges::all_of(host, [](char c) {
        return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' ||
               c == '.' || c == '_';
    });
}

// RFC 5321 4.5.3.1.1 says 64; some senders' return paths are longer.
bool usable_local(const std::string& local) {
    return !local.empty() && local.size() <= 256 &&
           std::ranges::all_of(local, [](char c) { return c >= 32 && c < 127; });
}

std::string sanitized_addresses(std::string_view raw) {
    std::string out;
    for (auto& address : parse_addresses(unfold(raw.substr(0, max_raw)), max_addresses)) {
        std::vector<Address> one;
        if (!address.host) continue;  // groups are taken apart
        std::string name = address.name ? sanitized_phrase(*address.name) : "";
        if (usable_domain(*address.host) && usable_local(*address.mailbox)) {
            one.push_back({name.empty() ? std::nullopt : std::optional(name), address.mailbox, address.host});
        } else {  // RFC 6857 3.1.8, in its spirit: seen, but nobody's address
            std::string shown = address.name.value_or("");
            if (!address.mailbox->empty() || !address.host->empty())
                shown += (shown.empty() ? "" : " ") + *address.mailbox + "@" + *address.host;
            shown = sanitized_phrase(shown);
            if (shown.empty()) continue;
            one.push_back({std::nullopt, shown, std::nullopt});
            one.emplace_back();
        }
        std::string text = write_addresses(one);
        if (text.size() > longest_line - 100 && text.find(' ') > max_word) continue;
        if (out.size() + text.size() + 2 > max_value) break;
        if (!out.empty()) out += ", ";
        out += text;
    }
    return out;
}

bool usable_id(std::string_view id) {
    return id.size() > 2 && id.size() <= max_word &&
           std::ranges::all_of(id, [](char c) { return c > 32 && c < 127; });
}

std::string sanitized_ids(std::string_view raw, bool single) {
    auto ids = parse_message_ids(raw.substr(0, max_raw), 20'000);
    std::erase_if(ids, [](const auto& id) { return !usable_id(id); });
    if (single) ids.resize(std::min<std::size_t>(ids.size(), 1));
    // RFC 5322 3.6.4 has readers thread by the last ones; the first is the thread's root.
    std::size_t length = 0, keep = 0;
    while (keep < std::min(ids.size(), max_ids - 1) &&
           length + ids[ids.size() - 1 - keep].size() + 1 < max_value - max_word - 1)
        length += ids[ids.size() - 1 - keep++].size() + 1;
    if (keep + 1 < ids.size()) ids.erase(ids.begin() + 1, ids.end() - static_cast<std::ptrdiff_t>(keep));
    std::string out;
    for (const auto& id : ids) out += (out.empty() ? "" : " ") + id;
    return out;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(names, [&](auto n) { return equal_ignoring_case(name, n); });
}

}  // namespace

Result<std::string> fold(std::string_view name, std::string_view value) {
    if (!is_name(name))
        return fail(ErrorKind::protocol, "a header field's name holds characters that it may not hold");
    for (char c : value)
        if ((static_cast<unsigned char>(c) < 32 && c != '\t') || static_cast<unsigned char>(c) >= 127)
            return fail(ErrorKind::protocol,
                        "the header field " + std::string(name) + " holds a control or 8-bit character");
    auto folded = fold_value(name.size() + 2, value);
    if (!folded)
        return fail(ErrorKind::protocol, "the header field " + std::string(name) + " cannot be folded");
    return std::string(name) + ": " + *folded + "\r\n";
}

std::string sanitize_for_header(std::string_view name, std::string_view raw_value) {
    if (!is_name(name)) return {};
    raw_value = raw_value.substr(0, max_raw);
    std::string_view base = name;
    if (base.size() > 7 && equal_ignoring_case(base.substr(0, 7), "Resent-")) base.remove_prefix(7);
    std::string value;
    if (is_one_of(base, {"From", "Sender", "Reply-To", "To", "Cc", "Bcc"})) {
        value = sanitized_addresses(raw_value);
    } else if (is_one_of(base, {"Message-ID", "In-Reply-To", "References"})) {
        value = sanitized_ids(raw_value, is_one_of(base, {"Message-ID"}));
    } else if (is_one_of(base, {"Date"})) {
        auto date = parse_date(unfold(raw_value));
        if (date) value = write_date(*date);
    } else {
        value = sanitized_text(raw_value);
    }
    return fold_value(name.size() + 2, value).value_or("");
}

std::string sanitize_field(std::string_view name, std::string_view raw_value) {
    std::string value = sanitize_for_header(name, raw_value);
    return value.empty() ? "" : std::string(name) + ": " + value + "\r\n";
}

}  // namespace fwmail::mime
