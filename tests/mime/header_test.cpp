#include "mime/header.hpp"

#include <catch2/catch.hpp>

using namespace fwmail::mime;

TEST_CASE("fields of a header, with folds and junk") {
    std::string block =
        "From x y\r\nSubject: a\r\n b\r\nX-Empty:\r\njunk line\r\n folded junk\r\nTO : x@y\nsubject: "
        "second\r\n\r\nBody: z\r\n";
    HeaderView h(block);
    REQUIRE(h.fields().size() == 6);
    CHECK(h.fields()[0].name.empty());
    CHECK(h.fields()[1].name == "Subject");
    CHECK(h.fields()[1].value == " a\r\n b");
    CHECK(h.text(h.fields()[1]) == "Subject: a\r\n b\r\n");
    CHECK(h.value("SUBJECT") == "a b");
    CHECK(h.value("x-empty") == "");
    CHECK(h.fields()[3].name.empty());
    CHECK(h.fields()[3].value == "junk line\r\n folded junk");
    CHECK(h.value("to") == "x@y");
    CHECK(h.find_all("subject").size() == 2);
    CHECK_FALSE(h.find("body"));
    CHECK_FALSE(h.find(""));
    CHECK(block.substr(h.length()) == "Body: z\r\n");
}

TEST_CASE("headers without an end") {
    CHECK(HeaderView("").fields().empty());
    HeaderView h("A: b\r\nC: d");
    CHECK(h.length() == 10);
    CHECK(h.value("c") == "d");
    std::string many;
    for (int i = 0; i < 30'000; ++i) many += "a:\n";
    CHECK(HeaderView(many).fields().size() == HeaderView::max_fields);
}

TEST_CASE("unfolding leaves no line ending and no NUL") {
    CHECK(unfold(" a\r\n\tb \r\n  ") == "a\tb");
    CHECK(unfold("a\rb\nc") == "a bc");
    CHECK(unfold(std::string("a\0b", 3)) == "ab");
    CHECK(unfold("\r\n \t") == "");
}

TEST_CASE("what starts a field") {
    CHECK(starts_field("A:"));
    CHECK(starts_field("A-b_c \t: x"));
    CHECK_FALSE(starts_field(": x"));
    CHECK_FALSE(starts_field("A b: x"));
    CHECK_FALSE(starts_field(" A: x"));
    CHECK_FALSE(starts_field("A\r: x"));
    CHECK_FALSE(starts_field("A"));
    CHECK(is_mbox_from(">From x"));
    CHECK_FALSE(is_mbox_from("From: x"));
}

TEST_CASE("values with parameters") {
    auto p = parse_parameterized(
        "Text / Plain (a;b) ; CharSet = \"u\\\"t;f\" junk; b=c (d) ; e ; =f; name*0*=utf-8''%20; g=h i;;");
    CHECK(p.value == "text/plain");
    CHECK(p.parameters ==
          Parameters{{"charset", "u\"t;f"}, {"b", "c"}, {"name*0*", "utf-8''%20"}, {"g", "h i"}});
    CHECK(parse_parameterized("a/b; c=\"open").parameters == Parameters{{"c", "open"}});
    CHECK(parse_parameterized("a/b; file=x(1).pdf").parameters == Parameters{{"file", "x(1).pdf"}});
    CHECK(parse_parameterized("a/b; c=d; e=f", 1).parameters.size() == 1);
    CHECK(parse_parameterized("").value.empty());
    CHECK(parse_parameterized("(((").value.empty());
    CHECK(parse_parameterized("a\\(").value == "a\\(");
    CHECK(*find_parameter(p.parameters, "b") == "c");
    CHECK(find_parameter(p.parameters, "zz") == nullptr);
}
