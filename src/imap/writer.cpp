#include "imap/writer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "base/encoding.hpp"
#include "imap/parser.hpp"

namespace fwmail::imap {
namespace {

// Longer strings go as literals: clients' line buffers are short.
constexpr std::size_t longest_quoted = 1000;

}  // namespace

std::string write_string(std::string_view text) {
    std::string without_nul;
    if (text.find('\0') != std::string_view::npos) {
        without_nul = text;
        std::erase(without_nul, '\0');
        text = without_nul;
    }
    bool quotable = text.size() <= longest_quoted && std::ranges::none_of(text, [](char c) {
                        return c == '\r' || c == '\n' || static_cast<unsigned char>(c) >= 0x80;
                    });
    if (!quotable) return '{' + std::to_string(text.size()) + "}\r\n" + std::string(text);
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string write_nstring(const std::optional<std::string>& text) {
    return text ? write_string(*text) : "NIL";
}

std::string write_astring(std::string_view text) {
    bool atom =
        !text.empty() && std::ranges::all_of(text, is_astring_char) && !equal_ignoring_case(text, "NIL");
    return atom ? std::string(text) : write_string(text);
}

std::string write_mailbox(std::string_view utf8_name) {
    return write_astring(encode_mailbox_name(utf8_name));
}

std::string write_utf8_mailbox(std::string_view utf8_name) {
    if (std::ranges::all_of(utf8_name, [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
        return write_astring(utf8_name);
    std::string out = "\"";
    for (char c : utf8_name) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string write_section(const Section& section) {
    std::string out = section.binary ? "BINARY[" : "BODY[";
    for (std::uint32_t number : section.part) out += (out.ends_with('[') ? "" : ".") + std::to_string(number);
    auto add = [&](std::string_view word) { out += (out.ends_with('[') ? "" : ".") + std::string(word); };
    switch (section.what) {
        case Section::What::all:
            break;
        case Section::What::header:
            add("HEADER");
            break;
        case Section::What::header_fields:
            add("HEADER.FIELDS");
            break;
        case Section::What::header_fields_not:
            add("HEADER.FIELDS.NOT");
            break;
        case Section::What::mime:
            add("MIME");
            break;
        case Section::What::text:
            add("TEXT");
            break;
    }
    for (std::size_t i = 0; i < section.names.size(); ++i)
        out += (i == 0 ? " (" : " ") + write_astring(section.names[i]);
    if (!section.names.empty()) out += ')';
    out += ']';
    if (section.partial) out += '<' + std::to_string(section.partial->offset) + '>';
    return out;
}

std::string write_internal_date(UnixMillis when) {
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    // The grammar has four digits for the year.
    std::int64_t millis = std::clamp<std::int64_t>(when.value, -62135596800000, 253402300799000);
    std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(millis)};
    auto days = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day date(days);
    std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - days));
    char out[64];
    std::snprintf(out, sizeof out, "\"%02u-%s-%04d %02d:%02d:%02d +0000\"", static_cast<unsigned>(date.day()),
                  months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()));
    return out;
}

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 20> digits{};
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

void append_flags(std::string& out, const FlagSet& flags, bool recent) {
    out += '(';
    std::size_t begin = out.size();
    flags.append_text(out);
    if (recent) out += out.size() == begin ? "\\Recent" : " \\Recent";
    out += ')';
}

std::string write_flags(const FlagSet& flags, bool recent) {
    std::string out;
    append_flags(out, flags, recent);
    return out;
}

std::string write_uid_set(const std::vector<Uid>& uids) {
    std::string out;
    for (std::size_t i = 0; i < uids.size();) {
        std::size_t end = i + 1;
        while (end < uids.size() && uids[end].value == uids[end - 1].value + 1) ++end;
        if (!out.empty()) out += ',';
        out += std::to_string(uids[i].value);
        if (end - i > 1) out += ':' + std::to_string(uids[end - 1].value);
        i = end;
    }
    return out;
}

std::string write_uid_set(const UidSet& uids) {
    std::string out;
    for (const auto& run : uids.list()) {
        if (!out.empty()) out += ',';
        out += std::to_string(run.first);
        if (run.last != run.first) out += ':' + std::to_string(run.last);
    }
    return out;
}

std::string write_text(std::string_view text) {
    std::string out(text.substr(0, 400));
    for (char& c : out)
        if (c < 0x20 || c >= 0x7f) c = '?';
    if (out.empty() || out[0] == '[') out.insert(0, "- ");
    return out;
}

}  // namespace fwmail::imap
