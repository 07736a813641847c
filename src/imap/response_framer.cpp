#include "imap/response_framer.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/encoding.hpp"

namespace fwmail::imap {
namespace {

// `{n}` or `~{n}` (RFC 3516) at the end of a line.
std::optional<std::uint64_t> literal_at_end(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    std::size_t open = line.rfind('{');
    if (open == std::string_view::npos) return std::nullopt;
    std::string_view digits = line.substr(open + 1, line.size() - open - 2);
    std::uint64_t size = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return size;
}

// RFC 9051 7.1: `resp-text` holds no literal, so `* OK hello {5}` ends there.
bool is_status(std::string_view text) {
    std::size_t word = text.find(' ');
    if (word == std::string_view::npos) return false;
    std::string_view rest = text.substr(word + 1);
    rest = rest.substr(0, rest.find(' '));
    for (std::string_view condition : {"OK", "NO", "BAD", "BYE", "PREAUTH"})
        if (equal_ignoring_case(rest, condition)) return true;
    return false;
}

bool ends_with_item(std::string_view text, std::string_view item) {
    return text.size() > item.size() && equal_ignoring_case(text.substr(text.size() - item.size()), item) &&
           (text[text.size() - item.size() - 1] == ' ' || text[text.size() - item.size() - 1] == '(');
}

// Whether the string that follows is a message's content: `* 12 FETCH (... BODY[...]<0> `. `octets` before it
// end with a literal, which may hold anything and says nothing.
bool content_follows(std::string_view text, std::size_t octets) {
    if (!text.starts_with("* ")) return false;
    std::size_t word = text.find(' ', 2);
    if (word == std::string_view::npos || !equal_ignoring_case(text.substr(word + 1, 6), "FETCH "))
        return false;
    text.remove_prefix(octets);
    if (text.ends_with('~')) text.remove_suffix(1);
    if (!text.ends_with(' ')) return false;
    text.remove_suffix(1);
    return text.ends_with(']') || text.ends_with('>') || ends_with_item(text, "RFC822") ||
           ends_with_item(text, "RFC822.TEXT") || ends_with_item(text, "RFC822.HEADER");
}

}  // namespace

std::optional<ResponseEvent> ResponseFramer::next() {
    while (!dead_) {
        bool literal = in_literal_;
        auto event = literal ? next_literal() : next_line();
        if (event || literal == in_literal_) return event;
    }
    return std::nullopt;
}

std::optional<ResponseEvent> ResponseFramer::next_line() {
    std::size_t end = buffer_.find('\n', scanned_);
    std::size_t size = (end == std::string::npos ? buffer_.size() : end) - head_;
    if (text_.size() + size > limits_.response) return broken("the server sent a response that is too long");
    if (end == std::string::npos) {
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string_view line = std::string_view(buffer_).substr(head_, size);
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto literal = literal_at_end(line);
    if (literal && is_status(text_.empty() ? line : std::string_view(text_))) literal.reset();
    std::string_view before = literal ? line.substr(0, line.rfind('{')) : line;
    text_ += before;
    head_ = scanned_ = end + 1;
    if (!literal) {
        compact();
        after_literal_ = 0;
        return FramedResponse{std::exchange(text_, {})};
    }
    streaming_ = content_follows(text_, after_literal_);
    if (text_.ends_with('~')) text_.pop_back();
    std::uint64_t limit = streaming_ ? limits_.streamed : limits_.response - text_.size();
    if (*literal > limit) return broken("the server sent a literal that is too long");
    in_literal_ = true;
    literal_ = *literal;
    if (!streaming_) {
        text_ += '{' + std::to_string(literal_) + "}\r\n";
        return std::nullopt;
    }
    StreamBegin begin{text_, literal_};
    text_ += "{~" + std::to_string(literal_) + "}\r\n";
    return begin;
}

std::optional<ResponseEvent> ResponseFramer::next_literal() {
    std::size_t count = std::min<std::uint64_t>(literal_, buffer_.size() - head_);
    if (count == 0 && literal_ > 0) return std::nullopt;
    std::string octets = buffer_.substr(head_, count);
    head_ += count;
    scanned_ = head_;
    literal_ -= count;
    in_literal_ = literal_ > 0;
    if (!streaming_) text_ += octets;
    after_literal_ = text_.size();
    compact();
    if (streaming_ && !octets.empty()) return StreamData{std::move(octets)};
    return std::nullopt;
}

void ResponseFramer::compact() {
    if (head_ <= buffer_.size() / 2) return;
    buffer_.erase(0, head_);
    scanned_ -= head_;
    head_ = 0;
}

void ResponseFramer::clear() {
    buffer_.clear();
    text_.clear();
    head_ = scanned_ = after_literal_ = 0;
    in_literal_ = streaming_ = false;
    literal_ = 0;
}

ResponseEvent ResponseFramer::broken(std::string why) {
    clear();
    dead_ = true;
    return BrokenResponse{std::move(why)};
}

}  // namespace fwmail::imap
