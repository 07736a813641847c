#include "crypto/primitives.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "base/encoding.hpp"
#include "crypto/box.hpp"
#include "crypto/hash.hpp"
#include "crypto/scram.hpp"
#include "support.hpp"

namespace fwmail::crypto {

static std::string unhex(std::string_view text) { return hex_decode(text).value(); }
static std::string hex_of(const Digest& digest) { return hex_encode(view_of(digest)); }

TEST_CASE("SHA-256 and HMAC") {
    CHECK(hex_of(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 hash;
    hash.update("a");
    Sha256 copy = hash;
    hash.update("bc");
    copy.update("bd");
    CHECK(hash.finish() == sha256("abc"));
    CHECK(copy.finish() == sha256("abd"));
    CHECK(hash.finish() == sha256(""));
    // RFC 4231 4.3
    CHECK(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("HKDF: RFC 5869 A.1 and A.3") {
    std::string key(22, '\x0b');
    CHECK(hex_encode(hkdf_sha256(key, unhex("f0f1f2f3f4f5f6f7f8f9"), 42, unhex("000102030405060708090a0b0c"))
                         .view()) ==
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    CHECK(hex_encode(hkdf_sha256(key, "", 42).view()) ==
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST_CASE("AES key wrap: RFC 3394 4.1, 4.6") {
    std::string kek = unhex("000102030405060708090a0b0c0d0e0f"),
                key = unhex("00112233445566778899aabbccddeeff");
    std::string wrapped = aes_key_wrap(kek, key);
    CHECK(hex_encode(wrapped) == "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
    CHECK(aes_key_unwrap(kek, wrapped)->view() == key);
    std::string kek256 = kek + unhex("101112131415161718191a1b1c1d1e1f"),
                key256 = key + unhex("000102030405060708090a0b0c0d0e0f");
    std::string wrapped256 = aes_key_wrap(kek256, key256);
    CHECK(hex_encode(wrapped256) ==
          "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");
    CHECK(aes_key_unwrap(kek256, wrapped256)->view() == key256);
    for (std::size_t i = 0; i < wrapped.size(); ++i) {
        std::string bad = wrapped;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        CHECK_FALSE(aes_key_unwrap(kek, bad));
    }
    CHECK_FALSE(aes_key_unwrap(kek, wrapped.substr(0, 16)));
    CHECK_FALSE(aes_key_unwrap(kek, wrapped + "x"));
}

TEST_CASE("Ed25519: RFC 8032 7.1 test 2, and S must be below L") {
    std::string seed = unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    Point point = ed25519_public(seed);
    CHECK(hex_of(point) == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    auto made = ed25519_sign(seed, point, "\x72");
    std::string signature(made.begin(), made.end());
    CHECK(hex_encode(signature) ==
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    CHECK(ed25519_verify(point, "\x72", signature));
    CHECK_FALSE(ed25519_verify(point, "\x73", signature));
    // The same S plus L would hold for a verifier that reduces.
    std::string order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"),
                altered = signature;
    unsigned carry = 0;
    for (std::size_t i = 0; i < 32; ++i) {
        carry += static_cast<unsigned char>(signature[32 + i]) + static_cast<unsigned char>(order[i]);
        altered[32 + i] = static_cast<char>(carry);
        carry >>= 8;
    }
    CHECK_FALSE(ed25519_verify(point, "\x72", altered));
    CHECK_FALSE(ed25519_verify(point, "\x72", signature.substr(0, 63)));
}

TEST_CASE("X25519: RFC 7748 5.2, and points of small order are refused") {
    Secret alice(unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"));
    Point peer;
    std::string u = unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    std::copy(u.begin(), u.end(), peer.begin());
    auto shared = x25519_agree(alice, peer);
    REQUIRE(shared);
    CHECK(hex_encode(shared->view()) == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    Secret bob(std::string(32, 'b'));
    auto one = x25519_agree(alice, x25519_public(bob)), other = x25519_agree(bob, x25519_public(alice));
    REQUIRE(one);
    REQUIRE(other);
    CHECK(one->view() == other->view());
    for (const char* low : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
        std::string octets = unhex(low);
        Point point;
        std::copy(octets.begin(), octets.end(), point.begin());
        CHECK_FALSE(x25519_agree(alice, point));
    }
}

TEST_CASE("SCRAM-SHA-256: RFC 7677 3") {
    std::string salt = *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==");
    auto verifier = make_verifier(Secret(std::string("pencil")), salt, 4096);
    REQUIRE(verifier);
    std::string auth =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    Digest signature = hmac_sha256(view_of(verifier->stored_key), auth);
    std::string proof = *base64_decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    for (std::size_t i = 0; i < 32; ++i)
        proof[i] = static_cast<char>(proof[i] ^ static_cast<char>(signature[i]));
    CHECK(sha256(proof) == verifier->stored_key);
    CHECK(base64_encode(view_of(hmac_sha256(view_of(verifier->server_key), auth))) ==
          "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    CHECK(check_password(*verifier, Secret(std::string("pencil"))));
    CHECK_FALSE(check_password(*verifier, Secret(std::string("pencils"))));
    CHECK_FALSE(check_password(*verifier, Secret()));
    auto again = ScramVerifier::from_text(verifier->text());
    REQUIRE(again);
    CHECK(*again == *verifier);
    for (std::string bad :
         {std::string(), std::string("SCRAM-SHA-256$"), std::string("SCRAM-SHA-256$0:QQ==$QQ==:QQ=="),
          verifier->text() + "A", verifier->text().substr(0, 60), "x" + verifier->text()})
        CHECK_FALSE(ScramVerifier::from_text(bad));
    std::string huge = verifier->text();
    huge.replace(huge.find("4096"), 4, "9999999");
    CHECK_FALSE(ScramVerifier::from_text(huge));
    CHECK_FALSE(make_verifier(Secret(std::string("a\0b", 3))));
}

TEST_CASE("generated passwords") {
    std::set<std::string> seen;
    for (int i = 0; i < 50; ++i) {
        std::string password(generate_password().view());
        CHECK(password.size() == 24);
        CHECK(password[4] == '-');
        seen.insert(password);
    }
    CHECK(seen.size() == 50);
}

TEST_CASE("boxes open with the same key and place only") {
    Secret key = seed_of('k');
    for (std::size_t size : {0, 1, 15, 16, 17, 1000}) {
        std::string plain(size, 'p');
        auto box = box_seal(key, plain, "users/1/password");
        REQUIRE(box);
        CHECK(box->size() == size + box_overhead);
        CHECK(box_open(key, *box, "users/1/password")->view() == plain);
        CHECK_FALSE(box_open(key, *box, "users/2/password"));
        CHECK_FALSE(box_open(seed_of('l'), *box, "users/1/password"));
        CHECK_FALSE(box_open(key, box->substr(0, box->size() - 1), "users/1/password"));
        CHECK_FALSE(box_open(key, "", "users/1/password"));
        for (std::size_t i = 0; i < box->size(); i += 7) {
            std::string bad = *box;
            bad[i] = static_cast<char>(bad[i] ^ 0x10);
            CHECK_FALSE(box_open(key, bad, "users/1/password"));
        }
        CHECK(*box_seal(key, plain, "users/1/password") != *box);
    }
    CHECK_FALSE(box_seal(Secret(std::string("short")), "x", ""));
}

}  // namespace fwmail::crypto
