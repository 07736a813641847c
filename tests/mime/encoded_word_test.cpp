#include "mime/encoded_word.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "mime/charset.hpp"

using namespace fwmail::mime;

TEST_CASE("charsets") {
    CHECK(to_utf8("UTF-8", "a\xc3\xa4") == "aä");
    CHECK(to_utf8("utf-8",
                  "\xff"
                  "a\xe2\x82"
                  "b\xed\xa0\x80\xc0\x80") == "\uFFFDa\uFFFDb\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
    CHECK(to_utf8("iso-8859-1", "\xe4\x80") == "ä€");
    CHECK(to_utf8("Windows-1252", "\x93\xe4\x94") == "“ä”");
    CHECK(to_utf8("iso-8859-15", "\xa4\xe4") == "€ä");
    CHECK(to_utf8("us-ascii", "\xe4") == "ä");
    CHECK(to_utf8("", "ä") == "ä");
    CHECK_FALSE(to_utf8("x-unknown-charset", "a"));
    CHECK_FALSE(knows_charset("klingon"));
    CHECK(is_valid_utf8("\xf4\x8f\xbf\xbf"));
    CHECK_FALSE(is_valid_utf8("\xf4\x90\x80\x80"));
    CHECK_FALSE(is_valid_utf8("\xe0\x9f\xbf"));
    CHECK_FALSE(is_valid_utf8("\xc3"));
    CHECK(repair_utf8("\xf0\x9f\x98") == "\uFFFD");
    std::string out;
    append_utf8(out, 0x1F600);
    append_utf8(out, 0xD800);
    CHECK(out == "😀\uFFFD");
}

TEST_CASE("encoded words decoded") {
    CHECK(decode_header("plain") == "plain");
    CHECK(decode_header("=?utf-8?q?J=C3=B6rg_M?= x") == "Jörg M x");
    CHECK(decode_header("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=") == "ab");
    CHECK(decode_header("=?ISO-8859-1?Q?a?=\r\n  =?utf-8?B?w6Q=?=") == "aä");
    CHECK(decode_header("=?utf-8?q?=C3?= =?UTF-8?b?pA==?=") == "ä");
    CHECK(decode_header("=?utf-8*de?q?x?=") == "x");
    CHECK(decode_header("a=?utf-8?q?b?=c") == "abc");
    CHECK(decode_header("=?x-none?q?b?= =?x-none?q?c?= d") == "=?x-none?q?b?= =?x-none?q?c?= d");
    CHECK(decode_header("=?utf-8?q?a b?=") == "a b");
    CHECK(decode_header("=?utf-8?q?=ZZ=4?=") == "=ZZ=4");
    CHECK(decode_header("=?utf-8?z?a?= =?utf-8?q?open") == "=?utf-8?z?a?= =?utf-8?q?open");
    CHECK(decode_header("=?utf-8?b?!!YQ?=") == "a");
    CHECK(decode_header("Gr\xfc\xdf"
                        "e") == "Grüße");
    CHECK(decode_header("=?utf-8?q?a=00=0D=0Ab?=") == "a  b");
    CHECK(decode_header("=?") == "=?");
    CHECK(decode_header("") == "");
    CHECK(decode_header("=?utf-8?q?\?= x") == " x");
}

TEST_CASE("encoded words written") {
    CHECK(encode_header("Hello world") == "Hello world");
    CHECK(encode_header("Re: Grüße aus Köln am Rhein") ==
          "Re: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?= am Rhein");
    CHECK(encode_header("a =?x b") == "a =?utf-8?b?PT94?= b");
    CHECK(encode_header("a\r\nBcc: x") == "a  Bcc: x");
    CHECK(encode_header("日本語").starts_with("=?utf-8?b?"));
    CHECK(encode_header("\xff") == "=?utf-8?b?77+9?=");
    std::mt19937 random(7);
    const std::vector<std::string> pieces = {"a", " ", "ä", "日", "😀", "=?", "?=", "_", "=", "word", "  "};
    for (int i = 0; i < 2000; ++i) {
        std::string text = "x";
        for (unsigned n = random() % 80; n > 0; --n) text += pieces[random() % pieces.size()];
        std::string encoded = encode_header(text);
        INFO(text << " -> " << encoded);
        REQUIRE(decode_header(encoded) == text);
        for (std::size_t at = 0; (at = encoded.find("=?utf-8?", at)) != std::string::npos; ++at)
            REQUIRE(encoded.find("?=", at + 10) + 2 - at <= 75);
    }
}

TEST_CASE("parameters decoded") {
    Parameters p = {{"name", "=?utf-8?q?=C3=A4?="},
                    {"file*", "iso-8859-1'de'Gr%FC%DFe"},
                    {"file", "plain"},
                    {"long*1", "b%20"},
                    {"long*0*", "utf-8''%C3"},
                    {"long*2*", "%A4"},
                    {"gap*0", "a"},
                    {"gap*2", "c"},
                    {"bad*", "no quotes %41"},
                    {"n*0*", "x-none''%e4"},
                    {"evil*", "utf-8''a%0d%0ab"},
                    {"cut*", "utf-8''%C"}};
    CHECK(decode_parameter(p, "name") == "ä");
    CHECK(decode_parameter(p, "file") == "Grüße");
    CHECK(decode_parameter(p, "long") == "\uFFFDb%20\uFFFD");
    CHECK(decode_parameter(p, "gap") == "a");
    CHECK(decode_parameter(p, "bad") == "no quotes A");
    CHECK(decode_parameter(p, "n") == "ä");
    CHECK(decode_parameter(p, "evil") == "a  b");
    CHECK(decode_parameter(p, "cut") == "%C");
    CHECK_FALSE(decode_parameter(p, "none"));
    CHECK_FALSE(decode_parameter(p, "lon"));
    CHECK(decode_parameter({{"a*0*", "utf-8''%C3"}, {"a*1*", "%A4"}}, "a") == "ä");
}
