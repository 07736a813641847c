#include <catch2/catch.hpp>

#include "crypto/openpgp_key.hpp"
#include "crypto/packet.hpp"
#include "crypto/sign.hpp"
#include "support.hpp"

namespace fwmail::crypto {

TEST_CASE("certificates read back as they were made") {
    SecretKey key = test_key('a');
    const PublicKey& made = key.public_key;
    auto read = parse_certificate(write_certificate(made));
    REQUIRE(read);
    CHECK(*read == made);
    CHECK(made.user_id == "Test a <a@example.org>");
    CHECK(made.primary.created == 1700000000);
    CHECK(made.primary_signs);
    CHECK_FALSE(made.expires);
    CHECK(test_key('a').public_key == made);
    CHECK(test_key('b').public_key.fingerprint != made.fingerprint);
    auto one = generate_key("x", test_time), other = generate_key("x", test_time);
    REQUIRE(one);
    REQUIRE(other);
    CHECK(one->public_key.fingerprint != other->public_key.fingerprint);
    CHECK_FALSE(generate_key("", test_time));
    CHECK_FALSE(generate_key("a\nb", test_time));
    CHECK_FALSE(generate_key("x", UnixMillis(-1)));
    CHECK_FALSE(generate_key("x", UnixMillis(1ll << 43)));
}

TEST_CASE("fingerprints") {
    auto fingerprint = Fingerprint::from_hex("0123 4567 89ab CDEF 0123  4567 89ab cdef 0011 2233");
    REQUIRE(fingerprint);
    CHECK(fingerprint->hex() == "0123456789ABCDEF0123456789ABCDEF00112233");
    CHECK(fingerprint->grouped() == "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0011 2233");
    CHECK(fingerprint->key_id() == KeyId(0x89ABCDEF00112233));
    CHECK_FALSE(Fingerprint::from_hex("0123"));
}

TEST_CASE("an altered certificate is refused, or says the same") {
    const PublicKey made = test_key('a').public_key;
    for (std::size_t bit = 0; bit < made.certificate.size() * 8; ++bit) {
        std::string bad = made.certificate;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        auto read = parse_certificate(bad);
        if (!read) continue;
        // Only the unhashed key ids of the two signatures are free.
        CAPTURE(bit);
        read->certificate = made.certificate;
        CHECK(*read == made);
    }
    for (std::size_t size = 0; size < made.certificate.size(); ++size)
        CHECK_FALSE(parse_certificate(std::string_view(made.certificate).substr(0, size)));
    CHECK_FALSE(parse_certificate(made.certificate + test_key('b').public_key.certificate));
    CHECK_FALSE(parse_certificate(made.certificate + std::string(300 << 10, 'x')));
}

TEST_CASE("a subkey of somebody else's is not taken over") {
    auto mine = *split_packets(test_key('a').public_key.certificate, 10);
    auto theirs = *split_packets(test_key('b').public_key.certificate, 10);
    REQUIRE(mine.size() == 5);
    std::string mixed;
    for (std::size_t i = 0; i < 5; ++i) put_packet(mixed, mine[i].tag, (i < 3 ? mine : theirs)[i].body);
    auto read = parse_certificate(mixed);
    REQUIRE_FALSE(read);
    CHECK(read.error().text.find("encryption subkey") != std::string::npos);
    // A signing subkey whose own agreement is missing does not sign for the certificate.
    auto laptop = *add_signing_subkey(test_key('a'), test_time);
    CHECK(laptop.public_key.signing_subkeys.size() == 1);
    CHECK(laptop.public_key.encryption == test_key('a').public_key.encryption);
}

TEST_CASE("secret keys, with and without a passphrase") {
    SecretKey key = test_key('a');
    key.public_key = add_signing_subkey(key, test_time)->public_key;
    for (bool laptop : {false, true}) {
        SecretKey kept = laptop ? without_primary(key) : key;
        for (auto passphrase : {std::optional<Secret>(), std::optional(Secret(std::string("open sesame")))}) {
            auto octets = write_secret_key(kept, passphrase);
            REQUIRE(octets);
            auto read = parse_secret_key(octets->view(), passphrase);
            REQUIRE(read);
            CHECK(read->public_key == key.public_key);
            CHECK(read->primary_seed.view() == kept.primary_seed.view());
            CHECK(read->primary_seed.empty() == laptop);
            REQUIRE(read->decryption.size() == 1);
            CHECK(read->decryption[0].scalar.view() == key.decryption[0].scalar.view());
            CHECK_FALSE(read->signing);
            if (!passphrase) continue;
            auto wrong = parse_secret_key(octets->view(), Secret(std::string("open barley")));
            REQUIRE_FALSE(wrong);
            CHECK(wrong.error().kind == ErrorKind::refused);
            CHECK_FALSE(parse_secret_key(octets->view(), std::nullopt));
        }
    }
    CHECK_FALSE(parse_secret_key(key.public_key.certificate, std::nullopt));
    auto device = *add_signing_subkey(key, test_time);
    auto octets = write_secret_key(without_primary(device), std::nullopt);
    auto read = parse_secret_key(octets->view(), std::nullopt);
    REQUIRE(read);
    REQUIRE(read->signing);
    CHECK(read->signing->fingerprint == device.signing->fingerprint);
    CHECK(sign_detached("x", *read, test_time));
}

TEST_CASE("an altered secret key is refused, or says the same") {
    SecretKey key = test_key('a');
    std::string octets(write_secret_key(key, std::nullopt)->view());
    for (std::size_t bit = 0; bit < octets.size() * 8; bit += 3) {
        std::string bad = octets;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        CAPTURE(bit);
        auto read = parse_secret_key(bad, std::nullopt);
        if (!read) continue;
        CHECK(read->public_key.fingerprint == key.public_key.fingerprint);
        CHECK(read->primary_seed.view() == key.primary_seed.view());
        CHECK(read->decryption.size() == 1);
    }
}

TEST_CASE("compact keys verify and are sealed to") {
    SecretKey alice = test_key('a');
    auto octets = write_compact_key(alice.public_key);
    REQUIRE(octets);
    CHECK(octets->size() == 68);
    auto read = parse_compact_key(*octets, alice.public_key.user_id);
    REQUIRE(read);
    PublicKey expected = alice.public_key;
    expected.certificate.clear();
    CHECK(*read == expected);
    std::vector<PublicKey> keys{*read};
    auto opened = open(*seal("hello", keys, options_of('s', &alice)), {&alice, 1}, keys);
    REQUIRE(opened);
    CHECK(opened->plain == "hello");
    CHECK(opened->signature == SignatureStatus::valid);
    CHECK_FALSE(parse_compact_key(octets->substr(1), "x"));
    CHECK_FALSE(parse_compact_key(*octets, ""));
    CHECK_FALSE(parse_compact_key(octets->substr(0, 36) + std::string(32, '\0'), "x"));
}

TEST_CASE("packets come out the same however they are fed") {
    std::string octets;
    for (std::size_t size : {0, 1, 191, 192, 8383, 8384, 70000})
        put_packet(octets, tag::user_id, std::string(size, 'u'));
    struct Sizes : PacketHandler {
        std::vector<std::size_t> sizes;
        Result<> on_packet(const PacketHeader&) override { return sizes.push_back(0), Result<>(); }
        Result<> on_body(std::string_view body) override { return sizes.back() += body.size(), Result<>(); }
        Result<> on_end() override { return {}; }
    } handler;
    PacketReader reader;
    for (char c : octets) REQUIRE(reader.feed({&c, 1}, handler));
    REQUIRE(reader.finish(handler));
    CHECK(handler.sizes == std::vector<std::size_t>{0, 1, 191, 192, 8383, 8384, 70000});
    CHECK(split_packets(octets, 7)->size() == 7);
    CHECK_FALSE(split_packets(octets, 6));
    CHECK_FALSE(split_packets("\xcd\xe0x", 6));  // partial, in a User ID
    CHECK_FALSE(split_packets("x", 6));
    CHECK_FALSE(split_packets(std::string("\xc0\0", 2), 6));
}

}  // namespace fwmail::crypto
