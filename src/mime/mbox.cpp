#include "mime/mbox.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "base/keyword.hpp"

namespace fwmail::mime {
namespace {

constexpr std::size_t longest_line = 16 * 1024;  // longer ones are passed on in pieces

constexpr std::string_view month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty() && words.size() < 20) {
        std::size_t end = std::min(line.find(' '), line.size());
        if (end > 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

// Digits and nothing else; -1 otherwise.
int number_of(std::string_view text) {
    int number = 0;
    for (char c : text) {
        if (c < '0' || c > '9') return -1;
        number = number * 10 + (c - '0');
    }
    return text.empty() || text.size() > 4 ? -1 : number;
}

// hh:mm[:ss] in seconds
int time_of(std::string_view text) {
    if (text.size() != 5 && text.size() != 8) return -1;
    int hour = number_of(text.substr(0, 2)), minute = number_of(text.substr(3, 2)),
        second = text.size() == 8 ? number_of(text.substr(6)) : 0;
    bool good = text[2] == ':' && (text.size() == 5 || text[5] == ':') && hour >= 0 && hour < 24 &&
                minute >= 0 && minute < 60 && second >= 0 && second <= 60;
    return good ? hour * 3600 + minute * 60 + second : -1;
}

// `+0130` in seconds; names of zones count as UTC.
int zone_of(std::string_view text) {
    if (text.size() != 5 || (text[0] != '+' && text[0] != '-')) return 0;
    int number = number_of(text.substr(1));
    if (number < 0) return 0;
    int seconds = (number / 100 * 60 + number % 100) * 60;
    return text[0] == '-' ? -seconds : seconds;
}

bool is_quoted_from(std::string_view line, MboxQuoting quoting) {
    std::size_t marks = line.find_first_not_of('>');
    if (marks == std::string_view::npos || marks == 0) return false;
    return line.substr(marks).starts_with("From ") && (quoting == MboxQuoting::rd || marks == 1);
}

}  // namespace

std::optional<UnixMillis> parse_mbox_separator(std::string_view line) {
    line = without_line_end(line);
    if (!line.starts_with("From ") || line.size() > 1000) return std::nullopt;
    auto words = words_of(line.substr(5));
    // The date is at the end, since a sender may hold spaces: Www Mmm dd time [zone] year [zone]
    for (std::size_t i = 0; i + 4 < words.size(); ++i) {
        auto month = std::ranges::find(month_names, words[i + 1]);
        if (std::ranges::find(day_names, words[i]) == std::end(day_names) || month == std::end(month_names))
            continue;
        int day = number_of(words[i + 2]), time = time_of(words[i + 3]);
        int year = number_of(words[i + 4]), zone = 0;
        if (year < 1000 && i + 5 < words.size()) {
            zone = zone_of(words[i + 4]);
            year = number_of(words[i + 5]);
        } else if (i + 5 < words.size()) {
            zone = zone_of(words[i + 5]);
        }
        std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month - month_names) + 1),
                                         std::chrono::day(static_cast<unsigned>(std::max(day, 0)))};
        if (!date.ok() || time < 0 || year < 1000) continue;
        std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
        return UnixMillis{(days * 86400 + time - zone) * 1000};
    }
    return std::nullopt;
}

std::vector<MboxEvent> MboxReader::add(std::string_view octets) {
    while (!octets.empty()) {
        std::size_t end = octets.find('\n');
        std::size_t size = end == std::string_view::npos ? octets.size() : end + 1;
        buffer_ += octets.substr(0, size);
        octets.remove_prefix(size);
        bool whole = end != std::string_view::npos;
        if (whole || buffer_.size() > longest_line) on_line(std::exchange(buffer_, {}), whole);
    }
    return std::exchange(events_, {});
}

std::vector<MboxEvent> MboxReader::finish() {
    if (!buffer_.empty()) on_line(std::exchange(buffer_, {}), false);
    if (in_message_) end();
    return std::exchange(events_, {});
}

void MboxReader::on_line(std::string_view line, bool whole) {
    bool line_start = !std::exchange(mid_line_, !whole);
    if (!line_start) return content(line);
    if (after_empty_)
        if (auto date = parse_mbox_separator(line)) return begin(*date);
    if (!in_message_) {
        after_empty_ = without_line_end(line).empty();
        return;
    }
    content(std::exchange(held_, {}));
    after_empty_ = without_line_end(line).empty();
    if (after_empty_) {
        if (!in_header_)
            held_ = line;
        else
            content(line);
        in_header_ = false;
        return;
    }
    if (in_header_ && take_flag_field(without_line_end(line))) return;
    content(is_quoted_from(line, quoting_) ? line.substr(1) : line);
}

