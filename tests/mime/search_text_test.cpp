// Folding, HTML and what SEARCH looks at.
#include "mime/search_text.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "mime/charset.hpp"
#include "mime/fold.hpp"
#include "mime/html_text.hpp"
#include "mime/structure.hpp"

using namespace fwmail;
using namespace fwmail::mime;

namespace {

std::string html(std::string_view text, std::size_t step = 1000) {
    HtmlText markup;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += step) markup.feed(text.substr(at, step), out);
    markup.finish(out);
    while (out.ends_with(' ')) out.pop_back();
    return out;
}

struct Read {
    std::string message;
    Part root;
    ReadOctets octets;
    explicit Read(std::string text) : message(std::move(text)), root(parse_structure(message)) {
        octets = [this](Range r) -> Result<std::string> { return message.substr(r.offset, r.length); };
    }
    SearchText text(std::size_t limit = 1 << 20) const { return *read_search_text(root, octets, limit); }
    bool streamed(std::string_view needle, bool with_header) const {
        return *stream_contains(root, octets, fold(needle), with_header);
    }
};

}  // namespace

TEST_CASE("folding") {
    auto same = [](std::string_view a, std::string_view b) { return fold(a) == fold(b); };
    CHECK(fold("ABC xyz 12") == "abc xyz 12");
    CHECK(same("GRÜßE ŁĄŽŸ", "grüße łąžÿ"));
    CHECK(same("ΑΩΣ", "αως"));
    CHECK(same("ЖЁ", "жё"));
    CHECK(same("ä", "a\u0308"));              // composed or not
    CHECK(same("ＡＢＣ １２３", "abc 123"));  // full-width
    CHECK(same("ｶﾞｷﾞ", "ガギ"));              // half-width
    CHECK(same("ﬁx", "FIX"));                 // ligatures
    CHECK(same("〜−", "～－"));               // read by two tables
    CHECK(same("ı", "i"));                    // RFC 5051: titlecase joins them
    CHECK(fold("각") == "각");                // a syllable is no beginning of another
    CHECK_FALSE(contains(fold("각"), fold("가")));
    CHECK_FALSE(same("ß", "ss"));  // simple folding only
    CHECK(fold(std::string("a\0b\r\nc", 6)) == "a b\nc");
    CHECK(fold("\xff") == "\uFFFD");
    CHECK(contains("abc", ""));
    CHECK(contains("", ""));
    CHECK_FALSE(contains("", "a"));
    // A naive search takes minutes here.
    CHECK_FALSE(contains(std::string(2'000'000, 'a'), std::string(1000, 'a') + 'b'));
    for (char32_t c = 1; c < 0x30000; ++c) {  // idempotent, bounded, never empty but for CR
        std::string one, twice;
        append_utf8(one, c);
        std::string folded = fold(one);
        if (fold(folded) != folded || (folded.empty() && c != '\r') ||
            folded.find('\0') != std::string::npos || folded.size() > 18 * one.size()) {
            INFO(static_cast<unsigned>(c));
            FAIL("folding");
        }
    }
}

TEST_CASE("HTML becomes text") {
    CHECK(html("<p>One</p><p>two</p>") == "One two");
    CHECK(html("b<b>ol</b>d s<span style='a>b'>pan</span>") == "bold span");
    CHECK(html("<style>p{a>b}</style><script>if(a<b)'</scrip>x'</script>Text<!-- no -- > yes --> here") ==
          "Text here");
    CHECK(html("a&amp;b &lt;tag&gt; &auml;&Auml;&euro;&#228;&#xE4;&#x80;&nbsp;x&nosuch; AT&T &") ==
          "a&b <tag> äÄ€ää€ x&nosuch; AT&T &");
    CHECK(html("1 < 2 and 3 <4") == "1 < 2 and 3 <4");
    CHECK(html("<a href=\"x>y\">link</a><br>next<br/>line") == "link next line");
    CHECK(html("<p don't>text</p>it's") == "text it's");
    CHECK(html("<!DOCTYPE html><html><head><title>T</title></head>body") == "body");
    CHECK(html("soft&shy;hyphen &#0;&#99999999999999999999;") == "softhyphen \uFFFD\uFFFD");
    CHECK(html("<!-->shown") == "shown");
    CHECK(html("  many \n\t spaces  ") == "many spaces");
    CHECK(html("<") == "<");
    CHECK(html("<script>never closed") == "");
    CHECK(html("a<!-- never closed") == "a");
}

