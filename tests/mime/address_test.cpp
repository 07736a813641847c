#include "mime/address.hpp"

#include <catch2/catch.hpp>
#include <chrono>

using namespace fwmail::mime;

namespace {

// name|mailbox|host, "-" where absent.
std::string shown(std::string_view value) {
    std::string out;
    for (const auto& a : parse_addresses(value))
        out += (out.empty() ? "" : " / ") + a.name.value_or("-") + "|" + a.mailbox.value_or("-") + "|" +
               a.host.value_or("-");
    return out;
}

}  // namespace

TEST_CASE("address lists as they should be") {
    CHECK(shown("joe@example.org") == "-|joe|example.org");
    CHECK(shown("Joe Blow <joe@example.org>, b@c") == "Joe Blow|joe|example.org / -|b|c");
    CHECK(shown("\"Blow, \\\"Joe\\\"\" <joe@example.org>") == "Blow, \"Joe\"|joe|example.org");
    CHECK(shown("\"a b@c\"@example.org") == "-|a b@c|example.org");
    CHECK(shown("Friends: a@b, C <c@d>; e@f") == "-|Friends|- / -|a|b / C|c|d / -|-|- / -|e|f");
    CHECK(shown("undisclosed-recipients:;") == "-|undisclosed-recipients|- / -|-|-");
    CHECK(shown("a@[192.0.2.1]") == "-|a|[192.0.2.1]");
    CHECK(shown("=?utf-8?q?J=C3=B6rg?= <j@x>") == "=?utf-8?q?J=C3=B6rg?=|j|x");
}

TEST_CASE("address lists with obsolete syntax") {
    CHECK(shown("joe@x.org (Joe (the) Blow)") == "Joe (the) Blow|joe|x.org");
    CHECK(shown("<@a.x,@b.x:joe@x.org>") == "-|joe|x.org");
    CHECK(shown("pete . r @ x . org") == "-|pete.r|x.org");
    CHECK(shown("John Q. Public <j@x>") == "John Q. Public|j|x");
    CHECK(shown(",, a@b ,,") == "-|a|b");
    CHECK(shown("a(c)@(d)b(e)") == "e|a|b");
    CHECK(shown("Joe\r\n Blow <joe@\r\n x.org>") == "Joe Blow|joe|x.org");
}

TEST_CASE("address lists that are broken") {
    CHECK(shown("") == "");
    CHECK(shown("<>") == "");
    CHECK(shown("Name <>") == "Name||");
    CHECK(shown("plain") == "-|plain|");
    CHECK(shown("Some One") == "Some One||");
    CHECK(shown("Joe <joe@x, b@c") == "Joe|joe|x / -|b|c");
    CHECK(shown("Joe <joe@x <b@c>") == "Joe|joe|x");
    CHECK(shown("\"Joe <joe@x>, b@c") == "Joe|joe|x / -|b|c");
    CHECK(shown("(Joe <joe@x>") == "Joe|joe|x");
    CHECK(shown("joe@x <joe@x>") == "joe@x|joe|x");
    CHECK(shown("a@b@c") == "-|a@b|c");
    CHECK(shown("<a@b@c>") == "-|a@b|c");
    CHECK(shown("a@b c d") == "c d|a|b");
    CHECK(shown("G: a@b") == "-|G|- / -|a|b / -|-|-");
    CHECK(shown("G: H: a@b;;") == "-|G|- / H|a|b / -|-|-");
    CHECK(shown("J\xf6rg <j\xf6rg@x>") == "J\xf6rg|j\xf6rg|x");
    CHECK(shown("<a@b> @c") == "-|a|b");
    CHECK(shown(";;:,>])\\") == "");
}

TEST_CASE("address lists are bounded, and linear in time") {
    std::string many;
    for (int i = 0; i < 5000; ++i) many += "a@b,";
    CHECK(parse_addresses(many).size() == 1000);
    CHECK(parse_addresses(many, 3).size() == 3);
    auto list = parse_addresses("g: " + many, 10);
    REQUIRE(list.size() == 10);
    CHECK(list.back() == Address{});
    auto start = std::chrono::steady_clock::now();
    for (std::string_view piece :
         {"\"\\", "(", "\\\"", "<", "[", "a ", "@", "a@", ":", ". ", "(\\", "<\"", "<(", "@(", "@["}) {
        std::string text;
        while (text.size() < 256 * 1024) text += piece;
        parse_addresses(text);
    }
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("written addresses read back") {
    for (std::string_view value :
         {"Joe Blow <joe@x>", "\"Blow, J.\" <joe@x>, a@b", "G: a@b, C <c@d>;, e@f", "e@f, G:;, H: a@b;",
          "\"a b\"@c", "\"a\\\"b\\\\\" <\"..x\"@c>", "=?utf-8?q?J?= <j@x>", "a@[192.0.2.1]"}) {
        auto list = parse_addresses(value);
        INFO(value << " -> " << write_addresses(list));
        CHECK(parse_addresses(write_addresses(list)) == list);
    }
    CHECK(write_addresses(parse_addresses("Joe Blow <joe@x>, G: a@b,c@d;, e@f")) ==
          "Joe Blow <joe@x>, G: a@b, c@d;, e@f");
}

TEST_CASE("envelopes") {
    Envelope e = parse_envelope(
        "Subject: =?utf-8?q?x?=\r\n folded\r\nFrom: a@b\r\nSender:\r\nTo: c@d\r\nTo: e@f\r\nMessage-ID: "
        "<1@x>\r\n\r\n");
    CHECK(e.subject == "=?utf-8?q?x?= folded");
    CHECK(e.sender == e.from);
    CHECK(e.reply_to == e.from);
    REQUIRE(e.to.size() == 1);
    CHECK(e.to[0].mailbox == "c");
    CHECK(e.message_id == "<1@x>");
    CHECK_FALSE(e.date);
    CHECK(parse_envelope("") == Envelope{});
    CHECK(parse_envelope("Date:\r\n").date == "");
}

TEST_CASE("message ids") {
    CHECK(parse_message_ids(" <a@b>\r\n\t<c@d> junk (<e@f>) <>< g @h> <open") ==
          std::vector<std::string>{"<a@b>", "<c@d>", "<e@f>", "<g@h>"});
    CHECK(parse_message_ids("<a <b@c>") == std::vector<std::string>{"<b@c>"});
    CHECK(parse_message_ids("<a><b><c>", 2).size() == 2);
}
