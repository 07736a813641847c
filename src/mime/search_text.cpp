#include "mime/search_text.hpp"

#include <algorithm>

#include "mime/charset.hpp"
#include "mime/encoded_word.hpp"
#include "mime/fold.hpp"
#include "mime/header.hpp"
#include "mime/html_text.hpp"
#include "mime/transfer.hpp"

namespace fwmail::mime {
namespace {

constexpr std::uint64_t block = 64 * 1024;
constexpr int deepest = 100;  // as parse_part admits

// Takes the text as it comes; false: enough.
class Sink {
  public:
    virtual ~Sink() = default;
    virtual bool field(std::string_view folded_line) = 0;
    virtual bool text(std::string_view folded) = 0;
    virtual bool end_part() = 0;
};

std::string folded_field(const Field& field) {
    return fold(field.name) + ": " + fold(decode_header(unfold(field.value)));
}

Result<bool> read_fields(const Part& part, const ReadOctets& read,
                         const std::function<bool(std::string)>& take) {
    if (!part.header.length) return true;
    Range range{part.header.offset, std::min<std::uint64_t>(part.header.length, search_header_limit)};
    std::string octets = TRY(read(range));
    for (const auto& field : HeaderView(octets))
        if (!take(folded_field(field))) return false;
    return true;
}

// From the octets of one part to folded text.
class Pipeline {
  public:
    explicit Pipeline(const Part& part)
        : transfer_(transfer_encoding(part.encoding)),
          charset_(charset_of(part)),
          html_(part.subtype == "html") {}

    std::string feed(std::string_view octets) {
        std::string decoded, text;
        transfer_.feed(octets, decoded);
        charset_.feed(decoded, text);
        return on(text, false);
    }
    std::string finish() {
        std::string decoded, text;
        transfer_.finish(decoded);
        charset_.feed(decoded, text);
        charset_.finish(text);
        return on(text, true);
    }

  private:
    static std::string charset_of(const Part& part) {
        const auto* given = find_parameter(part.parameters, "charset");
        return given ? *given : std::string();
    }
    std::string on(const std::string& text, bool last) {
        if (!html_) return fold(text);
        std::string plain;
        markup_.feed(text, plain);
        if (last) markup_.finish(plain);
        return fold(plain);
    }

    TransferDecoder transfer_;
    CharsetDecoder charset_;
    HtmlText markup_;
    bool html_;
};

Result<bool> read_leaf(const Part& part, const ReadOctets& read, Sink& sink) {
    Pipeline pipeline(part);
    for (std::uint64_t at = 0; at < part.body.length; at += block) {
        std::string octets =
            TRY(read({part.body.offset + at, std::min<std::uint64_t>(block, part.body.length - at)}));
        if (!sink.text(pipeline.feed(octets))) return false;
    }
    return sink.text(pipeline.finish()) && sink.end_part();
}

// The text below a part; the header of the part itself is its parent's to read.
Result<bool> read_body(const Part& part, const ReadOctets& read, Sink& sink, int depth) {
    if (depth > deepest) return true;
    for (const auto& child : part.children) {
        if (part.is_message()) {
            auto line = [&](std::string field) { return sink.text(field) && sink.end_part(); };
            if (!TRY(read_fields(child, read, line))) return false;
        }
        if (!TRY(read_body(child, read, sink, depth + 1))) return false;
    }
    // Reports of delivery, and messages that are encoded, are read as text too.
    if (!part.children.empty() || (part.type != "text" && part.type != "message")) return true;
    return read_leaf(part, read, sink);
}

class Collector final : public Sink {
  public:
    explicit Collector(std::size_t limit) : limit_(limit) {}
    bool field(std::string_view line) override { return add(text_.header, line, true); }
    bool text(std::string_view folded) override { return add(text_.body, folded, false); }
    bool end_part() override { return add(text_.body, {}, true); }
    SearchText take() { return std::move(text_); }

  private:
    bool add(std::string& to, std::string_view text, bool end) {
        if (text_.size() + text.size() + 1 > limit_) return text_.whole = false;
        to += text;
        if (end) to += '\0';
        return true;
    }
    std::size_t limit_;
    SearchText text_;
};

// Keeps as much of what has passed as may begin the needle.
class Finder final : public Sink {
  public:
    explicit Finder(std::string_view needle) : needle_(needle) {}
    bool field(std::string_view line) override {
        found_ = contains(line, needle_);
        return !found_;
    }
    bool text(std::string_view folded) override {
        window_ += folded;
        found_ = contains(window_, needle_);
        if (window_.size() >= needle_.size()) window_.erase(0, window_.size() - (needle_.size() - 1));
        return !found_;
    }
    bool end_part() override {
        window_.clear();
        return true;
    }
    bool found() const { return found_; }

  private:
    std::string_view needle_;
    std::string window_;
    bool found_ = false;
};

// Calls `take` with each piece of `text` that a NUL ends, until it says true.
template <class Take>
bool any_piece(std::string_view text, Take take) {
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\0'), text.size() - 1);
        if (take(text.substr(0, end))) return true;
        text.remove_prefix(end + 1);
    }
    return false;
}

}  // namespace

bool SearchText::header_contains(std::string_view name, std::string_view needle) const {
    return any_piece(header, [&](std::string_view line) {
        if (!line.starts_with(name) || !line.substr(name.size()).starts_with(": ")) return false;
        return contains(line.substr(name.size() + 2), needle);
    });
}

// No needle has a NUL, so none is found across two pieces.
bool SearchText::body_contains(std::string_view needle) const { return contains(body, needle); }
bool SearchText::text_contains(std::string_view needle) const {
    return contains(header, needle) || contains(body, needle);
}

Result<SearchText> read_search_text(const Part& root, const ReadOctets& read, std::size_t limit) {
    Collector sink(limit);
    auto line = [&](std::string field) { return sink.field(field); };
    if (TRY(read_fields(root, read, line))) TRY(read_body(root, read, sink, 0));
    return sink.take();
}

Result<SearchText> read_search_header(const Part& root, const ReadOctets& read) {
    SearchText text;
    auto line = [&](const std::string& field) {
        (text.header += field) += '\0';
        return true;
    };
    TRY(read_fields(root, read, line));
    return text;
}

Result<bool> stream_contains(const Part& root, const ReadOctets& read, std::string_view needle,
                             bool with_header) {
    if (needle.empty()) return true;
    Finder sink(needle);
    auto line = [&](std::string field) { return sink.field(field); };
    if (!with_header || TRY(read_fields(root, read, line))) TRY(read_body(root, read, sink, 0));
    return sink.found();
}

std::string write_search_text(const SearchText& text) {
    return std::to_string(text.header.size()) + ' ' + text.header + text.body;
}

Result<SearchText> parse_search_text(std::string_view octets) {
    std::size_t length = 0, digits = 0;
    while (digits < octets.size() && digits < 10 && octets[digits] >= '0' && octets[digits] <= '9')
        length = length * 10 + static_cast<std::size_t>(octets[digits++] - '0');
    if (!digits || !octets.substr(digits).starts_with(' ') || octets.size() - digits - 1 < length)
        return fail(ErrorKind::internal, "a stored text for searching is damaged");
    octets.remove_prefix(digits + 1);
    return SearchText{std::string(octets.substr(0, length)), std::string(octets.substr(length)), true};
}

}  // namespace fwmail::mime
