#include "imap/framer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/encoding.hpp"
#include "base/secret.hpp"

namespace fwmail::imap {
namespace {

// A marker `{n+}` of any number that is not surely too large fits in this.
constexpr std::size_t longest_marker = 24;
// Flags and date of a further message of one APPEND.
constexpr std::size_t longest_tail = 8 * 1024;

}  // namespace

std::optional<FrameEvent> Framer::next() {
    for (;;) {
        State before = state_;
        std::size_t had = buffered();
        std::optional<FrameEvent> event;
        switch (state_) {
            case State::line:
                event = on_line();
                break;
            case State::literal:
                event = on_literal();
                break;
            case State::message:
                event = on_message();
                break;
            case State::message_end:
                event = on_message_end();
                break;
            case State::skip_line:
                event = on_skip_line();
                break;
            case State::skip_octets:
                on_skip_octets();
                break;
            case State::held:
            case State::dead:
                return std::nullopt;
        }
        if (event) return event;
        if (state_ == before && buffered() == had) return std::nullopt;
    }
}

void Framer::accept_message() {
    remaining_ = message_.size;
    state_ = State::message;
}

void Framer::refuse_message() {
    wipe(command_);
    state_ = State::line;
    if (message_.synchronising) return;
    remaining_ = message_.size;
    state_ = State::skip_octets;
}

void Framer::discard() {
    wipe(buffer_);
    wipe(command_);
    head_ = scanned_ = 0;
    line_expected_ = false;
    if (state_ != State::dead) state_ = State::line;
}

// Takes `count` octets off the front; what may have held a password is wiped.
void Framer::consume(std::size_t count, bool wiped) {
    if (wiped) explicit_bzero(buffer_.data() + head_, count);
    head_ += count;
    scanned_ = std::max(scanned_, head_);
    if (head_ == buffer_.size()) {
        buffer_.clear();
        if (buffer_.capacity() > 1024) buffer_.shrink_to_fit();  // thousands of sessions are idle
        head_ = scanned_ = 0;
    } else if (head_ > 16 * 1024 && head_ > buffer_.size() / 2) {
        buffer_.erase(0, head_);
        scanned_ -= head_;
        head_ = 0;
    }
}

// A whole line without its end. A bare LF ends a line too: nothing hangs on the difference here, and people
// test with plain terminals.
std::optional<std::string> Framer::take_line(std::size_t limit, bool& too_long) {
    too_long = false;
    std::size_t at = buffer_.find('\n', scanned_);
    std::size_t length = (at == std::string::npos ? buffer_.size() : at) - head_;
    if (length > limit) {
        too_long = true;
        return std::nullopt;
    }
    if (at == std::string::npos) {
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string line = buffer_.substr(head_, length);
    if (line.ends_with('\r')) line.pop_back();
    consume(length + 1, true);
    return line;
}

std::optional<Framer::Marker> Framer::find_marker(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    std::size_t i = line.size() - 1;
    Marker marker;
    if (i > 0 && line[i - 1] == '+') {
        marker.synchronising = false;
        --i;
    }
    std::size_t digits_end = i;
    while (i > 0 && line[i - 1] >= '0' && line[i - 1] <= '9') --i;
    if (i == digits_end || i == 0 || line[i - 1] != '{') return std::nullopt;
    marker.start = i - 1;
    if (digits_end - i > 18) {
        marker.overflow = true;
        return marker;
    }
    for (; i < digits_end; ++i) marker.size = marker.size * 10 + static_cast<unsigned>(line[i] - '0');
    return marker;
}

// An APPEND has at most two literals, of which the first may be the mailbox's name, directly behind "APPEND
// ".
bool Framer::message_follows(std::string_view text) const {
    std::size_t space = text.find(' ');
    if (space == std::string_view::npos) return false;
    text.remove_prefix(space + 1);
    return text.size() > 7 && text[6] == ' ' && equal_ignoring_case(text.substr(0, 6), "APPEND");
}

std::string Framer::tag() const {
    std::string_view text = std::string_view(command_).substr(0, command_.find(' '));
    bool good = !text.empty() && text.size() <= 256 && std::ranges::all_of(text, [](char c) {
        return c > ' ' && c < 0x7f && !std::strchr("(){%*\"\\]+", c);
    });
    return good ? std::string(text) : "*";
}

FrameEvent Framer::skip(std::string why) {
    TooLarge event{tag(), std::move(why)};
    wipe(command_);
    state_ = State::skip_line;
    return event;
}

FrameEvent Framer::die(std::string why) {
    wipe(command_);
    wipe(buffer_);
    head_ = scanned_ = 0;
    state_ = State::dead;
    return Unrecoverable{std::move(why)};
}

std::optional<FrameEvent> Framer::on_line() {
    bool too_long = false;
    auto line = take_line(limits_.line, too_long);
    if (too_long) {
        if (line_expected_) return die("line too long");
        if (command_.empty()) command_ = buffer_.substr(head_, 300);
        return skip("command too long");
    }
    if (!line) return std::nullopt;
    if (line_expected_) {
        line_expected_ = false;
        return FramedLine{std::move(*line)};
    }
    if (auto marker = find_marker(*line)) return on_marker(*marker, std::move(*line));
    if (command_.size() + line->size() > limits_.command) {
        TooLarge event{tag(), "command too long"};
        wipe(command_);
        return event;
    }
    if (command_.empty()) return FramedCommand{std::move(*line), std::nullopt};
    command_ += *line;
    wipe(*line);
    return FramedCommand{std::exchange(command_, {}), std::nullopt};
}

std::optional<FrameEvent> Framer::on_marker(const Marker& marker, std::string line) {
    std::string_view text(line);
    command_ += text.substr(0, marker.start);
    wipe(line);
    if (marker.overflow && !marker.synchronising) return die("literal too large");
    if (!marker.overflow && message_follows(command_)) {
        message_ = {marker.size, marker.synchronising};
        state_ = State::held;
        return FramedCommand{std::exchange(command_, {}), message_};
    }
    bool fits = !marker.overflow && marker.size <= limits_.literal &&
                command_.size() + marker.size <= limits_.command;
    if (fits) {
        command_ += '{' + std::to_string(marker.size) + "}\r\n";
        remaining_ = marker.size;
        state_ = State::literal;
        if (marker.synchronising) return ContinuationWanted{};
        return std::nullopt;
    }
    TooLarge event{tag(), "literal too large"};
    wipe(command_);
    if (marker.synchronising)
        return event;  // the client does not send it, and the command is over (RFC 9051 4.3)
    if (!start_swallowing(marker.size)) return die("literal too large");
    return event;
}

bool Framer::start_swallowing(std::uint64_t size) {
    if (size > limits_.swallow) return false;
    remaining_ = size;
    state_ = State::skip_octets;
    return true;
}

std::optional<FrameEvent> Framer::on_literal() {
    std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, buffered()));
    command_.append(buffer_, head_, count);
    if (count) consume(count, true);
    remaining_ -= count;
    if (remaining_ == 0) state_ = State::line;
    return std::nullopt;
}

