#include "mime/date.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "base/encoding.hpp"

namespace fwmail::mime {

namespace {

constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> weekdays = {"Thu", "Fri", "Sat", "Sun",
                                                      "Mon", "Tue", "Wed"};  // from day 0

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_number(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }
// Of at most 9 digits, else -1.
int number(std::string_view text) {
    if (!is_number(text) || text.size() > 9) return -1;
    int n = 0;
    for (char c : text) n = n * 10 + (c - '0');
    return n;
}

// 1 to 12 for a name that starts with a month's three letters, else 0.
int month_number(std::string_view text) {
    for (std::size_t i = 0; i < months.size(); ++i)
        if (equal_ignoring_case(text.substr(0, 3), months[i])) return static_cast<int>(i) + 1;
    return 0;
}

int days_in_month(std::int64_t year, int month) {
    static constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

struct Civil {
    std::int64_t year = 0;
    int month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

// 60 is a leap second (RFC 5322 3.3), and the next minute's first to us.
bool is_time(const Civil& c) {
    return c.hour >= 0 && c.hour <= 23 && c.minute >= 0 && c.minute <= 59 && c.second >= 0 && c.second <= 60;
}

std::optional<std::int64_t> seconds_of(const Civil& c, int offset_minutes) {
    if (c.year < 1 || c.year > 9999 || c.month < 1 || c.month > 12 || c.day < 1 ||
        c.day > days_in_month(c.year, c.month))
        return std::nullopt;
    if (!is_time(c)) return std::nullopt;
    return days_from_civil(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second -
           offset_minutes * 60;
}

Civil civil_of(std::int64_t seconds) {
    std::int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        --days;
    }
    // Howard Hinnant's civil_from_days, by eras of 400 years.
    std::int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    std::int64_t doe = z - era * 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    Civil c;
    c.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    c.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    c.year = yoe + era * 400 + (c.month <= 2 ? 1 : 0);
    c.hour = static_cast<int>(rest / 3600);
    c.minute = static_cast<int>(rest / 60 % 60);
    c.second = static_cast<int>(rest % 60);
    return c;
}

// The local time that is written: clamped so that the year has four digits whatever the zone.
std::int64_t local_seconds(ZonedTime& time) {
    time.offset_minutes = std::clamp(time.offset_minutes, -(99 * 60 + 59), 99 * 60 + 59);
    static const std::int64_t least = days_from_civil(1, 1, 1) * 86400,
                              most = days_from_civil(10000, 1, 1) * 86400 - 1;
    return std::clamp(std::clamp(time.seconds, least, most) + time.offset_minutes * 60, least, most);
}

std::string zone_text(int minutes) {
    char text[16];
    int m = minutes < 0 ? -minutes : minutes;
    std::snprintf(text, sizeof text, "%c%02d%02d", minutes < 0 ? '-' : '+', m / 60, m % 60);
    return text;
}

std::optional<int> numeric_zone(std::string_view text) {
    if (text.size() != 5 || (text[0] != '+' && text[0] != '-') || !is_number(text.substr(1)))
        return std::nullopt;
    int hours = number(text.substr(1, 2)), minutes = number(text.substr(3, 2));
    if (minutes > 59) return std::nullopt;
    return (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

// RFC 5322 4.3: the North American zones mean what they say; military and unknown ones mean UTC.
int named_zone(std::string_view text) {
    static constexpr std::pair<std::string_view, int> zones[] = {
        {"EST", -300}, {"EDT", -240}, {"CST", -360}, {"CDT", -300}, {"MST", -420}, {"MDT", -360},
        {"PST", -480}, {"PDT", -420}, {"CET", 60},   {"CEST", 120}, {"MET", 60},   {"MEST", 120},
        {"EET", 120},  {"EEST", 180}, {"BST", 60},   {"JST", 540},  {"MSK", 180}};
    for (auto [name, minutes] : zones)
        if (equal_ignoring_case(text, name)) return minutes;
    return 0;
}

// The text without comments, as words; at most 32 of them.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    int depth = 0;
    bool open = false;
    for (std::size_t i = 0; i < std::min<std::size_t>(text.size(), 1000) && words.size() < 32; ++i) {
        char c = text[i];
        if (c == '(')
            ++depth;
        else if (c == ')' && depth > 0)
            --depth;
        bool separator = depth > 0 || c == ')' || static_cast<unsigned char>(c) <= 32 || c == ',';
        // "12-Jan-2020" is three words; a sign before four digits at the end of the time is a zone.
        bool dash = c == '-' && open && i + 1 < text.size() &&
                    (month_number(text.substr(i + 1)) || month_number(words.back()));
        if (separator || dash) {
            open = false;
        } else {
            if (!open || ((c == '+' || c == '-') && words.back().find(':') != std::string::npos))
                words.emplace_back();
            open = true;
            words.back() += c;
        }
    }
    return words;
}

bool read_time(std::string_view word, Civil& c) {
    std::array<int, 3> parts = {-1, -1, 0};
    for (std::size_t i = 0; i < 3; ++i) {
        std::size_t colon = word.find(':');
        std::string_view piece = word.substr(0, colon);
        if (i == 2) piece = piece.substr(0, piece.find('.'));  // fractions of a second
        if (piece.size() > 2 || (parts[i] = number(piece)) < 0) return false;
        if (colon == std::string_view::npos) break;
        word.remove_prefix(colon + 1);
    }
    c.hour = parts[0];
    c.minute = parts[1];
    c.second = parts[2];
    return parts[1] >= 0;
}

}  // namespace

std::int64_t days_from_civil(std::int64_t year, int month, int day) {
    // Howard Hinnant's algorithm: years start in March, eras have 400 years.
    year -= month <= 2 ? 1 : 0;
    std::int64_t era = (year >= 0 ? year : year - 399) / 400, yoe = year - era * 400;
    std::int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

std::optional<ZonedTime> parse_date(std::string_view text, BadTime bad_time) {
    Civil c;
    bool have_time = false, have_year = false;
    std::optional<int> zone;
    for (const std::string& word : words_of(text)) {
        if (!have_time && word.find(':') != std::string::npos) {
            bool good = read_time(word, c) && is_time(c);
            if (!good && bad_time == BadTime::refused) return std::nullopt;
            if (!good) c.hour = c.minute = c.second = 0;
            have_time = true;
        } else if (is_number(word)) {
            int n = number(word);
            if (n < 0) return std::nullopt;
            if (!c.day && word.size() <= 2) {
                c.day = n;
            } else if (c.month && !have_year) {
                // RFC 5322 4.3: two digits up to 49 are of this century, other short ones count from 1900.
                c.year = word.size() == 2 && n < 50 ? n + 2000 : word.size() <= 3 ? n + 1900 : n;
                have_year = true;
            }
        } else if (!c.month && month_number(word)) {
            c.month = month_number(word);
        } else if (have_time && !zone) {
            zone = numeric_zone(word);
            if (!zone && word[0] != '+' && word[0] != '-') zone = named_zone(word);
        }
    }
    if (!c.day || !c.month || !have_year) return std::nullopt;
    auto seconds = seconds_of(c, zone.value_or(0));
    if (!seconds) return std::nullopt;
    return ZonedTime{*seconds, zone.value_or(0)};
}

std::string write_date(ZonedTime time) {
    std::int64_t local = local_seconds(time);
    Civil c = civil_of(local);
    std::int64_t days = days_from_civil(c.year, c.month, c.day);
    char text[64];
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d ",
                  weekdays[static_cast<std::size_t>((days % 7 + 7) % 7)].data(), c.day,
                  months[static_cast<std::size_t>(c.month - 1)].data(), static_cast<int>(c.year), c.hour,
                  c.minute, c.second);
    return text + zone_text(time.offset_minutes);
}

std::optional<ZonedTime> parse_imap_date_time(std::string_view text) {
    // RFC 9051 section 9: date-day-fixed "-" date-month "-" date-year SP time SP zone
    if (text.size() != 26 || text[2] != '-' || text[6] != '-' || text[11] != ' ' || text[14] != ':' ||
        text[17] != ':' || text[20] != ' ')
        return std::nullopt;
    Civil c;
    c.day = number(text[0] == ' ' ? text.substr(1, 1) : text.substr(0, 2));
    c.month = month_number(text.substr(3, 3));
    c.year = number(text.substr(7, 4));
    c.hour = number(text.substr(12, 2));
    c.minute = number(text.substr(15, 2));
    c.second = number(text.substr(18, 2));
    auto zone = numeric_zone(text.substr(21));
    if (!zone || c.month == 0) return std::nullopt;
    auto seconds = seconds_of(c, *zone);
    if (!seconds) return std::nullopt;
    return ZonedTime{*seconds, *zone};
}

std::string write_imap_date_time(ZonedTime time) {
    Civil c = civil_of(local_seconds(time));
    char text[64];
    std::snprintf(text, sizeof text, "%02d-%s-%04d %02d:%02d:%02d ", c.day,
                  months[static_cast<std::size_t>(c.month - 1)].data(), static_cast<int>(c.year), c.hour,
                  c.minute, c.second);
    return text + zone_text(time.offset_minutes);
}

}  // namespace fwmail::mime
