#include "sync/node_mail.hpp"

#include <catch2/catch.hpp>

#include "base/encoding.hpp"
#include "generate.hpp"

using namespace fwmail;
using namespace fwmail::sync;
using fwmail::sync::testing::Generator;

namespace {

NodeMail a_mail() {
    NodeMail mail;
    mail.from = "core@example.org";
    mail.to = "remote@example.net";
    mail.date = UnixMillis(1'700'000'000'999);
    mail.message_id = node_message_id(*FrameId::from_octets("0123456789abcdef"), mail.from);
    mail.hints = {*EmailId::from_octets("email-email-emai"), *EmailId::from_octets("email-email-2222")};
    mail.content = "binary \x80\xff content that is long enough for more than one line of base64 text";
    return mail;
}

NodeMail without_date(NodeMail mail) {
    mail.date = {};
    return mail;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    std::size_t at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

std::string reason(std::string_view text) {
    auto parsed = parse_node_mail(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind == ErrorKind::refused);
    return parsed.error().text;
}

}  // namespace

TEST_CASE("node mail: the text, octet by octet") {
    CHECK(build_node_mail(a_mail()).value() ==
          "From: core@example.org\r\n"
          "To: remote@example.net\r\n"
          "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
          "Message-ID: <30313233343536373839616263646566@example.org>\r\n"
          "Subject: fwmail\r\n"
          "Auto-Submitted: auto-generated\r\n"
          "FWMail-Id: 656d61696c2d656d61696c2d656d6169\r\n"
          "\t656d61696c2d656d61696c2d32323232\r\n"
          "MIME-Version: 1.0\r\n"
          "Content-Type: application/vnd.fwmail.frame\r\n"
          "Content-Transfer-Encoding: base64\r\n"
          "\r\n"
          "YmluYXJ5IID/IGNvbnRlbnQgdGhhdCBpcyBsb25nIGVub3VnaCBmb3IgbW9yZSB0aGFuIG9uZSBs\r\n"
          "aW5lIG9mIGJhc2U2NCB0ZXh0\r\n");
    CHECK(parse_node_mail(build_node_mail(a_mail()).value()).value() == without_date(a_mail()));
}

TEST_CASE("node mail: parsing undoes building") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        Generator generate(seed);
        NodeMail mail = a_mail();
        mail.content = generate.octets(1 + generate.below(3000));
        mail.hints.resize(generate.below(max_hints + 1), generate.id<EmailId>());
        mail.subject = generate.coin() ? "" : "#" + std::to_string(generate.any64()) + "#";
        mail.date = UnixMillis(static_cast<std::int64_t>(generate.below(4'000'000'000'000)));
        std::string text = build_node_mail(mail).value();
        REQUIRE(std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; }));
        for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
            REQUIRE(end - at <= 78);
            REQUIRE(text[end - 1] == '\r');
        }
        REQUIRE(parse_node_mail(text).value() == without_date(mail));
        REQUIRE(looks_like_node_mail(text));
    }
}

TEST_CASE("node mail: what servers on the way do to it does no harm") {
    std::string text = build_node_mail(a_mail()).value();
    NodeMail expected = without_date(a_mail());
    std::string bare = text;
    std::erase(bare, '\r');
    CHECK(parse_node_mail(bare).value() == expected);
    std::string received =
        "Return-Path: <core@example.org>\r\nReceived: from a by b\r\n\tfor "
        "<remote@example.net>;\r\n\tContent-Type: text/plain\r\n"
        "DKIM-Signature: v=1; h=Content-Type;\r\n b=abc\r\n";
    CHECK(parse_node_mail(received + text).value() == expected);
    CHECK(parse_node_mail("From core@example.org Tue Nov 14 22:13:20 2023\n" + bare).value() == expected);
    CHECK(parse_node_mail(replaced(text, "Content-Type: application", "content-TYPE :\r\n Application"))
              .value() == expected);
    CHECK(parse_node_mail(
              replaced(text, "vnd.fwmail.frame", "vnd.fwmail.frame (a (nested) comment);\r\n\tname=\"x\""))
              .value() == expected);
    CHECK(parse_node_mail(replaced(text, ": base64", ":\r\n  BASE64 (x)")).value() == expected);
    CHECK(parse_node_mail(replaced(text, "From: core@example.org", "From: \"The core\" <core@example.org>"))
              .value() == expected);
    CHECK(parse_node_mail(text + "\r\n\r\n").value() == expected);
    // Re-wrapped at another width.
    std::size_t body = text.find("\r\n\r\n") + 4;
    std::string wrapped = text.substr(0, body);
    std::string base64 = text.substr(body);
    std::erase_if(base64, [](char c) { return c == '\r' || c == '\n'; });
    for (std::size_t i = 0; i < base64.size(); i += 60) wrapped += base64.substr(i, 60) + " \r\n";
    CHECK(parse_node_mail(wrapped).value() == expected);
}

