// A header as a sequence of fields (RFC 5322 2.2), tolerantly: junk lines are kept as fields without a name,
// so that the fields of a block, in order, are its octets up to the empty line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mime/part.hpp"

namespace fwmail::mime {

struct Field {
    std::string_view name;  // as spelled, without colon; empty for a line that is no field
    std::string_view
        value;    // raw: after the colon, with folds, without the last line ending; a junk line's whole text
    Range whole;  // in the block: from the name to the last line ending, included
    Range value_range;                      // `value` in the block
    bool is(std::string_view other) const;  // compares the name ignoring case; never true of a junk line
};

class HeaderView {
  public:
    static constexpr std::size_t max_fields = 20'000;  // the lines after these belong to no field

    // Reads up to the first empty line (or the end). The view points into `block`, which must outlive it.
    explicit HeaderView(std::string_view block);

    const std::vector<Field>& fields() const { return fields_; }
    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }
    // The first field of that name, or null.
    const Field* find(std::string_view name) const;
    std::vector<const Field*> find_all(std::string_view name) const;
    // The first such field unfolded, or nullopt.
    std::optional<std::string> value(std::string_view name) const;
    std::string_view text(const Field& field) const {
        return block_.substr(field.whole.offset, field.whole.length);
    }
    // Octets of the fields together with the empty line; what follows is not header.
    std::size_t length() const { return length_; }

  private:
    std::string_view block_;
    std::vector<Field> fields_;
    std::size_t length_ = 0;
};

// RFC 5322 2.2.3: line endings go, white space stays; trimmed at both ends. A CR that ends no line becomes a
// space and NUL is dropped, so the result holds no CR, LF or NUL.
std::string unfold(std::string_view raw_value);

// Whether a line (or the first 512 octets of a longer one) starts a field: a name without white space and
// controls, then perhaps white space (RFC 5322 4.5), then a colon.
bool starts_field(std::string_view line);
// An mbox separator at the head of a message: "From " or ">From ".
bool is_mbox_from(std::string_view line);

// `type/subtype; name=value` as in Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2183): comments
// dropped, names lower-case, values unquoted, RFC 2231 pieces left as they are. Never fails; at most `limit`
// parameters.
struct ParameterizedValue {
    std::string value;  // lower-case, without white space: "text/plain", "attachment"
    Parameters parameters;
};
ParameterizedValue parse_parameterized(std::string_view value, std::size_t limit = 100);
// The first parameter of that (lower-case) name, raw, or null.
const std::string* find_parameter(const Parameters& parameters, std::string_view name);

}  // namespace fwmail::mime