TEST_CASE("HTML: however it is cut, the same text comes out; it is valid and no longer than it was") {
    std::mt19937 random(4711);
    std::string_view words[] = {"<",   ">",   "&", ";",     "<!--",    "-->",      "<script>", "</script>",
                                "<p ", "=\"", "'", "amp",   "#x",      "é",        "会",       " ",
                                "\n",  "a",   "/", "nbsp;", "<style>", "</style ", "--"};
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (std::size_t i = random() % 30; i > 0; --i) text += words[random() % std::size(words)];
        std::string whole = html(text);
        INFO(text);
        REQUIRE(is_valid_utf8(whole));
        REQUIRE(whole.size() <= text.size() + 3);
        // Pieces are of whole characters.
        HtmlText markup;
        std::string cut;
        for (std::string_view rest = text; !rest.empty();) {
            std::string_view before = rest;
            take_utf8(rest);
            markup.feed(before.substr(0, before.size() - rest.size()), cut);
        }
        markup.finish(cut);
        while (cut.ends_with(' ')) cut.pop_back();
        REQUIRE(cut == whole);
    }
}

TEST_CASE("the text of a message") {
    Read mail(
        "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\n"
        "Subject: =?iso-2022-jp?b?GyRCMnE1RBsoQg==?= Plan\r\n"
        "X-Raw: Gr\xc3\xbc\xc3\x9f"
        "e\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        "preamble\r\n--b\r\n"
        "Content-Type: text/plain; charset=iso-8859-2\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        "=A3=F3d=BC\r\n--b\r\n"
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "PHA+QmzDvDxiPHRoZTwvYj48L3A+\r\n--b\r\n"  // <p>Blü<b<the</b></p>
        "Content-Type: application/octet-stream\r\n\r\nhidden binary\r\n--b\r\n"
        "Content-Type: message/rfc822\r\n\r\n"
        "Subject: =?utf-8?q?inn=C3=A9r?=\r\n\r\ninner text\r\n--b--\r\nepilogue\r\n");
    auto text = mail.text();
    CHECK(text.whole);
    auto body = [&](const char* needle) {
        bool found = text.body_contains(fold(needle));
        CHECK(found == mail.streamed(needle, false));
        return found;
    };
    auto all = [&](const char* needle) {
        bool found = text.text_contains(fold(needle));
        CHECK(found == mail.streamed(needle, true));
        return found;
    };
    auto header = [&](const char* name, const char* needle) {
        return text.header_contains(name, fold(needle));
    };
    CHECK(header("from", "JÖRG"));
    CHECK(header("subject", "会議 plan"));
    CHECK(header("subject", ""));
    CHECK(header("x-raw", "grüße"));
    CHECK_FALSE(header("from", "plan"));
    CHECK_FALSE(header("to", ""));
    CHECK_FALSE(header("fro", "m"));
    CHECK(body("łóDŹ"));
    CHECK(body("INNÉR"));
    CHECK(body("inner text"));
    CHECK_FALSE(body("会議"));
    CHECK_FALSE(body("hidden"));
    CHECK_FALSE(body("preamble"));
    CHECK_FALSE(body("łódź blü"));  // no text goes on in the next part
    CHECK(all("会議"));
    CHECK(all("subject: "));
    CHECK(all("inner text"));
    CHECK_FALSE(all("charset"));

    auto again = parse_search_text(write_search_text(text));
    REQUIRE(again);
    CHECK(again->header == text.header);
    CHECK(again->body == text.body);
    for (const char* bad : {"", "x", "5", "5 abc", "99999999999 a", " a"})
        CHECK_FALSE(parse_search_text(bad));
    CHECK(parse_search_text("0 ")->size() == 0);

    auto cut = mail.text(40);
    CHECK_FALSE(cut.whole);
    CHECK(cut.size() <= 40);
    CHECK(read_search_header(mail.root, mail.octets)->header == text.header);
    auto failing = [](Range) -> Result<std::string> { return fail(ErrorKind::temporary, "no disk"); };
    CHECK_FALSE(read_search_text(mail.root, failing, 1000));
    CHECK_FALSE(stream_contains(mail.root, failing, "x", true));
}

TEST_CASE("a text is found wherever the pieces are cut") {
    std::string line = "the quick brown fox jumps over the lazy dog ";
    std::string body;
    while (body.size() < 400'000) body += line;
    for (std::size_t at : {0u, 1u, 65'530u, 65'535u, 65'536u, 131'071u, 300'000u}) {
        std::string message = "Content-Type: text/plain; charset=utf-8\r\n\r\n" + body;
        message.insert(message.find("\r\n\r\n") + 4 + at, "nädel会議");
        Read mail(message);
        INFO(at);
        CHECK(mail.streamed("NÄDEL会議", false));
        CHECK(mail.streamed("NÄDEL会議", true));
        CHECK_FALSE(mail.streamed("nädel会議x", true));
        CHECK(mail.text().body_contains(fold("Nädel会議")));
    }
}