TEST_CASE("node mail: what is refused, and why") {
    std::string text = build_node_mail(a_mail()).value();
    CHECK(reason(replaced(text, "application/vnd.fwmail.frame", "text/plain")).find("content type") !=
          std::string::npos);
    CHECK(reason(replaced(text, "application/vnd.fwmail.frame", "application/vnd.fwmail.frames"))
              .find("content type") != std::string::npos);
    CHECK(reason(replaced(text, ": base64", ": quoted-printable")).find("transfer encoding") !=
          std::string::npos);
    CHECK(reason(replaced(text, "Content-Transfer-Encoding: base64\r\n", "")).find("transfer encoding") !=
          std::string::npos);
    CHECK(reason("Content-Type: text/plain\r\n" + text).find("twice") != std::string::npos);
    CHECK(reason(replaced(text, "YmluYXJ5", "Ym-uYXJ5")).find("damaged") != std::string::npos);
    CHECK(reason(text + "-- \r\nThis mail was scanned.\r\n").find("damaged") != std::string::npos);
    CHECK(reason(text.substr(0, text.find("YmluYXJ5"))).find("damaged") != std::string::npos);
    CHECK(reason(text.substr(0, text.find("\r\n\r\n") + 2)).find("no body") != std::string::npos);
    CHECK(reason("").find("no body") != std::string::npos);
    CHECK_FALSE(looks_like_node_mail(
        "Content-Type: multipart/report\r\n\r\nContent-Type: application/vnd.fwmail.frame\r\n"));

    NodeMailLimits limits;
    limits.header_octets = 100;
    CHECK_FALSE(parse_node_mail(text, limits));
    limits = {};
    limits.header_fields = 5;
    CHECK_FALSE(parse_node_mail(text, limits));
    limits = {};
    limits.octets = text.size() - 1;
    CHECK_FALSE(parse_node_mail(text, limits));
}

TEST_CASE("node mail: nothing can be smuggled into the header") {
    auto refused = [](auto change) {
        NodeMail mail = a_mail();
        change(mail);
        auto built = build_node_mail(mail);
        REQUIRE_FALSE(built);
        CHECK(built.error().kind == ErrorKind::usage);
    };
    for (const char* address :
         {"", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "ä@b", "a,b@c"}) {
        refused([&](NodeMail& m) { m.from = address; });
        refused([&](NodeMail& m) { m.to = address; });
    }
    refused([](NodeMail& m) { m.from = std::string(250, 'a') + "@b.org"; });
    refused([](NodeMail& m) { m.subject = "a\r\nBcc: x@y"; });
    refused([](NodeMail& m) { m.subject = "ä"; });
    refused([](NodeMail& m) { m.subject = std::string(201, 's'); });
    refused([](NodeMail& m) { m.message_id = "id@b"; });
    refused([](NodeMail& m) { m.message_id = "<id@b>\n<x@y>"; });
}

TEST_CASE("node mail: random damage gives an error or a mail") {
    std::string text = build_node_mail(a_mail()).value();
    for (unsigned seed = 1; seed <= 5000; ++seed) {
        INFO("seed " << seed);
        Generator generate(seed);
        std::string mutant = text;
        for (std::size_t flips = 1 + generate.below(4); flips-- > 0;)
            mutant[generate.below(mutant.size())] ^= static_cast<char>(1 << generate.below(8));
        if (generate.coin()) mutant.resize(generate.below(mutant.size()));
        if (auto parsed = parse_node_mail(mutant)) REQUIRE_FALSE(parsed->content.empty());
    }
}
