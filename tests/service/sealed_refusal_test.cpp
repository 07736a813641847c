// What is not a sealed object is refused by the remote, whatever it looks like.
#include <algorithm>

#include "base/encoding.hpp"
#include "corpus.hpp"

namespace fwmail::service::test {
namespace {

const std::string& packed() {
    static const std::string object = sealed(corpus().at("plain_text")).packed;
    return object;
}

std::string packets() { return packed().substr(4 + outer_of(packed()).size()); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

void refused(std::string_view what, std::string_view object, std::string_view why = "") {
    INFO(what);
    std::mt19937 random(1);
    for (auto* slices : {static_cast<std::mt19937*>(nullptr), &random}) {
        auto out = unpack(object, slices);
        REQUIRE_FALSE(out.info);
        CHECK((out.info.error().kind == ErrorKind::protocol || out.info.error().kind == ErrorKind::refused));
        CHECK(out.info.error().text.find(why) != std::string::npos);
    }
}

void refused_outer(std::string_view what, const std::string& outer, std::string_view why = "") {
    refused(what, with_outer(packed(), outer), why);
}

}  // namespace

TEST_CASE("the object that the refusals are made of is accepted") {
    auto out = unpack(packed());
    REQUIRE(out.info);
    CHECK(unpack(with_outer(packed(), outer_of(packed()))).info);
}

TEST_CASE("an outer header that core does not write is refused") {
    const std::string outer = outer_of(packed());
    const std::string id = "FWMail-Id: " + order_of('s').email_id.hex() + "\r\n";
    refused_outer("a field more", "X-Spam: no\r\n" + outer, "out of place");
    refused_outer("a field more, behind", replaced(outer, "Subject:", "Bcc: x@y.test\r\nSubject:"),
                  "out of place");
    refused_outer("a field twice", replaced(outer, "Subject: ...\r\n", "Subject: ...\r\nSubject: ...\r\n"));
    refused_outer("a subject", replaced(outer, "Subject: ...", "Subject: Your invoice"), "subject");
    refused_outer("a folded subject",
                  replaced(outer, "Subject: ...\r\n", "Subject: ...\r\n Your invoice\r\n"), "subject");
    refused_outer("no subject", replaced(outer, "Subject: ...\r\n", ""));
    refused_outer("a name in other case", replaced(outer, "Subject:", "SUBJECT:"));
    refused_outer("8-bit", replaced(outer, "From: ", "From: \xc3\xa4"), "plain text");
    refused_outer("NUL", replaced(outer, "From: ", std::string("From: \0", 7)), "plain text");
    refused_outer("DEL", replaced(outer, "From: ", "From: \x7f"), "plain text");
    refused_outer("wrong order", id + replaced(outer, id, ""), "out of place");
    refused_outer("no id", replaced(outer, id, ""), "lacks");
    refused_outer("id zero", replaced(outer, order_of('s').email_id.hex(), std::string(32, '0')));
    refused_outer("id too short", replaced(outer, "5a\r\n", "\r\n"), "id");
    refused_outer("id too long", replaced(outer, "5a\r\n", "5a5a\r\n"), "id");
    refused_outer("id in capitals",
                  replaced(outer, order_of('s').email_id.hex(), "5A" + std::string(30, 'a')));
    refused_outer("another type", replaced(outer, "multipart/encrypted", "multipart/mixed"),
                  "multipart/encrypted");
    refused_outer("a parameter more", replaced(outer, "\r\n boundary", "\r\n name=x; boundary"));
    refused_outer("another boundary", replaced(outer, "\"=_", "\"xx"), "boundary");
    refused_outer("no version of MIME", replaced(outer, "MIME-Version: 1.0\r\n", ""));
    refused_outer("another version of MIME", replaced(outer, "MIME-Version: 1.0", "MIME-Version: text"));
    refused_outer("bare LF", replaced(outer, "Subject: ...\r\n", "Subject: ...\n"));
    refused_outer("bare LF in a field whose value is free", replaced(outer, "\r\nSubject", "\nSubject"));
    refused_outer("bare CR", replaced(outer, "From: ", "From: \r"));
    refused_outer("a line that is no field", "hello\r\n" + outer, "malformed");
    refused_outer("a continuation first", " hello\r\n" + outer, "malformed");
    refused_outer("text behind the header", outer + "hello\r\n\r\n");
    refused_outer("a header in the header", outer + outer);
    refused_outer("no end", outer.substr(0, outer.size() - 2), "no end");
    refused_outer("empty", "");
    refused_outer("a line that is too long", replaced(outer, "From: ", "From: " + std::string(1000, 'x')));
    refused_outer("too long altogether", std::string(300'000, 'x'), "too long");
}

TEST_CASE("packets to others, and anything around the packets, are refused") {
    auto bob = crypto::test_key('b');
    std::string text = "Subject: to bob\r\n\r\n", outer = outer_of(packed());
    auto sealed_to = [&](std::vector<crypto::PublicKey> keys) {
        auto octets = crypto::seal(text, keys, crypto::options_of('o'));
        REQUIRE(octets);
        return packed().substr(0, 4 + outer.size()) + *octets;
    };
    REQUIRE(unpack(sealed_to({ann().public_key})).info);
    refused("another key", sealed_to({bob.public_key}));
    refused("another key as well", sealed_to({ann().public_key, bob.public_key}));
    refused("nothing", "");
    refused("a header only", packed().substr(0, 4 + outer.size()));
    refused("plain text", packed().substr(0, 4 + outer.size()) + "Dear Ann,\r\n\r\nthis is readable.\r\n");
    refused("armour instead of packets",
            packed().substr(0, 4 + outer.size()) + crypto::armor(crypto::ArmorType::message, packets()));
    refused("an octet behind", packed() + "x");
    refused("a packet behind", packed() + std::string("\xca\x03PGP", 5));
    refused("the packets twice", packed() + packets());
    refused("the object twice", packed() + packed());
    refused("an octet before", "x" + packed());
    refused("a literal packet",
            packed().substr(0, 4 + outer.size()) + std::string("\xcb\x08t\0\0\0\0\0hi", 10));
    for (std::size_t length = 0; length < packed().size(); ++length) {
        auto out = unpack(std::string_view(packed()).substr(0, length));
        CAPTURE(length);
        REQUIRE_FALSE(out.info);
    }
}

TEST_CASE("no mutation is taken for what was sealed") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::string header = outer_of(packed());
    auto whole = unpack(packed());
    REQUIRE(whole.info);
    int accepted = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string object = packed();
        for (unsigned n = 1 + random() % 3; n > 0 && !object.empty(); --n) {
            // Mostly in the outer header and the first packet, where there is something to get wrong.
            std::size_t at =
                random() %
                (random() % 4 ? std::min<std::size_t>(object.size(), header.size() + 120) : object.size());
            switch (random() % 5) {
                case 0:
                    object[at] = static_cast<char>(random());
                    break;
                case 1:
                    object[at] = static_cast<char>(object[at] ^ 1 << random() % 8);
                    break;
                case 2:
                    object.erase(at, random() % 20);
                    break;
                case 3:
                    object.insert(at, object.substr(random() % object.size(), random() % 20));
                    break;
                case 4:
                    object[at] = "\r\n :;\"=-_.0aZ"[random() % 13];
                    break;
            }
        }
        auto out = unpack(object, i % 3 ? nullptr : &random);
        if (!out.info) continue;
        ++accepted;
        REQUIRE(out.info->packed_size == object.size());
        REQUIRE((crypto::sha256(out.served) == out.info->sha256));
        REQUIRE((out.info->sha256 == whole.info->sha256) == (object == packed()));
        // The outer header stays plain text; what else differs is ciphertext, and then it does not open.
        std::string outer = outer_of(object);
        REQUIRE(std::ranges::all_of(
            outer, [](char c) { return c == '\r' || c == '\n' || c == '\t' || (c >= 32 && c < 127); }));
        REQUIRE(outer.find("Subject: ...\r\n") != std::string::npos);
        if (object.substr(4 + outer.size()) == packets()) continue;
        auto octets = sealed_packets(out.served);
        REQUIRE(octets);
        auto opened = crypto::open(*octets, {&ann(), 1});
        if (opened) REQUIRE(opened->plain == inner_of(whole.served));
    }
    CHECK(accepted > 20);
    CHECK(accepted < 15'000);
}

}  // namespace fwmail::service::test
