#include "crypto/armor.hpp"

#include <catch2/catch.hpp>

#include "support.hpp"

namespace fwmail::crypto {

TEST_CASE("armour as it is written") {
    CHECK(armor(ArmorType::message, "") ==
          "-----BEGIN PGP MESSAGE-----\r\n\r\n=twTO\r\n-----END PGP MESSAGE-----\r\n");
    std::string text = armor(ArmorType::public_key, std::string(100, 'a'));
    CHECK(text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\nYWFhYWFh"));
    CHECK(text.find("YWFh\r\n") == 40 + 60);
    CHECK(text.size() == armored_size(ArmorType::public_key, 100));
}

TEST_CASE("armour: decode undoes encode, however fed") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (std::size_t size : {0, 1, 2, 3, 47, 48, 49, 96, 1000, 70000})
        for (auto type :
             {ArmorType::message, ArmorType::public_key, ArmorType::private_key, ArmorType::signature}) {
            std::string octets = noise(random, size), whole = armor(type, octets), sliced, back;
            CHECK(whole.size() == armored_size(type, size));
            ArmorEncoder encoder(type, [&](std::string_view piece) { sliced += piece; });
            feed_slices(random, octets, [&](std::string_view piece) { encoder.feed(piece); });
            encoder.finish();
            REQUIRE(sliced == whole);
            ArmorDecoder decoder([&](std::string_view piece) { back += piece; });
            feed_slices(random, whole, [&](std::string_view piece) { REQUIRE(decoder.feed(piece)); });
            auto found = decoder.finish();
            REQUIRE(found);
            CHECK(*found == type);
            CHECK(back == octets);
        }
}

TEST_CASE("armour of other programs") {
    auto good = dearmor(
        "\n-----BEGIN PGP MESSAGE-----\nVersion: X 1\nComment: a: b\n\nYWJj\nZA==\n=7RiM\n-----END PGP "
        "MESSAGE-----\n\n");
    CHECK_FALSE(good);  // the checksum is another one
    good = dearmor(
        "\n-----BEGIN PGP MESSAGE-----\nVersion: X 1\nComment:\n\nYWJj\nZA==\n-----END PGP MESSAGE-----");
    REQUIRE(good);
    CHECK(good->octets == "abcd");
    // A quantum may go over a line's end.
    good = dearmor("-----BEGIN PGP MESSAGE-----\n\nYWJjZ\nA==\n-----END PGP MESSAGE-----\n");
    REQUIRE(good);
    CHECK(good->octets == "abcd");
    CHECK(looks_armored(" \r\n-----BEGIN PGP MESSAGE-----"));
    CHECK_FALSE(looks_armored("\xc1\x5e"));
}

TEST_CASE("armour that is refused") {
    std::string begin = "-----BEGIN PGP MESSAGE-----\n\n", end = "-----END PGP MESSAGE-----\n";
    REQUIRE(dearmor(begin + "YWJjZA==\n" + end));
    for (std::string bad :
         {std::string(), begin, begin + "YWJjZA==\n", begin + "YWJjZA=\n" + end, begin + "YWJjZA\n" + end,
          begin + "YWJjZB==\n" + end, begin + "YWJjZA==\nYWJj\n" + end, begin + "YWJj=A==\n" + end,
          begin + "YW Jj\n" + end, begin + "\nYWJj\n" + end,
          begin + "YWJjZA==\n-----END PGP SIGNATURE-----\n", begin + "YWJjZA==\n" + end + "more",
          "text\n" + begin + "YWJj\n" + end, begin + std::string(80, 'A') + "\n" + end,
          begin + "YWJj\n=AAAA\n" + end, begin + "YWJj\n=AAA\n" + end,
          std::string("-----BEGIN PGP MESSAGE-----\nYWJj\n") + end,
          std::string("-----BEGIN PGP ODDITY-----\n\nYWJj\n-----END PGP ODDITY-----\n"),
          std::string(5000, ' ')}) {
        CAPTURE(bad);
        CHECK_FALSE(dearmor(bad));
    }
    CHECK_FALSE(dearmor(begin + end, 10));
}

}  // namespace fwmail::crypto
