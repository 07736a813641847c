#include "smtp/reply.hpp"

#include <algorithm>

namespace fwmail::smtp {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c < ' ' || c > '~') c = '?';
    return out;
}

// One to three digits.
std::optional<std::uint16_t> take_number(std::string_view& text) {
    std::uint16_t value = 0;
    std::size_t used = 0;
    while (used < text.size() && used < 3 && is_digit(text[used]))
        value = static_cast<std::uint16_t>(value * 10 + (text[used++] - '0'));
    if (used == 0) return std::nullopt;
    text.remove_prefix(used);
    return value;
}

}  // namespace

std::string EnhancedStatus::text() const {
    if (is_none()) return {};
    return std::to_string(status_class) + '.' + std::to_string(subject) + '.' + std::to_string(detail);
}

// RFC 3463 2: status-code = class "." subject "." detail
std::optional<EnhancedStatus> take_enhanced_status(std::string_view& text) {
    std::string_view rest = text;
    if (rest.size() < 5 || (rest[0] != '2' && rest[0] != '4' && rest[0] != '5') || rest[1] != '.')
        return std::nullopt;
    EnhancedStatus status;
    status.status_class = static_cast<std::uint16_t>(rest[0] - '0');
    rest.remove_prefix(2);
    auto subject = take_number(rest);
    if (!subject || rest.empty() || rest[0] != '.') return std::nullopt;
    rest.remove_prefix(1);
    auto detail = take_number(rest);
    if (!detail || (!rest.empty() && rest[0] != ' ')) return std::nullopt;
    status.subject = *subject;
    status.detail = *detail;
    text = rest.substr(std::min<std::size_t>(1, rest.size()));
    return status;
}

std::string Reply::one_line() const {
    std::string out = std::to_string(code);
    if (!status.is_none()) out += ' ' + status.text();
    if (!text.empty()) out += ' ' + text;
    std::ranges::replace(out, '\n', ' ');
    return printable(out);
}

std::string write_reply(const Reply& reply) {
    constexpr std::size_t longest = 480;
    std::string out;
    std::string_view rest = reply.text;
    for (bool last = false; !last;) {
        std::size_t end = rest.find('\n');
        last = end == std::string_view::npos;
        std::string_view line = rest.substr(0, end);
        if (!last) rest.remove_prefix(end + 1);
        out += std::to_string(reply.code);
        out += last ? ' ' : '-';
        if (!reply.status.is_none()) out += reply.status.text() + ' ';
        out += printable(line.substr(0, longest));
        out += "\r\n";
    }
    return out;
}

void ReplyParser::clear() {
    buffer_.clear();
    position_ = 0;
    partial_ = {};
    lines_ = octets_ = 0;
    failed_ = false;
}

Result<std::optional<Reply>> ReplyParser::next() {
    if (failed_) return fail(ErrorKind::protocol, "the server sent what is no SMTP reply");
    for (;;) {
        std::size_t end = buffer_.find('\n', position_);
        std::size_t length = (end == std::string::npos ? buffer_.size() : end + 1) - position_;
        octets_ += end == std::string::npos ? 0 : length;
        if (length > max_line || octets_ > max_octets) {
            failed_ = true;
            return fail(ErrorKind::protocol, "the server's reply is too long");
        }
        if (end == std::string::npos) {
            buffer_.erase(0, position_);
            position_ = 0;
            return std::nullopt;
        }
        std::string_view line(buffer_.data() + position_, length - 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        auto complete = take_line(line);
        position_ = end + 1;
        if (!complete) {
            failed_ = true;
            return std::unexpected(complete.error());
        }
        if (!*complete) continue;
        Reply reply = std::move(partial_);
        partial_ = {};
        lines_ = octets_ = 0;
        return reply;
    }
}

// RFC 5321 4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
Result<bool> ReplyParser::take_line(std::string_view line) {
    bool shaped = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && line[1] >= '0' && line[1] <= '5' &&
                  is_digit(line[2]) && (line.size() == 3 || line[3] == ' ' || line[3] == '-');
    if (!shaped) return fail(ErrorKind::protocol, "the server sent what is no SMTP reply");
    int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (lines_ > 0 && code != partial_.code)
        return fail(ErrorKind::protocol, "the lines of a reply bear different codes");
    if (++lines_ > max_lines) return fail(ErrorKind::protocol, "the server's reply has too many lines");
    bool last = line.size() == 3 || line[3] == ' ';
    std::string_view text = line.substr(std::min<std::size_t>(4, line.size()));
    std::string_view rest = text;
    if (auto status = take_enhanced_status(rest); status && status->status_class == code / 100) {
        text = rest;
        if (lines_ == 1) partial_.status = *status;
    }
    partial_.code = code;
    if (lines_ > 1) partial_.text += '\n';
    partial_.text += text;
    return last;
}

}  // namespace fwmail::smtp
