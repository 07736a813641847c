// Charsets against samples that Python's codecs made, and against octets that mean nothing.
#include "mime/charset.hpp"

#include <stdio.h>

#include <catch2/catch.hpp>
#include <random>
#include <sstream>
#include <vector>

#include "base/encoding.hpp"
#include "support/source_dir.hpp"

using namespace fwmail;
using namespace fwmail::mime;

namespace {

struct Sample {
    std::string charset, octets, text;
};

std::string from_hex(const std::string& hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return out;
}

const std::vector<Sample>& samples() {
    static const std::vector<Sample> all = [] {
        FILE* pipe =
            popen(("python3 " + fwmail::test::source_dir() + "/tests/mime/charset_samples.py").c_str(), "r");
        REQUIRE(pipe);
        std::string output;
        char buffer[4096];
        while (std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
        REQUIRE(pclose(pipe) == 0);
        std::vector<Sample> out;
        std::istringstream lines(output);
        for (Sample s; lines >> s.charset >> s.octets >> s.text;)
            out.push_back({s.charset, from_hex(s.octets), from_hex(s.text)});
        return out;
    }();
    return all;
}

std::string decoded(std::string_view charset, std::string_view octets, std::size_t step) {
    CharsetDecoder decoder(charset);
    std::string out;
    for (std::size_t at = 0; at < octets.size(); at += step) {
        std::size_t before = out.size();
        decoder.feed(std::string(octets.substr(at, step)), out);
        REQUIRE(is_valid_utf8(std::string_view(out).substr(before)));
    }
    decoder.finish(out);
    return out;
}

}  // namespace

TEST_CASE("charsets are read as Python writes them") {
    REQUIRE(samples().size() > 70);
    for (const auto& s : samples()) {
        INFO(s.charset << ": " << s.text);
        CHECK(knows_charset(s.charset));
        CHECK(to_utf8(s.charset, s.octets) == s.text);
        std::string upper;
        for (char c : s.charset) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        CHECK(to_utf8(upper, s.octets) == s.text);
        for (std::size_t step : {1u, 2u, 3u, 7u}) CHECK(decoded(s.charset, s.octets, step) == s.text);
    }
}

TEST_CASE("whatever octets come, valid UTF-8 of bounded length comes out, however they are cut") {
    std::mt19937 random(20261122);
    for (int round = 0; round < 40; ++round)
        for (const auto& s : samples()) {
            std::string octets = s.octets;
            if (round % 2)
                for (auto& c : octets)
                    if (random() % 4 == 0) c = static_cast<char>(random());
            if (round % 3 == 0) octets.resize(random() % (octets.size() + 1));
            INFO(s.charset);
            auto whole = to_utf8(s.charset, octets);
            REQUIRE(whole);
            REQUIRE(is_valid_utf8(*whole));
            REQUIRE(whole->size() <= 8 * octets.size() + 8);
            REQUIRE(decoded(s.charset, octets, 1) == decoded(s.charset, octets, 1 + random() % 9));
        }
}

TEST_CASE("GB 2312 within ISO-2022-JP-2 (RFC 1554)") {
    CHECK(to_utf8("iso-2022-jp-2", "\x1b$B2q\x1b$ARi<rLe\x1b(B.") == "会议简体.");
}

TEST_CASE("what is broken becomes U+FFFD") {
    CHECK(to_utf8("shift_jis", "a\x81") == "a\uFFFD");
    CHECK(to_utf8("euc-jp", "a\xff\xffz") == "a\uFFFD\uFFFDz");
    CHECK(to_utf8("utf-16le", std::string("a\0\x00\xd8z\0", 6)) == "a\uFFFDz");
    CHECK(to_utf8("utf-16be", std::string("\xd8\x00", 2)) == "\uFFFD");
    CHECK(to_utf8("iso-2022-jp", "\x1b$B2q\x1b(Bz\x1b%z").value_or("").starts_with("会z"));
}

TEST_CASE("a charset that nobody knows is guessed") {
    for (const char* name :
         {"klingon", "x-none", "gb18030,swaplfnl", "../../etc/passwd", "ISO_2022,locale=ja,version=4", "scsu",
          "x11-compound-text", "imap-mailbox-name", "lmbcs", "ibm-1047", "\xff\xfe", "iso 8859 1",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
        INFO(name);
        CHECK_FALSE(knows_charset(name));
        CHECK_FALSE(to_utf8(name, "a"));
        for (std::size_t step : {1u, 2u, 100u}) {
            CHECK(decoded(name,
                          "Gr\xc3\xbc\xc3\x9f"
                          "e",
                          step) == "Grüße");
            CHECK(decoded(name,
                          "Gr\xfc\xdf"
                          "e \x80",
                          step) == "Grüße €");
            CHECK(decoded(name, "x\xe2\x82", step) == "xâ‚");
        }
    }
    std::istringstream names{std::string(charset_names())};
    for (std::string name; names >> name;) CHECK(knows_charset(name));
}

TEST_CASE("characters are taken from UTF-8") {
    std::string_view text = "aä€😀\xff";
    CHECK(take_utf8(text) == U'a');
    CHECK(take_utf8(text) == U'ä');
    CHECK(take_utf8(text) == U'€');
    CHECK(take_utf8(text) == U'😀');
    CHECK(take_utf8(text) == char32_t{0xFFFD});
    CHECK(text.empty());
}
