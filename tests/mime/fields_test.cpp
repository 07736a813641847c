#include "mime/fields.hpp"

#include <catch2/catch.hpp>

#include "mime/address.hpp"
#include "mime/encoded_word.hpp"
#include "mime/header.hpp"

using namespace fwmail::mime;

namespace {

void check_field(const std::string& field) {
    REQUIRE(field.ends_with("\r\n"));
    REQUIRE(field.size() <= 64 * 1024 + 300);
    std::size_t at = 0;
    while (at < field.size()) {
        std::size_t end = field.find("\r\n", at);
        REQUIRE(end - at <= 998);
        REQUIRE(field.find_first_not_of(" \t", at) < end);  // no line of white space only
        if (at > 0) REQUIRE((field[at] == ' ' || field[at] == '\t'));
        for (std::size_t i = at; i < end; ++i)
            REQUIRE((field[i] == '\t' || (field[i] >= 32 && field[i] < 127)));
        at = end + 2;
    }
}

}  // namespace

TEST_CASE("fields folded") {
    CHECK(fold("Subject", "short") == "Subject: short\r\n");
    CHECK(fold("X", "") == "X: \r\n");
    std::string words;
    for (int i = 0; i < 40; ++i) words += "word" + std::to_string(i) + " ";
    auto field = fold("Subject", words + "end");
    REQUIRE(field);
    check_field(*field);
    CHECK(unfold(field->substr(8)) == words + "end");
    for (std::size_t at = 0; at < field->size();) {
        std::size_t end = field->find("\r\n", at);
        CHECK(end - at <= 78);
        at = end + 2;
    }
    CHECK(fold("X", std::string(990, 'x')));
    CHECK_FALSE(fold("X", std::string(999, 'x')));
    check_field(*fold("X", "a" + std::string(500, ' ') + "b" + std::string(200, ' ')));
}

TEST_CASE("fields refuse injection") {
    for (const std::string& value :
         std::initializer_list<std::string>{"a\r\nBcc: x", "a\nb", "a\rb", std::string("a\0b", 3),
                                            std::string("\x7f"), std::string("\xc3\xa4")})
        CHECK_FALSE(fold("Subject", value));
    for (std::string_view name : {"", "a b", "a:", "a\r", "\xc3\xa4"}) {
        CHECK_FALSE(fold(name, "x"));
        CHECK(sanitize_field(name, "x") == "");
    }
}

TEST_CASE("addresses made safe") {
    CHECK(sanitize_for_header("From", " Joe Blow <joe@x.org>\r\n") == "Joe Blow <joe@x.org>");
    CHECK(sanitize_for_header("To", "J\xf6rg <j@x.org>, =?utf-8?q?J=C3=B6rg?= <k@x.org>") ==
          "=?utf-8?q?J=C3=B6rg?= <j@x.org>, =?utf-8?q?J=C3=B6rg?= <k@x.org>");
    CHECK(sanitize_for_header("Cc", "G: a@b;, joe@x (Joe, Jr.)") == "a@b, \"Joe, Jr.\" <joe@x>");
    CHECK(sanitize_for_header("From", "a@b\rBcc: evil@x").find('\r') == std::string::npos);
    CHECK(sanitize_for_header("To", "j\xc3\xb6rg@x.org") == "=?utf-8?q?j=C3=B6rg=40x=2Eorg?=: ;");
    CHECK(sanitize_for_header("To", "<>") == "");
    CHECK(sanitize_for_header("resent-to", "a@b, c@d").ends_with("c@d"));
    std::string many, hostile;
    for (int i = 0; i < 3000; ++i)
        many += "user" + std::to_string(i) + " <user" + std::to_string(i) + "@example.org>, ";
    auto field = sanitize_field("To", many);
    check_field(field);
    CHECK(parse_addresses(unfold(field.substr(3))).size() == 500);
    for (int i = 0; i < 900; ++i)
        hostile += "\"" + std::string(390, i % 2 ? '"' : '\\') + "\xff" + "\" <" + std::string(250, 'x') +
                   "@" + std::string(250, 'y') + ">, ";
    check_field(sanitize_field("From", hostile));
    check_field(sanitize_field("From", "\"" + std::string(600, 'x') + "\" <" + std::string(256, 'l') + "@" +
                                           std::string(255, 'd') + ">"));
}

TEST_CASE("ids, dates and text made safe") {
    CHECK(sanitize_for_header("Message-ID", "<a@b> <c@d>") == "<a@b>");
    CHECK(sanitize_for_header("Message-ID", "<\xe4@b>") == "");
    CHECK(sanitize_for_header("In-Reply-To", "Your mail (x) <a@b>\r\n of <c@d>") == "<a@b> <c@d>");
    std::string ids, long_ids;
    for (int i = 0; i < 1000; ++i) ids += "<" + std::to_string(i) + "@x>\r\n ";
    for (int i = 0; i < 300; ++i) long_ids += "<" + std::to_string(i) + std::string(690, 'x') + "> ";
    auto kept = parse_message_ids(sanitize_for_header("References", ids));
    REQUIRE(kept.size() == 100);
    CHECK(kept[0] == "<0@x>");
    CHECK(kept[1] == "<901@x>");
    CHECK(kept[99] == "<999@x>");
    check_field(sanitize_field("References", long_ids));
    CHECK(sanitize_for_header("Date", "Tue, 3 Mar 20 10:11:12 EST (x)") == "Tue, 03 Mar 2020 10:11:12 -0500");
    CHECK(sanitize_for_header("Date", "yesterday\r\nX: y") == "");
    CHECK(sanitize_for_header("Subject", "a\tb\x01\x7f  c") == "a b c");
    CHECK(decode_header(unfold(sanitize_for_header("Subject",
                                                   "Gr\xfc\xdf"
                                                   "e aus \xe6\x97\xa5")))
              .find("Gr") == 0);
    check_field(sanitize_field("Subject", std::string(5000, 'x')));
    check_field(sanitize_field("Subject", std::string(300'000, '\xe4')));
    check_field(sanitize_field("Subject", "x " + std::string(200'000, '?')));
}