std::optional<FrameEvent> Framer::on_message() {
    if (remaining_ == 0) {
        state_ = State::message_end;
        return std::nullopt;
    }
    std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, buffered()));
    if (count == 0) return std::nullopt;
    MessageData data{buffer_.substr(head_, count)};
    consume(count, true);
    remaining_ -= count;
    return data;
}

std::optional<FrameEvent> Framer::on_message_end() {
    bool too_long = false;
    auto line = take_line(longest_tail, too_long);
    if (too_long) {
        state_ = State::skip_line;
        return MessageEnd{{}, std::nullopt, true};
    }
    if (!line) return std::nullopt;
    state_ = State::line;
    auto marker = find_marker(*line);
    if (!marker) return MessageEnd{std::move(*line), std::nullopt};
    if (marker->overflow) {
        if (!marker->synchronising) return die("literal too large");
        return MessageEnd{{}, std::nullopt, true};
    }
    message_ = {marker->size, marker->synchronising};
    state_ = State::held;
    return MessageEnd{line->substr(0, marker->start), message_};
}

// Drops octets up to a line's end, keeping so many that a literal's marker at that end is still seen.
std::optional<FrameEvent> Framer::on_skip_line() {
    std::size_t at = buffer_.find('\n', scanned_);
    std::size_t end = at == std::string::npos ? buffer_.size() : at;
    scanned_ = end;
    if (end - head_ > longest_marker) consume(end - head_ - longest_marker, true);
    if (at == std::string::npos) return std::nullopt;
    bool too_long = false;
    auto line = take_line(longest_marker, too_long);
    state_ = State::line;
    auto marker = find_marker(*line);
    // Digits without a brace in what was kept: a number that no literal may have.
    bool huge = !marker && line->size() >= longest_marker - 1 && line->ends_with("+}") &&
                line->find_first_not_of("0123456789") == line->size() - 2;
    if (huge || (marker && !marker->synchronising && (marker->overflow || !start_swallowing(marker->size))))
        return die("literal too large");
    return std::nullopt;
}

void Framer::on_skip_octets() {
    std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, buffered()));
    if (count) consume(count, true);
    remaining_ -= count;
    if (remaining_ == 0) state_ = State::skip_line;
}

}  // namespace fwmail::imap
