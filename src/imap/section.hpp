// Body sections: what BODY[...]<...> names, and where in the message it lies. RFC 9051 6.4.5.1, RFC
// 3501 6.4.5. Pure: locate() says which octets; whoever holds the message reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mime/part.hpp"

namespace fwmail::imap {

// <offset.length>; length is at least 1.
struct Partial {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    auto operator<=>(const Partial&) const = default;
};

struct Section {
    enum class What {
        all,                // BODY[], BODY[1.2]
        header,             // HEADER
        header_fields,      // HEADER.FIELDS (names)
        header_fields_not,  // HEADER.FIELDS.NOT (names)
        mime,               // 1.2.MIME; never without a part number
        text,               // TEXT
    };
    std::vector<std::uint32_t> part;  // from 1; empty: the whole message
    What what = What::all;
    std::vector<std::string> names;  // as the client spelled them
    std::optional<Partial> partial;
    bool binary =
        false;  // transfer encoding undone (RFC 3516); only with `all`; the partial is of what comes out
    bool operator==(const Section&) const = default;
};

// How to make the octets of a section. Unfiltered: send `range` of the message as it is (the partial is
// applied already). Filtered: read `range`, a header, and send section_of_header() of it.
struct SectionPlan {
    mime::Range range;
    bool filtered = false;
    bool operator==(const SectionPlan&) const = default;
};

// The part that a section's numbers name, if there is one (RFC 9051 6.4.5.1).
const mime::Part* find_part(const mime::Part& root, const std::vector<std::uint32_t>& numbers);

// Nothing when the message has no such part (answered NIL). Linear in the depth of the tree.
std::optional<SectionPlan> locate(const mime::Part& root, const Section& section, std::uint64_t message_size);

// The fields of `header` whose name is among `names` (or, with `negate`, is not), as they stand, folding and
// all, and the empty line. Names are compared without case.
std::string filter_header(std::string_view header, const std::vector<std::string>& names, bool negate);

// filter_header() with the section's names and then its partial: the octets to send for a filtered plan.
std::string section_of_header(std::string_view header, const Section& section);

// `octets` cut to `partial`; empty when it begins behind the end.
std::string_view cut(std::string_view octets, const std::optional<Partial>& partial);

}  // namespace fwmail::imap
