#include "imap/section.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/encoding.hpp"

namespace fwmail::imap {
namespace {

using What = Section::What;

mime::Range cut_range(mime::Range range, const std::optional<Partial>& partial) {
    if (!partial) return range;
    std::uint64_t offset = std::min(partial->offset, range.length);
    return {range.offset + offset, std::min(partial->length, range.length - offset)};
}

}  // namespace

// The part that `numbers` names (RFC 3501 6.4.5): each number picks a child of a multipart; a message that is
// not a multipart has one part, 1, itself; a number below message/rfc822 counts in the message within.
const mime::Part* find_part(const mime::Part& root, const std::vector<std::uint32_t>& numbers) {
    const mime::Part* part = &root;
    bool message = true;  // `part` is a message's top part, so that 1 may name it itself
    for (std::uint32_t number : numbers) {
        if (!message && part->is_message()) {
            part = &part->children[0];
            message = true;
        }
        if (part->is_multipart()) {
            if (number > part->children.size()) return nullptr;
            part = &part->children[number - 1];
        } else if (!message || number != 1) {
            return nullptr;
        }
        message = false;
    }
    return part;
}

std::optional<SectionPlan> locate(const mime::Part& root, const Section& section,
                                  std::uint64_t message_size) {
    const mime::Part* part = find_part(root, section.part);
    if (!part) return std::nullopt;
    bool whole = section.part.empty();
    if (section.what == What::all)
        return SectionPlan{cut_range(whole ? mime::Range{0, message_size} : part->body, section.partial),
                           false};
    if (section.what == What::mime) return SectionPlan{cut_range(part->header, section.partial), false};
    // HEADER and TEXT are a message's: of the whole one, or of the one in a message/rfc822 part.
    const mime::Part* message = whole ? part : part->is_message() ? &part->children[0] : nullptr;
    if (!message) return std::nullopt;
    switch (section.what) {
        case What::header:
            return SectionPlan{cut_range(message->header, section.partial), false};
        case What::text:
            return SectionPlan{cut_range(message->body, section.partial), false};
        case What::header_fields:
        case What::header_fields_not:
            return SectionPlan{message->header, true};
        case What::all:
        case What::mime:
            break;
    }
    return std::nullopt;
}

std::string filter_header(std::string_view header, const std::vector<std::string>& names, bool negate) {
    // Few names, as clients ask for them, are found faster by going through them.
    constexpr std::size_t few = 20;
    std::unordered_set<std::string> wanted;
    if (names.size() > few)
        for (const auto& name : names) wanted.insert(ascii_lower(name));
    auto is_wanted = [&](std::string_view field) {
        if (names.size() > few) return wanted.contains(ascii_lower(field));
        return std::ranges::any_of(names, [&](const auto& name) { return equal_ignoring_case(name, field); });
    };
    std::string out;
    bool keep = false;
    while (!header.empty()) {
        std::size_t end = header.find('\n');
        std::string_view line = header.substr(0, end == std::string_view::npos ? end : end + 1);
        header.remove_prefix(line.size());
        if (line == "\r\n" || line == "\n") break;
        if (line[0] != ' ' && line[0] != '\t') {
            std::string_view name = line.substr(0, line.find(':'));
            while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
            // A line that is no field belongs to none, asked for or not.
            bool field = line.find(':') != std::string_view::npos;
            keep = field && is_wanted(name) != negate;
        }
        if (keep) out += line;
    }
    if (!out.empty() && !out.ends_with('\n')) out += "\r\n";
    // "...includes the delimiting blank line" (RFC 3501 6.4.5), whether or not a field was found.
    return out + "\r\n";
}

std::string section_of_header(std::string_view header, const Section& section) {
    std::string filtered = filter_header(header, section.names, section.what == What::header_fields_not);
    return std::string(cut(filtered, section.partial));
}

std::string_view cut(std::string_view octets, const std::optional<Partial>& partial) {
    if (!partial) return octets;
    if (partial->offset >= octets.size()) return {};
    return octets.substr(partial->offset, partial->length);
}

}  // namespace fwmail::imap
