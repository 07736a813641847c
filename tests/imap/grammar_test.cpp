#include <catch2/catch.hpp>
#include <random>

#include "imap/list_match.hpp"
#include "imap/parser.hpp"
#include "imap/writer.hpp"

using namespace fwmail;
using namespace fwmail::imap;

TEST_CASE("modified UTF-7 has one spelling for each name") {
    // RFC 3501 5.1.3's own example, and what it forbids.
    CHECK(decode_mailbox_name("~peter/mail/&U,BTFw-/&ZeVnLIqe-") == "~peter/mail/台北/日本語");
    CHECK(encode_mailbox_name("~peter/mail/台北/日本語") == "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    CHECK(decode_mailbox_name("&Jjo-!") == "☺!");
    CHECK_FALSE(decode_mailbox_name("&Jjo!"));
    CHECK_FALSE(decode_mailbox_name("&U,BTFw-&ZeVnLIqe-"));
    CHECK(decode_mailbox_name("&U,BTFw-&-") == "台北&");
    CHECK(decode_mailbox_name("a&-b") == "a&b");
    for (const char* bad :
         {"&", "&AGE-", "&A-", "&2D0-", "&3ak-", "&!-", "a\x01", "a\x7f", "\xc3\xbc", "&AAA-", "&AOR-"}) {
        INFO(bad);
        CHECK_FALSE(decode_mailbox_name(bad));
    }
}

TEST_CASE("modified UTF-7 gives back every name") {
    std::mt19937 random(7);
    static constexpr const char* letters[] = {"a", "&", "-", "ü", "/", "日", "💩", "~", "é", " ", "+", ","};
    for (int i = 0; i < 5000; ++i) {
        std::string name;
        for (std::size_t n = random() % 12; n > 0; --n) name += letters[random() % std::size(letters)];
        INFO(name);
        REQUIRE(decode_mailbox_name(encode_mailbox_name(name)) == name);
    }
}

TEST_CASE("names for new mailboxes") {
    CHECK(fault_of_new_name("Entwürfe/2024").empty());
    for (const char* bad :
         {"", "/a", "a/", "a//b", "a%", "*", "a\tb", "\xff", "a\xc2\x85", "a\xe2\x80\xa8"}) {
        INFO(bad);
        CHECK_FALSE(fault_of_new_name(bad).empty());
    }
    CHECK_FALSE(fault_of_new_name(std::string(801, 'x')).empty());
}

TEST_CASE("dates") {
    auto when = [](const char* text) { return Parser(text).date_time(); };
    CHECK(when("\"17-Jul-1996 02:44:25 -0700\"")->value == 837596665000);
    CHECK(when("\" 1-jan-1970 00:00:00 +0000\"")->value == 0);
    CHECK(when("\"01-Jan-1970 01:30:00 +0130\"")->value == 0);
    CHECK(when("\"31-Dec-1969 23:59:59 +0000\"")->value == -1000);
    for (const char* bad : {"\"32-Jul-1996 02:44:25 -0700\"", "\"29-Feb-2023 02:44:25 -0700\"",
                            "\"17-Jul-1996 24:44:25 -0700\"", "\"17-Jul-1996 02:44:25\"",
                            "\"17-Jul-1996 02:44:25 0700\"", "17-Jul-1996", "\"\"",
                            "\"17-Jul-1996 02:44:25 -0700 \"", "\"17-Jul-96 02:44:25 -0700\"", "\"1-Jul"}) {
        INFO(bad);
        CHECK_FALSE(when(bad));
    }
    CHECK(Parser("1-Feb-1994").date() == 8797);
    CHECK(Parser("\"01-Feb-1994\"").date() == 8797);
    CHECK_FALSE(Parser("1-Feb-1994x").date());
    for (std::int64_t t : {0ll, 837596665000ll, -1000ll, 951782400000ll, 4102444799000ll})
        CHECK(Parser(write_internal_date(UnixMillis(t))).date_time()->value == t);
    CHECK(write_internal_date(UnixMillis(INT64_MAX)).size() == 28);
    CHECK(write_internal_date(UnixMillis(INT64_MIN)).size() == 28);
}

TEST_CASE("search keys are bounded") {
    std::string deep = std::string(60, '(') + "ALL" + std::string(60, ')');
    CHECK_FALSE(Parser(deep).search_keys());
    std::string nots;
    for (int i = 0; i < 60; ++i) nots += "NOT ";
    CHECK_FALSE(Parser(nots + "ALL").search_keys());
    CHECK(Parser(std::string(40, '(') + "ALL" + std::string(40, ')')).search_keys());
    std::string many = "ALL";
    for (int i = 0; i < 3000; ++i) many += " ALL";
    CHECK_FALSE(Parser(many).search_keys());
    CHECK_FALSE(Parser("BODY \"" + std::string(2000, 'x') + '"').search_keys());
}

TEST_CASE("strings are quoted, or literals where they must be") {
    CHECK(write_string("a\"b\\c") == "\"a\\\"b\\\\c\"");
    CHECK(write_string("") == "\"\"");
    CHECK(write_string("ü") == "{2}\r\nü");
    CHECK(write_string("a\nb") == "{3}\r\na\nb");
    CHECK(write_string(std::string("a\0b", 3)) == "\"ab\"");
    CHECK(write_string(std::string(1001, 'x')).starts_with("{1001}\r\n"));
    CHECK(write_astring("INBOX") == "INBOX");
    CHECK(write_astring("a b") == "\"a b\"");
    CHECK(write_astring("nil") == "\"nil\"");
    CHECK(write_text("") != "");
    CHECK(write_text("a\r\nb") == "a??b");
    CHECK(write_text("[X] y") == "- [X] y");
    for (const char* text : {"", "a", "a\"", "\\", "ü", "a b", "NIL", "a\r\nb", "{5}"})
        CHECK(Parser(write_astring(text)).astring() == text);
}

TEST_CASE("uid sets keep their order") {
    auto uids = [](std::initializer_list<unsigned> list) {
        return std::vector<Uid>(list.begin(), list.end());
    };
    CHECK(write_uid_set(uids({4, 7, 8, 9})) == "4,7:9");
    CHECK(write_uid_set(uids({9, 8, 1, 2})) == "9,8,1:2");
    CHECK(write_uid_set(std::vector<Uid>{}) == "");
}

TEST_CASE("list patterns") {
    CHECK(matches_pattern("*", "a/b"));
    CHECK(matches_pattern("%", "a"));
    CHECK_FALSE(matches_pattern("%", "a/b"));
    CHECK(matches_pattern("a/%", "a/"));
    CHECK(matches_pattern("a*d", "a/b/cd"));
    CHECK_FALSE(matches_pattern("a%d", "a/d"));
    CHECK(matches_pattern("%/%", "a/b"));
    CHECK(matches_pattern("*a*b%", "xa/yb/zbc"));
    CHECK_FALSE(matches_pattern("", "a"));
    CHECK(matches_pattern("", ""));
    // Exponential in a backtracking matcher.
    std::string evil;
    for (int i = 0; i < 200; ++i) evil += "*a";
    CHECK_FALSE(matches_pattern(evil + "b", std::string(500, 'a')));
}
