#include "mime/header.hpp"

#include "base/encoding.hpp"

namespace fwmail::mime {

namespace {

bool is_wsp(char c) { return c == ' ' || c == '\t'; }

std::string_view without_ending(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

// The length of the field name before a colon, or npos.
std::size_t name_length(std::string_view line) {
    std::size_t i = 0;
    while (i < line.size() && static_cast<unsigned char>(line[i]) > 32 && line[i] != 127 && line[i] != ':')
        ++i;
    std::size_t name = i;
    while (i < line.size() && is_wsp(line[i])) ++i;
    return name > 0 && i < line.size() && line[i] == ':' ? name : std::string_view::npos;
}

Range range_of(std::string_view block, std::string_view piece) {
    return {static_cast<std::uint64_t>(piece.data() - block.data()), piece.size()};
}

}  // namespace

bool Field::is(std::string_view other) const { return !name.empty() && equal_ignoring_case(name, other); }

bool starts_field(std::string_view line) { return name_length(line) != std::string_view::npos; }

bool is_mbox_from(std::string_view line) {
    if (line.starts_with('>')) line.remove_prefix(1);
    return line.starts_with("From ");
}

HeaderView::HeaderView(std::string_view block) : block_(block) {
    std::size_t at = 0;
    while (at < block.size()) {
        std::size_t lf = block.find('\n', at);
        std::size_t next = lf == std::string_view::npos ? block.size() : lf + 1;
        std::string_view line = block.substr(at, next - at);
        if (lf != std::string_view::npos && without_ending(line).empty()) {
            at = next;
            break;
        }
        bool folded = is_wsp(line[0]) && !fields_.empty();
        if (!folded && fields_.size() == max_fields) break;
        if (folded) {  // a fold belongs to the field, or the junk line, before it
            auto& field = fields_.back();
            field.whole.length = next - field.whole.offset;
        } else {
            Field field;
            field.whole = {at, line.size()};
            std::size_t name = name_length(line);
            if (name != std::string_view::npos) field.name = line.substr(0, name);
            fields_.push_back(field);
        }
        at = next;
    }
    length_ = at;
    for (auto& field : fields_) {
        std::string_view all = without_ending(text(field));
        std::size_t colon = field.name.empty() ? 0 : all.find(':', field.name.size()) + 1;
        field.value = all.substr(colon);
        field.value_range = range_of(block_, field.value);
    }
}

const Field* HeaderView::find(std::string_view name) const {
    for (const auto& field : fields_)
        if (field.is(name)) return &field;
    return nullptr;
}

std::vector<const Field*> HeaderView::find_all(std::string_view name) const {
    std::vector<const Field*> found;
    for (const auto& field : fields_)
        if (field.is(name)) found.push_back(&field);
    return found;
}

std::optional<std::string> HeaderView::value(std::string_view name) const {
    const Field* field = find(name);
    if (!field) return std::nullopt;
    return unfold(field->value);
}

std::string unfold(std::string_view raw_value) {
    std::string out;
    out.reserve(raw_value.size());
    for (std::size_t i = 0; i < raw_value.size(); ++i) {
        char c = raw_value[i];
        if (c == '\0' || c == '\n') continue;
        if (c != '\r')
            out += c;
        else if (i + 1 < raw_value.size() && raw_value[i + 1] != '\n')
            out += ' ';
    }
    std::size_t from = out.find_first_not_of(" \t");
    if (from == std::string::npos) return {};
    return out.substr(from, out.find_last_not_of(" \t") - from + 1);
}

namespace {

// Reads one parameterized value; comments may stand anywhere outside of words (RFC 822 3.1.4).
class ParameterReader {
  public:
    explicit ParameterReader(std::string_view text) : text_(text) {}

    bool done() const { return at_ >= text_.size(); }

    // White space and comments. A comment that does not end takes the rest.
    void skip_space() {
        while (!done()) {
            char c = text_[at_];
            if (c == '(')
                skip_comment();
            else if (is_wsp(c) || c == '\r' || c == '\n')
                ++at_;
            else
                return;
        }
    }
    // Up to any of `stops`, a comment after white space excluded; trimmed.
    std::string word(std::string_view stops) {
        std::string out;
        while (!done() && stops.find(text_[at_]) == std::string_view::npos) {
            if (text_[at_] == '(' && (out.empty() || is_wsp(out.back())))
                skip_comment();
            else
                out += text_[at_++];
        }
        while (!out.empty() && is_wsp(out.back())) out.pop_back();
        return out;
    }
    std::string quoted() {
        std::string out;
        for (++at_; !done(); ++at_) {
            char c = text_[at_];
            if (c == '"') break;
            if (c == '\\' && at_ + 1 < text_.size()) c = text_[++at_];
            out += c;
        }
        if (!done()) ++at_;
        return out;
    }
    char peek() const { return text_[at_]; }
    void skip() { ++at_; }

  private:
    void skip_comment() {
        int depth = 0;
        for (; !done(); ++at_) {
            if (text_[at_] == '\\')
                ++at_;
            else if (text_[at_] == '(')
                ++depth;
            else if (text_[at_] == ')' && --depth == 0)
                break;
        }
        at_ = std::min(at_ + 1, text_.size());
    }
    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

ParameterizedValue parse_parameterized(std::string_view value, std::size_t limit) {
    ParameterizedValue out;
    ParameterReader reader(value);
    reader.skip_space();
    out.value = ascii_lower(reader.word(";"));
    std::erase_if(out.value, [](char c) { return is_wsp(c) || c == '\r' || c == '\n'; });
    while (!reader.done() && out.parameters.size() < limit) {
        reader.skip();  // the semicolon
        reader.skip_space();
        std::string name = ascii_lower(reader.word("=;"));
        if (reader.done() || reader.peek() == ';') continue;  // no value: nothing to keep
        reader.skip();
        reader.skip_space();
        std::string text;
        if (!reader.done() && reader.peek() == '"') {
            text = reader.quoted();
            reader.word(";");  // what follows a quoted value is junk
        } else {
            text = reader.word(";");
        }
        if (!name.empty()) out.parameters.emplace_back(std::move(name), std::move(text));
    }
    return out;
}

const std::string* find_parameter(const Parameters& parameters, std::string_view name) {
    for (const auto& [n, value] : parameters)
        if (n == name) return &value;
    return nullptr;
}

}  // namespace fwmail::mime
