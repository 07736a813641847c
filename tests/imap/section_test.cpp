#include "imap/section.hpp"

#include <catch2/catch.hpp>

#include "imap/writer.hpp"

using namespace fwmail;
using namespace fwmail::imap;
using What = Section::What;

namespace {

mime::Part leaf(std::uint64_t at) {
    mime::Part part;
    part.header = {at, 10};
    part.body = {at + 10, 20};
    part.body_lines = 2;
    return part;
}

// multipart/mixed of 1 text, 2 message/rfc822 (multipart/alternative of 2.1, 2.2), 3 message/rfc822 (text).
mime::Part example() {
    mime::Part root;
    root.header = {0, 100};
    root.body = {100, 900};
    root.type = "multipart";
    root.subtype = "mixed";
    mime::Part inner = leaf(300);
    inner.type = "multipart";
    inner.subtype = "alternative";
    inner.envelope.emplace();
    inner.children = {leaf(320), leaf(360)};
    mime::Part message = leaf(200);
    message.type = "message";
    message.subtype = "rfc822";
    message.children = {inner};
    mime::Part simple = leaf(500);
    simple.envelope.emplace();
    mime::Part message2 = leaf(400);
    message2.type = "message";
    message2.subtype = "rfc822";
    message2.children = {simple};
    root.children = {leaf(150), message, message2};
    return root;
}

std::string at(std::vector<std::uint32_t> part, What what = What::all, std::optional<Partial> partial = {},
               const mime::Part& root = example()) {
    auto plan = locate(root, {part, what, {}, partial}, 1000);
    if (!plan) return "NIL";
    return std::to_string(plan->range.offset) + '+' + std::to_string(plan->range.length) +
           (plan->filtered ? " filtered" : "");
}

}  // namespace

TEST_CASE("sections of a nested message") {
    CHECK(at({}) == "0+1000");
    CHECK(at({}, What::header) == "0+100");
    CHECK(at({}, What::text) == "100+900");
    CHECK(at({1}) == "160+20");
    CHECK(at({1}, What::mime) == "150+10");
    CHECK(at({1}, What::header) == "NIL");
    CHECK(at({2}) == "210+20");
    CHECK(at({2}, What::mime) == "200+10");
    CHECK(at({2}, What::header) == "300+10");
    CHECK(at({2}, What::text) == "310+20");
    CHECK(at({2}, What::header_fields) == "300+10 filtered");
    CHECK(at({2, 1}) == "330+20");
    CHECK(at({2, 2}, What::mime) == "360+10");
    CHECK(at({2, 3}) == "NIL");
    CHECK(at({3, 1}) == "510+20");
    CHECK(at({3, 2}) == "NIL");
    CHECK(at({3, 1, 1}) == "NIL");
    CHECK(at({1, 1}) == "NIL");
    CHECK(at({4}) == "NIL");
    CHECK(at({4000000000}) == "NIL");
}

TEST_CASE("a message of one part has part 1") {
    mime::Part root = leaf(0);
    CHECK(at({1}, What::all, {}, root) == "10+20");
    CHECK(at({1}, What::mime, {}, root) == "0+10");
    CHECK(at({2}, What::all, {}, root) == "NIL");
    CHECK(at({1, 1}, What::all, {}, root) == "NIL");
    // The message is a message/rfc822 itself: 1 is its body, 1.1 the first part of what is in it.
    mime::Part forward = leaf(0);
    forward.type = "message";
    forward.subtype = "rfc822";
    forward.children = {leaf(10)};
    CHECK(at({1}, What::all, {}, forward) == "10+20");
    CHECK(at({1}, What::header, {}, forward) == "10+10");
    CHECK(at({1, 1}, What::all, {}, forward) == "20+20");
}

TEST_CASE("partials") {
    CHECK(at({}, What::all, Partial{10, 5}) == "10+5");
    CHECK(at({}, What::all, Partial{990, 50}) == "990+10");
    CHECK(at({}, What::all, Partial{1000, 50}) == "1000+0");
    CHECK(at({}, What::text, Partial{UINT64_MAX / 2, 50}) == "1000+0");
    CHECK(at({2}, What::header_fields, Partial{2, 3}) == "300+10 filtered");
    CHECK(cut("abcdef", Partial{2, 3}) == "cde");
    CHECK(cut("abcdef", Partial{6, 3}) == "");
    CHECK(cut("abcdef", std::nullopt) == "abcdef");
}

