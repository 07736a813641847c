// Dates of mail: RFC 5322 3.3 and 4.3, and IMAP's date-time (RFC 9051 section 9).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fwmail::mime {

struct ZonedTime {
    std::int64_t seconds = 0;         // since 1970-01-01 UTC
    std::int32_t offset_minutes = 0;  // east of UTC, within +-99:59; -0000 reads as 0
    auto operator<=>(const ZonedTime&) const = default;
};

// A proleptic Gregorian day as days since 1970-01-01. Month and day from 1.
std::int64_t days_from_civil(std::int64_t year, int month, int day);

// A Date field's body, tolerantly: comments, folds, missing day name, seconds or zone (then UTC), two-digit
// years, obsolete zones, asctime order. nullopt when it makes no sense. Years 1 to 9999. A time of day that
// makes no sense is one that is missing where `bad_time` says so (RFC 5256 2.2).
enum class BadTime { refused, midnight };
std::optional<ZonedTime> parse_date(std::string_view text, BadTime bad_time = BadTime::refused);
// "Thu, 01 Jan 1970 00:00:00 +0000"; years outside 1 to 9999 are clamped.
std::string write_date(ZonedTime time);

// "17-Jul-1996 02:44:25 -0700" without its quotes, strictly; the day may be " 7".
std::optional<ZonedTime> parse_imap_date_time(std::string_view text);
std::string write_imap_date_time(ZonedTime time);

}  // namespace fwmail::mime
