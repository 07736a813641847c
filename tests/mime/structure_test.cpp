#include "mime/structure.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

using namespace fwmail::mime;

namespace {

std::string slice(const std::string& message, Range range) {
    REQUIRE(range.offset + range.length <= message.size());
    return message.substr(range.offset, range.length);
}

std::string joined(std::initializer_list<std::string> lines) {
    std::string out;
    for (const auto& line : lines) out += line + "\r\n";
    return out;
}

std::string shape(const Part& part) {
    std::string out = part.type + "/" + part.subtype;
    if (part.children.empty()) return out;
    out += "(";
    for (const auto& child : part.children) out += (out.back() == '(' ? "" : " ") + shape(child);
    return out + ")";
}

}  // namespace

TEST_CASE("a plain message is cut at its empty line") {
    std::string m = joined({"Subject: x", "Content-Type: Text/HTML; charset=\"utf-8\"", "", "one", "two"});
    Part p = parse_structure(m);
    CHECK(slice(m, p.header) == joined({"Subject: x", "Content-Type: Text/HTML; charset=\"utf-8\"", ""}));
    CHECK(slice(m, p.body) == "one\r\ntwo\r\n");
    CHECK(p.body_lines == 2);
    CHECK(shape(p) == "text/html");
    CHECK(p.parameters == Parameters{{"charset", "utf-8"}});
    CHECK(p.envelope->subject == "x");
    CHECK(p.encoding == "7bit");
}

TEST_CASE("messages that lack a header, a body or both") {
    Part p = parse_structure("");
    CHECK(p == [] {
        Part empty;
        empty.envelope.emplace();
        return empty;
    }());

    p = parse_structure("Subject: x");
    CHECK(p.header == Range{0, 10});
    CHECK(p.body == Range{10, 0});
    CHECK(p.envelope->subject == "x");

    p = parse_structure("Subject: x\r\n\r\n");
    CHECK(p.header == Range{0, 14});
    CHECK(p.body == Range{14, 0});
    CHECK(p.body_lines == 0);

    p = parse_structure("\r\nbody");
    CHECK(p.header == Range{0, 2});
    CHECK(p.body == Range{2, 4});
    CHECK(p.body_lines == 1);

    p = parse_structure("no field here\r\nSubject: x\r\n\r\nbody\r\n");
    CHECK(p.header == Range{0, 0});
    CHECK(p.body == Range{0, 35});
    CHECK(p.body_lines == 4);
    CHECK_FALSE(p.envelope->subject);

    p = parse_structure("Sub: x\r\nno field\r\nSubject: y\r\n\r\nb");
    CHECK(p.header == Range{0, 32});
    CHECK(p.envelope->subject == "y");

    p = parse_structure("From a@b Tue Mar  3 10:11:12 2020\nSubject: y\n\nb");
    CHECK(p.header.length == 46);
    CHECK(p.envelope->subject == "y");
    CHECK(p.envelope->from.empty());

    p = parse_structure("\n");
    CHECK(p.header == Range{0, 1});
    p = parse_structure("\r");
    CHECK(p.header == Range{0, 0});
    CHECK(p.body == Range{0, 1});
}