TEST_CASE("header fields") {
    const char* header =
        "From: a\r\nTo: b,\r\n\tc\r\nSubject : x\r\njunk\r\n folded junk\r\nto: d\r\n\r\nBody: no\r\n";
    CHECK(filter_header(header, {"TO"}, false) == "To: b,\r\n\tc\r\nto: d\r\n\r\n");
    CHECK(filter_header(header, {"to", "from"}, true) == "Subject : x\r\n\r\n");
    CHECK(filter_header(header, {"Nothing"}, false) == "\r\n");
    CHECK(filter_header("", {"To"}, false) == "\r\n");
    CHECK(filter_header("To: x", {"To"}, false) == "To: x\r\n\r\n");
    CHECK(filter_header("To: x\nCc: y\n\n", {"Cc"}, false) == "Cc: y\n\r\n");
    CHECK(section_of_header(header, {{}, What::header_fields, {"From"}, Partial{0, 4}}) == "From");
}

TEST_CASE("bodystructure") {
    mime::Part text = leaf(0);
    CHECK(write_body(text) == "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 20 2)");
    CHECK(write_bodystructure(text) ==
          "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 20 2 NIL NIL NIL NIL)");
    mime::Part image = leaf(0);
    image.type = "image";
    image.subtype = "png";
    image.encoding = "base64";
    image.parameters = {{"name", "a\"b.png"}};
    image.id = "<1@x>";
    image.disposition = "attachment";
    image.disposition_parameters = {{"filename", "ü"}};
    image.language = {"en", "de"};
    image.location = "x";
    CHECK(write_bodystructure(image) ==
          "(\"image\" \"png\" (\"name\" \"a\\\"b.png\") \"<1@x>\" NIL \"base64\" 20 NIL (\"attachment\" "
          "(\"filename\" "
          "{2}\r\nü)) (\"en\" \"de\") \"x\")");
    // RFC 2231 6: continuations come joined; one that lacks its beginning, or lies behind a gap, stays.
    image.parameters = {{"title*1*", "%20c"},   {"name*0", "long "}, {"title*0", "a b"},
                        {"name*1", "name.txt"}, {"name*3", "gap"},   {"x*1", "y"},
                        {"name*1", "again"},    {"*0", "z"},         {"filename*", "utf-8''%e2"}};
    CHECK(write_body(image).find("(\"name\" \"long name.txt\" \"title*\" \"''a%20b%20c\" \"name*3\" \"gap\" "
                                 "\"x*1\" \"y\" \"*0\" \"z\" \"filename*\" \"utf-8''%e2\")") !=
          std::string::npos);
    mime::Part empty;
    empty.type = "multipart";
    empty.subtype = "mixed";
    CHECK(write_body(empty) ==
          "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")");
    std::string nested = write_bodystructure(example());
    CHECK(nested.find("\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 20 (NIL NIL NIL NIL NIL NIL NIL NIL NIL "
                      "NIL) ((\"text\"") != std::string::npos);
    CHECK(std::ranges::count(nested, '(') == std::ranges::count(nested, ')'));
    mime::Part hollow = leaf(0);  // message/rfc822 without a message
    hollow.type = "message";
    hollow.subtype = "rfc822";
    CHECK(write_body(hollow).find("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\"") !=
          std::string::npos);
}

TEST_CASE("envelope") {
    mime::Envelope e;
    CHECK(write_envelope(e) == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    e.date = "Mon, 7 Feb 1994 21:52:25 -0800";
    e.subject = "";
    e.from = {{"Fred \"F\"", "fred", "example.org"}};
    e.to = {{std::nullopt, "group", std::nullopt}, {std::nullopt, "a", "b"}, {}};
    e.message_id = "<1@x>";
    CHECK(write_envelope(e) ==
          "(\"Mon, 7 Feb 1994 21:52:25 -0800\" \"\" ((\"Fred \\\"F\\\"\" NIL \"fred\" \"example.org\")) NIL "
          "NIL "
          "((NIL NIL \"group\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) NIL NIL NIL \"<1@x>\")");
}
