#include "mime/date.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace fwmail::mime;

TEST_CASE("dates of mail") {
    auto at = [](std::string_view text) { return parse_date(text).value_or(ZonedTime{-1, -1}); };
    CHECK(at("Thu, 01 Jan 1970 00:00:00 +0000") == ZonedTime{0, 0});
    CHECK(at("Fri, 21 Nov 1997 09:55:06 -0600") == ZonedTime{880127706, -360});
    CHECK(at("21 Nov 1997 09:55 -0600") == ZonedTime{880127700, -360});
    CHECK(at("21 Nov 97 09:55:06 GMT") == ZonedTime{880106106, 0});
    CHECK(at("21 Nov 097 09:55:06 UT") == ZonedTime{880106106, 0});
    CHECK(at("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600 (x (y))").seconds == -1);
    CHECK(at("Fri (day), 21 (d) Nov\r\n 1997 09:55:06 EST (Eastern)") == ZonedTime{880124106, -300});
    CHECK(at("Fri, 21-Nov-1997 09:55:06-0600") == ZonedTime{880127706, -360});
    CHECK(at("Fri Nov 21 09:55:06 1997") == ZonedTime{880106106, 0});
    CHECK(at("Fri, 21 Nov 1997 09:55:06 Z") == ZonedTime{880106106, 0});
    CHECK(at("1 Feb 20 10:00:00 -0000") == ZonedTime{1580551200, 0});
    CHECK(at("29 Feb 2020 23:59:60 +0000") == ZonedTime{1583020800, 0});
    CHECK(at("1 January 2020 10:00:00 +0530") == ZonedTime{1577853000, 330});
    CHECK(at("1 Jan 2020 10:00:00.123 +0000") == ZonedTime{1577872800, 0});
    CHECK(at("1 Jan 2020") == ZonedTime{1577836800, 0});
}

TEST_CASE("dates that make no sense") {
    for (std::string_view text : {"", "tomorrow", "32 Jan 2020 10:00:00", "29 Feb 2019 10:00:00",
                                  "1 Jan 2020 25:00:00", "1 Jan 2020 10:61:00", "1 Foo 2020 10:00:00",
                                  "1 Jan 99999 10:00:00", "1 Jan 2020 10:", "1 Jan 2020 :", "Jan 2020",
                                  "((((", "1 Jan 99999999999 1:1:1", "1 Jan 0000 10:00:00 +0000"})
        CHECK_FALSE(parse_date(text));
    CHECK_FALSE(parse_date(std::string(100'000, '-')));
}

TEST_CASE("dates written") {
    CHECK(write_date({0, 0}) == "Thu, 01 Jan 1970 00:00:00 +0000");
    CHECK(write_date({880127706, -360}) == "Fri, 21 Nov 1997 09:55:06 -0600");
    CHECK(write_date({-1, 0}) == "Wed, 31 Dec 1969 23:59:59 +0000");
    CHECK(write_imap_date_time({837596665, -420}) == "17-Jul-1996 02:44:25 -0700");
    CHECK(write_date({INT64_MAX, INT32_MAX}).size() == 31);
    CHECK(write_date({INT64_MIN, INT32_MIN}).size() == 31);
}

TEST_CASE("IMAP date-time") {
    CHECK(parse_imap_date_time("17-Jul-1996 02:44:25 -0700") == ZonedTime{837596665, -420});
    CHECK(parse_imap_date_time(" 7-jul-1996 02:44:25 +0000").has_value());
    for (std::string_view text :
         {"", "7-Jul-1996 02:44:25 +0000", "17-Jul-1996 02:44:25", "17 Jul 1996 02:44:25 +0000",
          "17-Jux-1996 02:44:25 +0000", "17-Jul-1996 24:44:25 +0000", "31-Feb-1996 02:44:25 +0000",
          "17-Jul-1996 02:44:25 *0000", "17-Jul-1996 02:44:25 +0060", "x7-Jul-1996 02:44:25 +0000"})
        CHECK_FALSE(parse_imap_date_time(text));
}

TEST_CASE("dates read back what was written") {
    std::mt19937_64 random(5);
    for (int i = 0; i < 5000; ++i) {
        ZonedTime t{static_cast<std::int64_t>(random() % 200'000'000'000) - 50'000'000'000,
                    static_cast<std::int32_t>(random() % 1681) - 840};
        INFO(t.seconds << " " << t.offset_minutes << " " << write_date(t));
        REQUIRE(parse_date(write_date(t)) == t);
        REQUIRE(parse_imap_date_time(write_imap_date_time(t)) == t);
    }
}
