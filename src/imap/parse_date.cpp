// date and date-time (RFC 3501 9).
#include <chrono>

#include "base/encoding.hpp"
#include "imap/parser.hpp"

namespace fwmail::imap {
namespace {

std::unexpected<Error> bad() { return fail(ErrorKind::protocol, "invalid date"); }

constexpr std::string_view month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};

std::optional<unsigned> month_number(std::string_view name) {
    for (unsigned i = 0; i < 12; ++i)
        if (equal_ignoring_case(name, month_names[i])) return i + 1;
    return std::nullopt;
}

// Exactly `count` digits at the front of `text`, taken off.
std::optional<unsigned> digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    unsigned value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        value = value * 10 + static_cast<unsigned>(text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool skip(std::string_view& text, char c) {
    if (text.empty() || text[0] != c) return false;
    text.remove_prefix(1);
    return true;
}

// day "-" month "-" year; the day may have one digit.
Result<Day> take_date(std::string_view& text) {
    std::size_t width = text.size() > 1 && text[1] >= '0' && text[1] <= '9' ? 2 : 1;
    auto day = digits(text, width);
    if (!day || !skip(text, '-') || text.size() < 3) return bad();
    auto month = month_number(text.substr(0, 3));
    text.remove_prefix(3);
    if (!month || !skip(text, '-')) return bad();
    auto year = digits(text, 4);
    if (!year) return bad();
    std::chrono::year_month_day ymd{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                    std::chrono::day(*day)};
    if (!ymd.ok()) return bad();
    return std::chrono::sys_days(ymd).time_since_epoch().count();
}

}  // namespace

Result<Day> Parser::date() {
    std::string text = TRY(astring());
    std::string_view view = text;
    Day day = TRY(take_date(view));
    if (!view.empty()) return bad();
    return day;
}

Result<UnixMillis> Parser::date_time() {
    std::string text = TRY(quoted());
    std::string_view view = text;
    skip(view, ' ');  // date-day-fixed = (SP DIGIT) / 2DIGIT
    Day day = TRY(take_date(view));
    if (!skip(view, ' ')) return bad();
    auto hour = digits(view, 2);
    if (!hour || *hour > 23 || !skip(view, ':')) return bad();
    auto minute = digits(view, 2);
    if (!minute || *minute > 59 || !skip(view, ':')) return bad();
    auto second = digits(view, 2);
    if (!second || *second > 60 || !skip(view, ' ')) return bad();
    bool west = skip(view, '-');
    if (!west && !skip(view, '+')) return bad();
    auto zone_hours = digits(view, 2);
    auto zone_minutes = zone_hours ? digits(view, 2) : std::nullopt;
    if (!zone_minutes || *zone_minutes > 59 || !view.empty()) return bad();
    std::int64_t offset = (*zone_hours * 60 + *zone_minutes) * (west ? -60ll : 60ll);
    return UnixMillis((day * 86400 + *hour * 3600ll + *minute * 60ll + *second - offset) * 1000);
}

}  // namespace fwmail::imap
