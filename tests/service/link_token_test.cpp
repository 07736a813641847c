#include "service/link_token.hpp"

#include <catch2/catch.hpp>

#include "crypto/support.hpp"

namespace fwmail::service {
namespace {

LinkToken token_of(bool answer) {
    LinkToken token;
    token.answer = answer;
    token.role = answer ? "remote" : "core";
    token.node.bytes.fill(7);
    auto key = crypto::write_compact_key(crypto::test_key('n').public_key);
    REQUIRE(key);
    token.key = *key;
    token.address = "fwmail-link@core.example.org";
    token.next_hop = answer ? "" : "mail.example.org:25";
    token.epoch = {1, 5};
    token.nonce.bytes.fill(9);
    return token;
}

void refused(std::string_view text) {
    CAPTURE(text);
    auto token = parse_link_token(text);
    REQUIRE_FALSE(token);
    CHECK(token.error().kind == ErrorKind::usage);
    CHECK_FALSE(token.error().text.empty());
}

}  // namespace

TEST_CASE("a token comes back as it was written, one word long") {
    for (bool answer : {false, true}) {
        auto token = token_of(answer);
        std::string text = write_link_token(token);
        CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
              std::string::npos);
        auto back = parse_link_token(text);
        REQUIRE(back);
        CHECK(back->answer == token.answer);
        CHECK(back->role == token.role);
        CHECK(back->node == token.node);
        CHECK(back->key == token.key);
        CHECK(back->address == token.address);
        CHECK(back->next_hop == token.next_hop);
        CHECK(back->nonce == token.nonce);
        CHECK(back->epoch == token.epoch);
        CHECK(write_link_token(*back) == text);
    }
}

TEST_CASE("a token with any one character changed, left out or doubled is refused") {
    std::string text = write_link_token(token_of(false));
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (char other : {'A', 'B', 'a', '0', '-', '_', '~', ' '}) {
            if (text[at] == other) continue;
            std::string changed = text;
            changed[at] = other;
            refused(changed);
        }
        std::string shorter = text;
        refused(shorter.erase(at, 1));
        std::string longer = text;
        refused(longer.insert(at, 1, text[at]));
    }
}

TEST_CASE("what is no whole token is refused") {
    std::string text = write_link_token(token_of(true));
    for (std::size_t length = 0; length < text.size(); ++length) refused(text.substr(0, length));
    refused(text + "A");
    refused(text + text);
    refused("fwmail1-");
    refused(std::string(100'000, 'A'));
    refused("fwmail1-" + std::string(100'000, 'A'));
}

TEST_CASE("a token whose checksum is right and whose content is not is refused") {
    auto broken = [](auto change) {
        auto token = token_of(false);
        change(token);
        refused(write_link_token(token));
    };
    broken([](LinkToken& t) { t.role = "mobile"; });
    broken([](LinkToken& t) { t.role = ""; });
    broken([](LinkToken& t) { t.key.pop_back(); });
    broken([](LinkToken& t) { t.key += 'x'; });
    broken([](LinkToken& t) { t.epoch = {}; });
}

}  // namespace fwmail::service
