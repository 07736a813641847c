#include "mime/sort_keys.hpp"

#include <catch2/catch.hpp>

#include "mime/address.hpp"
#include "mime/fold.hpp"

using namespace fwmail::mime;

namespace {

// With the octets that the views point into.
struct Keys {
    std::string octets;
    SortKeys keys;
    explicit Keys(std::string_view header)
        : octets(write_sort_keys(parse_envelope(header))), keys(parse_sort_keys(octets).value()) {}
    const SortKeys* operator->() const { return &keys; }
};

std::uint64_t id_of(std::string_view id) {
    return Keys("Message-ID: " + std::string(id) + "\r\n")->message_id;
}

}  // namespace

TEST_CASE("sort keys") {
    Keys keys(
        "From: =?utf-8?q?J=C3=B6rg?= <joerg@a.test>, x@y\r\nTo: team: b@c, d@e;\r\nCc: Some One "
        "<Someone@f.test>\r\n"
        "Subject: [x] Re: =?utf-8?q?stra=C3=9Fe?=\r\nDate: 31 Dec 2000 16:01:33 -0800\r\n"
        "Message-ID: <1@a>\r\nReferences: <a@a> (old) <b@a>\r\n <c@a>\r\nIn-Reply-To: <d@a>\r\n");
    CHECK(keys->sent == 978307293);
    CHECK(keys->reply);
    CHECK(keys->text(SortText::subject) == casemap("straße"));
    CHECK(keys->text(SortText::from) == "JOERG");
    CHECK(keys->text(SortText::to) == "TEAM");
    CHECK(keys->text(SortText::cc) == "SOMEONE");
    CHECK(keys->text(SortText::display_from) == casemap("Jörg"));
    CHECK(keys->text(SortText::display_to) == "TEAM");
    CHECK(keys->message_id == id_of("<1@a>"));
    REQUIRE(keys->references() == 3);
    CHECK(keys->reference(0) == id_of("<a@a>"));
    CHECK(keys->reference(2) == id_of("<c@a>"));
    CHECK(keys->base_subject == Keys("Subject: STRA\xc3\x9f"
                                     "E\r\n")
                                    ->base_subject);
    CHECK_FALSE(keys->base_subject == Keys("Subject: strasse!\r\n")->base_subject);
    Keys nothing("X: y\r\n");
    CHECK_FALSE(nothing->sent);
    CHECK_FALSE(nothing->reply);
    CHECK(nothing->message_id == 0);
    CHECK(nothing->base_subject == 0);
    CHECK(nothing->references() == 0);
    for (auto text : nothing->texts) CHECK(text.empty());
}

TEST_CASE("sort keys: addresses for show (RFC 5957 3)") {
    CHECK(Keys("From: a@b\r\n")->text(SortText::display_from) == "A@B");
    CHECK(Keys("From: \"\" <a@b>\r\n")->text(SortText::display_from) == "A@B");
    CHECK(Keys("To: \"Doe, Jane\" <a@b>\r\n")->text(SortText::display_to) == "DOE, JANE");
}

TEST_CASE("sort keys: message ids (RFC 5256 3)") {
    CHECK(id_of("<\"01KF8\"@x.y>") == id_of("<01KF8@x.y>"));
    CHECK(id_of("<\"01K\\F8\"@x.y>") == id_of("<01KF8@x.y>"));
    CHECK_FALSE(id_of("<A@b>") == id_of("<a@b>"));
    for (auto none : {"", "x", "<x>", "<@b>", "<a@>", "a@b"}) CHECK(id_of(none) == 0);
    Keys later("References: nothing <here>\r\nIn-Reply-To: Your mail <a@b> of <c@d>\r\n");
    REQUIRE(later->references() == 1);
    CHECK(later->reference(0) == id_of("<a@b>"));
}

TEST_CASE("sort keys: sent dates (RFC 5256 2.2)") {
    CHECK(Keys("Date: 1 Jan 2001 00:01:33 +0000\r\n")->sent == 978307293);
    CHECK(Keys("Date: 1 Jan 2001 25:61:33 +0000\r\n")->sent == 978307200);
    CHECK(Keys("Date: 1 Jan 2001\r\n")->sent == 978307200);
    CHECK(Keys("Date: 1 Jan 2001 00:01:33 XYZ\r\n")->sent == 978307293);
    CHECK_FALSE(Keys("Date: 31 Feb 2001 00:00:00 +0000\r\n")->sent);
}

TEST_CASE("sort keys are bounded") {
    std::string many = "References:";
    for (int i = 0; i < 100'000; ++i) many += " <" + std::to_string(i) + "@x>";
    Keys keys(many + "\r\n");
    REQUIRE(keys->references() == 64);
    CHECK(keys->reference(0) == id_of("<0@x>"));
    CHECK(keys->reference(1) == id_of("<99937@x>"));
    CHECK(keys->reference(63) == id_of("<99999@x>"));
    std::string same(300, 'a');
    Keys one("Subject: " + same + "1\r\n"), two("Subject: " + same + "2\r\n");
    CHECK(one->text(SortText::subject).size() == 263);
    CHECK(one->text(SortText::subject) != two->text(SortText::subject));
    CHECK(one->base_subject != two->base_subject);
}

TEST_CASE("sort keys: damage is found") {
    std::string octets = write_sort_keys(parse_envelope("Subject: x\r\nReferences: <a@b>\r\n"));
    CHECK(parse_sort_keys(octets));
    for (std::size_t size = 0; size < octets.size(); ++size)
        CHECK_FALSE(parse_sort_keys(octets.substr(0, size)));
    CHECK_FALSE(parse_sort_keys(octets + "x"));
    octets[0] = 9;
    CHECK_FALSE(parse_sort_keys(octets));
}

TEST_CASE("i;unicode-casemap") {
    CHECK(casemap("a_Z[") == "A_Z[");
    CHECK(casemap("ä") == "A\u0308");
    CHECK(casemap("σς") == casemap("ΣΣ"));
    CHECK(casemap("\xff") == "\uFFFD");
    CHECK((casemap("fooa") < casemap("foo_")));
}
