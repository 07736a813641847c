// SASLprep, by the examples of RFC 4013 3 and some of our own.
#include "mime/saslprep.hpp"

#include <catch2/catch.hpp>

using namespace fwmail::mime;

TEST_CASE("SASLprep: RFC 4013's examples") {
    CHECK(saslprep("I\xc2\xadX").value() == "IX");  // the soft hyphen goes
    CHECK(saslprep("user").value() == "user");
    CHECK(saslprep("USER").value() == "USER");
    CHECK(saslprep("\xc2\xaa").value() == "a");       // feminine ordinal
    CHECK(saslprep("\xe2\x85\xa8").value() == "IX");  // roman nine
    CHECK_FALSE(saslprep("\x07"));
    CHECK_FALSE(saslprep("\xd8\xa7\x31"));  // right to left, and ends otherwise
}

TEST_CASE("SASLprep: composed and decomposed are one, what is no text is none") {
    CHECK(saslprep("e\xcc\x81").value() == "\xc3\xa9");
    CHECK(saslprep("a\xc2\xa0z").value() == "a z");                     // no-break space
    CHECK(saslprep("\xf0\x9f\xa6\x84").value() == "\xf0\x9f\xa6\x84");  // younger than Unicode 3.2
    CHECK(saslprep("").value().empty());
    CHECK_FALSE(saslprep("\xff"));
    CHECK_FALSE(saslprep("a\tb"));
    CHECK_FALSE(saslprep(std::string_view("a\0b", 3)));
    CHECK(saslprep("\xef\xb7\xba").has_value());  // U+FDFA: eighteen characters of one
    CHECK_FALSE(saslprep(std::string(5000, '\xc3')));
}
