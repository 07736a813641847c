#include "base/encoding.hpp"

#include <catch2/catch.hpp>

#include "base/compress.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"

using namespace fwmail;

TEST_CASE("base64: RFC 4648 section 10's vectors, both ways") {
    std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                     {"f", "Zg=="},
                                                     {"fo", "Zm8="},
                                                     {"foo", "Zm9v"},
                                                     {"foob", "Zm9vYg=="},
                                                     {"fooba", "Zm9vYmE="},
                                                     {"foobar", "Zm9vYmFy"}};
    for (auto [plain, text] : vectors) {
        CHECK(base64_encode(plain) == text);
        CHECK(base64_decode(text) == plain);
        CHECK(base64_decode_lenient(text) == plain);
    }
    CHECK_FALSE(base64_decode("Zg="));
    CHECK_FALSE(base64_decode("Zh=="));  // unused bits are not zero
    CHECK_FALSE(base64_decode("Z g="));
    CHECK(base64_decode_lenient("Zm\r\n9v!Yg==trailing") == "foob");
}

TEST_CASE("encodings: decode undoes encode for random octets of every short length") {
    for (std::size_t n = 0; n < 200; ++n) {
        std::string octets = random_octets(n);
        CHECK(base64_decode(base64_encode(octets)) == octets);
        CHECK(base64url_decode(base64url_encode(octets)) == octets);
        CHECK(hex_decode(hex_encode(octets)) == octets);
        CHECK(base64_decode_lenient(base64_encode_mime(octets)) == octets);
        CHECK(zstd_decompress(zstd_compress(octets), n) == octets);
    }
}

TEST_CASE("zstd: output beyond the limit and damaged input are refused") {
    std::string packed = zstd_compress(std::string(100000, 'x'));
    CHECK(zstd_decompress(packed, 100000).has_value());
    CHECK_FALSE(zstd_decompress(packed, 99999).has_value());
    CHECK_FALSE(zstd_decompress(packed.substr(0, packed.size() - 1), 100000).has_value());
    CHECK_FALSE(zstd_decompress(packed + "x", 100000).has_value());
    CHECK_FALSE(zstd_decompress("not zstd", 100).has_value());
}

TEST_CASE("ids: hexadecimal and octets both restore an id; ids made later sort later") {
    EmailId a = make_email_id(UnixMillis{1700000000000});
    EmailId b = make_email_id(UnixMillis{1700000000001});
    CHECK(a < b);
    CHECK(EmailId::from_hex(a.hex()) == a);
    CHECK(EmailId::from_octets(a.octets()) == a);
    CHECK_FALSE(EmailId::from_hex("xyz"));
}