TEST_CASE("the header is kept as it came, however the message was cut, unless it is large") {
    std::string inner = joined({"Subject: inner", "", "x"});
    auto header_of = [](const std::string& message, std::size_t step) {
        StructureParser parser;
        for (std::size_t i = 0; i < message.size(); i += step)
            parser.feed(std::string_view(message).substr(i, step));
        parser.finish();
        auto header = parser.header();
        return header ? std::string(*header) : std::string("none");
    };
    std::string head = joined({"Subject: x", "Content-Type: multipart/mixed; boundary=b", ""});
    std::string nested = head + joined({"--b", "Content-Type: message/rfc822", ""}) + inner + "--b--\r\n";
    for (std::size_t step : {1, 7, 1000}) {
        CHECK(header_of(nested, step) == head);
        CHECK(header_of("Subject: x\r\n", step) == "Subject: x\r\n");
        CHECK(header_of("no header\r\n\r\nA: b\r\n", step).empty());
        CHECK(header_of("", step).empty());
    }
    auto large = [&](std::size_t size) {
        std::string text = "Subject: ";
        text.resize(size - 4, 'x');
        return text + "\r\n\r\n";
    };
    for (std::size_t step : {100, 100'000}) {
        std::string fits = large(StructureParser::kept_header),
                    more = large(StructureParser::kept_header + 1);
        CHECK(header_of(fits + "body", step) == fits);
        CHECK(header_of(more + "body", step) == "none");
    }
}

TEST_CASE("line endings: LF ends, a CR before it belongs to it, another is data") {
    std::string m = "A: b\rc\n\r\nx\ry\nz\r\r\n\rw";
    Part p = parse_structure(m);
    CHECK(slice(m, p.header) == "A: b\rc\n\r\n");
    CHECK(p.body_lines == 3);

    m = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\r\r\n--b\n\ntwo\r\n\n--b--";
    p = parse_structure(m);
    REQUIRE(p.children.size() == 2);
    CHECK(slice(m, p.children[0].body) == "one\r");
    CHECK(slice(m, p.children[1].body) == "two\r\n");
    CHECK(p.children[1].body_lines == 1);
}

TEST_CASE("a multipart's parts, their ranges and lines") {
    std::string m = joined({"Content-Type: multipart/mixed; boundary=\"b c\"", "", "preamble", "--b c",
                            "Content-Type: text/html", "Content-Transfer-Encoding: BASE64",
                            "Content-ID: <1@x>", "Content-Disposition: Attachment; FileName=a.txt", "", "one",
                            "two", "--b c", "", "", "", "--b c--", "epilogue", "--b c", "not a part"});
    Part p = parse_structure(m);
    REQUIRE(shape(p) == "multipart/mixed(text/html text/plain)");
    CHECK(slice(m, p.body) == m.substr(p.header.length));
    CHECK(p.body_lines == 17);
    const Part& one = p.children[0];
    CHECK(slice(m, one.header).starts_with("Content-Type: text/html\r\n"));
    CHECK(slice(m, one.header).ends_with("a.txt\r\n\r\n"));
    CHECK(slice(m, one.body) == "one\r\ntwo");
    CHECK(one.body_lines == 2);
    CHECK(one.encoding == "base64");
    CHECK(one.id == "<1@x>");
    CHECK(one.disposition == "attachment");
    CHECK(one.disposition_parameters == Parameters{{"filename", "a.txt"}});
    const Part& two = p.children[1];
    CHECK(slice(m, two.header) == "\r\n");
    CHECK(slice(m, two.body) == "\r\n");
    CHECK(two.body_lines == 1);
    CHECK_FALSE(two.envelope);
}

TEST_CASE("parts without header or body keep their ranges inside their parent's") {
    std::string m =
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\nContent-Type: "
        "text/html\n--b\ntext\n\n--b";
    Part p = parse_structure(m);
    REQUIRE(shape(p) == "multipart/mixed(text/plain text/plain text/html text/plain text/plain)");
    CHECK(p.children[0].header.length == 0);
    CHECK(p.children[0].body.length == 0);
    CHECK(slice(m, p.children[1].header) == "\n");
    CHECK(p.children[1].body.length == 0);
    CHECK(slice(m, p.children[2].header) == "Content-Type: text/html");
    CHECK(slice(m, p.children[3].body) == "text\n");
    CHECK(p.children[3].header.length == 0);
    CHECK(p.children[4].header == Range{m.size(), 0});
}

TEST_CASE("a line ending that ends a header or a delimiter is not taken from it") {
    std::string m =
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; "
        "boundary=i\n\n--i\n--o\n"
        "Content-Type: message/rfc822\n\nSubject: x\n\n--o--";
    Part p = parse_structure(m);
    REQUIRE(shape(p) == "multipart/mixed(multipart/mixed(text/plain) message/rfc822(text/plain))");
    CHECK(slice(m, p.children[0].body) == "--i\n");
    CHECK(p.children[0].body_lines == 1);
    CHECK(p.children[0].children[0].header.offset == p.children[0].body.offset + 4);
    CHECK(slice(m, p.children[1].body) == "Subject: x\n\n");
    CHECK(p.children[1].body_lines == 2);
    CHECK(slice(m, p.children[1].children[0].header) == "Subject: x\n\n");
}

TEST_CASE("delimiters are whole lines") {
    auto count = [](const std::string& boundary, const std::string& body) {
        return parse_structure("Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\n\n" + body)
            .children.size();
    };
    CHECK(count("b", "--b\n\nx\n--bc\n--b--x\n--b -\n -- b\nx--b\n--b--\n") == 1);
    CHECK(count("b", "--b \t\r\n\nx\n--b--  \n--b\n") == 1);
    CHECK(count("b", "--b" + std::string(600, ' ') + "\n\nx\n") == 0);
    CHECK(count("b ", "--b\n\nx\n--b \n") == 2);
    CHECK(count(std::string(256, 'b'), "--" + std::string(256, 'b') + "\n\nx") == 1);
    CHECK(shape(parse_structure("Content-Type: multipart/mixed; boundary=" + std::string(257, 'b') +
                                "\n\n--" + std::string(257, 'b') + "\n\nx")) == "text/plain");
    CHECK(count("b--", "--b--\n\nx\n--b----\n") == 1);
    CHECK(shape(parse_structure("Content-Type: multipart/mixed; x=y\n\n--b\n\nx")) == "text/plain");
    CHECK(shape(parse_structure("Content-Type: multipart/mixed; boundary=b\n\nx")) == "multipart/mixed");
}

TEST_CASE("an outer delimiter ends what is inside; prefixes do not confuse") {
    std::string m = joined({"Content-Type: multipart/mixed; boundary=o", "", "--o",
                            "Content-Type: multipart/alternative; boundary=oo", "", "--oo", "", "one", "--oo",
                            "Content-Type: text/html", "", "two", "--o", "Content-Type: image/png", "",
                            "three", "--oo", "--o--"});
    Part p = parse_structure(m);
    REQUIRE(shape(p) == "multipart/mixed(multipart/alternative(text/plain text/html) image/png)");
    CHECK(slice(m, p.children[0].children[1].body) == "two");
    CHECK(slice(m, p.children[0].body) == "--oo\r\n\r\none\r\n--oo\r\nContent-Type: text/html\r\n\r\ntwo");
    CHECK(p.children[0].body_lines == 7);
    CHECK(slice(m, p.children[1].body) == "three\r\n--oo");
}

TEST_CASE("messages in messages") {
    std::string inner = joined({"From: a@x", "Subject: inner", "", "text"});
    std::string m = joined({"Content-Type: multipart/digest; boundary=b", "Subject: outer", "", "--b", ""}) +
                    inner + joined({"--b", "Content-Type: message/rfc822", ""}) + inner +
                    joined({"--b", "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "",
                            "U3ViamVjdDogeA0K"}) +
                    joined({"--b", "Content-Type: message/global", "", "no header", "--b", "--b--"});
    Part p = parse_structure(m);
    REQUIRE(shape(p) ==
            "multipart/digest(message/rfc822(text/plain) message/rfc822(text/plain) message/rfc822 "
            "message/global(text/plain) "
            "message/rfc822(text/plain))");
    CHECK(p.envelope->subject == "outer");
    const Part& message = p.children[1];
    CHECK(message.is_message());
    CHECK_FALSE(message.envelope);
    CHECK(message.body_lines == 4);
    CHECK(slice(m, message.body) + "\r\n" == inner);
    CHECK(message.children[0].envelope->subject == "inner");
    CHECK(message.children[0].envelope->sender.size() == 1);
    CHECK(slice(m, message.children[0].body) == "text");
    CHECK_FALSE(p.children[2].is_message());
    CHECK(slice(m, p.children[3].children[0].body) == "no header");
    CHECK(p.children[4].children[0].body.length == 0);
}

TEST_CASE("content fields: garbage is text/plain, the first field counts") {
    auto type = [](const std::string& value) {
        return shape(parse_structure("Content-Type: " + value + "\n\nx"));
    };
    CHECK(type("") == "text/plain");
    CHECK(type("image") == "text/plain");
    CHECK(type("/png") == "text/plain");
    CHECK(type("image/png; ;; x") == "image/png");
    CHECK(type("(c) image (d) / png (e);") == "image/png");
    CHECK(type("image/png\nContent-Type: text/html") == "image/png");
    CHECK(type("a/b/c") == "text/plain");
    CHECK(type("IMAGE/PNG (") == "image/png");
    Part p = parse_structure(
        "Content-Language: de, en-GB (x),,\nContent-Transfer-Encoding: 8bit (c)\nContent-MD5: q\n\n");
    CHECK(p.language == std::vector<std::string>{"de", "en-gb"});
    CHECK(p.encoding == "8bit");
    CHECK(p.md5 == "q");
}

TEST_CASE("limits: header octets, depth, parts") {
    std::string filler(1000, 'f');
    std::string m = "Subject: early\r\n";
    while (m.size() < 300'000) m += "X-F: " + filler + "\r\n";
    std::size_t header = m.size() + std::string("To: late@x\r\n\r\n").size();
    Part p = parse_structure(m + "To: late@x\r\n\r\nbody");
    CHECK(p.header.length == header);
    CHECK(p.envelope->subject == "early");
    CHECK(p.envelope->to.empty());

    std::string deep;
    for (int i = 0; i < 200; ++i)
        deep += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "\n\n--b" +
                std::to_string(i) + "\n";
    p = parse_structure(deep);
    int levels = 1;
    const Part* at = &p;
    for (; !at->children.empty(); at = &at->children.back()) ++levels;
    CHECK(levels == 100);
    CHECK(at->type == "multipart");
    CHECK(at->body.offset + at->body.length == deep.size());

    std::string bomb = "Content-Type: multipart/mixed; boundary=b\n\n";
    for (int i = 0; i < 50'000; ++i) bomb += "--b\n\n";
    p = parse_structure(bomb);
    CHECK(p.children.size() == 9'999);
    CHECK(p.children.back().body.offset + p.children.back().body.length == bomb.size());

    std::string nested;  // each message opens the next
    for (int i = 0; i < 300; ++i) nested += "Content-Type: message/rfc822\n\n";
    p = parse_structure(nested);
    levels = 1;
    for (at = &p; !at->children.empty(); at = &at->children.back()) ++levels;
    CHECK(levels == 100);

    // All headers together: later parts are read as text/plain, with right ranges.
    std::string many = "Content-Type: multipart/mixed; boundary=b\n\n";
    for (int i = 0; i < 100; ++i) many += "--b\nContent-Type: text/html\n\nbody\n";
    StructureParser parser({.headers = 1000});
    parser.feed(many);
    p = parser.finish();
    REQUIRE(p.children.size() == 100);
    CHECK(p.children[30].subtype == "html");
    CHECK(p.children[99].subtype == "plain");
    CHECK(many.substr(p.children[98].body.offset, p.children[98].body.length) == "body");

    // Addresses of all envelopes together.
    std::string to = "To: ";
    for (int i = 0; i < 500; ++i) to += "a@b,";
    std::string forwarded = "Content-Type: multipart/digest; boundary=b\n\n";
    for (int i = 0; i < 200; ++i) forwarded += "--b\n\n" + to + "\n\nx\n";
    p = parse_structure(forwarded);
    std::size_t addresses = 0;
    for (const auto& child : p.children) addresses += child.children[0].envelope->to.size();
    CHECK(p.children.size() == 200);
    CHECK(addresses > 5000);
    CHECK(addresses <= 10'000);
}

TEST_CASE("a first line longer than what is looked at") {
    std::string name(600, 'n');
    Part p = parse_structure(name + ": value\n\nbody");
    CHECK(p.header.length == 0);
    p = parse_structure(name.substr(0, 400) + ": " + name + "\n\nbody");
    CHECK(p.body.length == 4);
}

TEST_CASE("body text is skipped quickly", "[speed]") {
    std::string m = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n";
    std::string line(75, 'x');
    while (m.size() < 50'000'000) (m += line) += "\r\n";
    auto start = std::chrono::steady_clock::now();
    Part p = parse_structure(m);
    auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    CHECK(p.children[0].body_lines == (m.size() - 48) / 77);
    INFO("body text: " << static_cast<int>(static_cast<double>(m.size()) / seconds / 1e6) << " MB/s");
    CHECK(seconds < 5);  // far below what any machine needs, sanitised too
}