void MboxReader::begin(UnixMillis date) {
    if (in_message_) end();
    in_message_ = in_header_ = true;
    after_empty_ = false;
    flags_ = {};
    events_.push_back(MboxBegin{date});
}

void MboxReader::end() {
    held_.clear();
    in_message_ = false;
    events_.push_back(MboxEnd{std::exchange(flags_, {})});
}

void MboxReader::content(std::string_view octets) {
    if (!in_message_ || octets.empty()) return;
    if (!events_.empty())
        if (auto* last = std::get_if<MboxContent>(&events_.back())) {
            last->octets += octets;
            return;
        }
    events_.push_back(MboxContent{std::string(octets)});
}

bool MboxReader::take_flag_field(std::string_view line) {
    std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    std::string_view name = line.substr(0, colon), value = line.substr(colon + 1);
    if (equal_ignoring_case(name, "X-Keywords")) {
        for (auto word : words_of(value))
            if (is_keyword(word)) flags_.add_keyword(word);
        return true;
    }
    if (!equal_ignoring_case(name, "Status") && !equal_ignoring_case(name, "X-Status")) return false;
    for (char c : value) {
        if (c == 'R') flags_.system |= FlagSet::seen;
        if (c == 'A') flags_.system |= FlagSet::answered;
        if (c == 'F') flags_.system |= FlagSet::flagged;
        if (c == 'D') flags_.system |= FlagSet::deleted;
        if (c == 'T') flags_.system |= FlagSet::draft;
    }
    return true;
}

std::string MboxWriter::fields() const {
    std::string status = flags_.has(FlagSet::seen) ? "RO" : "O", more;
    if (flags_.has(FlagSet::answered)) more += 'A';
    if (flags_.has(FlagSet::flagged)) more += 'F';
    if (flags_.has(FlagSet::deleted)) more += 'D';
    if (flags_.has(FlagSet::draft)) more += 'T';
    std::string out = "Status: " + status + '\n';
    if (!more.empty()) out += "X-Status: " + more + '\n';
    if (flags_.keywords.empty()) return out;
    out += "X-Keywords:";
    for (const auto& keyword : flags_.keywords) out += ' ' + keyword;
    return out + '\n';
}

std::string MboxWriter::add(std::string_view octets) {
    std::string out;
    if (!std::exchange(begun_, true)) {
        std::chrono::sys_seconds when{std::chrono::seconds(date_.value / 1000)};
        auto day = std::chrono::floor<std::chrono::days>(when);
        std::chrono::year_month_day ymd{day};
        std::chrono::hh_mm_ss time{when - day};
        char text[80];
        std::snprintf(text, sizeof text, "From MAILER-DAEMON %s %s %2u %02d:%02d:%02d %04d\n",
                      day_names[std::chrono::weekday(day).c_encoding()].data(),
                      month_names[static_cast<unsigned>(ymd.month()) - 1].data(),
                      static_cast<unsigned>(ymd.day()), static_cast<int>(time.hours().count()),
                      static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                      static_cast<int>(ymd.year()));
        out += text;
    }
    for (char c : octets) {
        if (line_start_) {
            // Readers take a line of a CR alone for an empty one, too.
            if (in_header_ && c == '\n' && (held_.empty() || held_ == "\r")) {
                out += fields();
                in_header_ = false;
            }
            held_ += c;
            if (in_header_ && held_ == "\r") continue;
            // `>*From ` can only be told once it is whole.
            std::size_t marks = std::min(held_.find_first_not_of('>'), held_.size());
            std::string_view rest = std::string_view(held_).substr(marks);
            if (std::string_view("From ").starts_with(rest) && rest.size() < 5 && held_.size() < 1000)
                continue;
            if (rest == "From ") out += '>';
            line_start_ = c == '\n';
            out += std::exchange(held_, {});
            continue;
        }
        out += c;
        line_start_ = c == '\n';
    }
    return out;
}

std::string MboxWriter::finish() {
    std::string out = begun_ ? std::string() : add("");
    if (in_header_ && held_ == "\r") {
        out += fields();
        in_header_ = false;
    }
    out += held_;
    if (!line_start_ || !held_.empty()) out += '\n';
    if (in_header_) out += fields() + '\n';  // a message without body
    return out + '\n';
}

}  // namespace fwmail::mime
