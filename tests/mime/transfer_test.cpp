#include "mime/transfer.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "base/encoding.hpp"

using namespace fwmail;
using namespace fwmail::mime;

namespace {
std::string qp(std::string_view text) { return decode_transfer(TransferEncoding::quoted_printable, text); }
}  // namespace

TEST_CASE("names of transfer encodings") {
    CHECK(transfer_encoding("BASE64") == TransferEncoding::base64);
    CHECK(transfer_encoding("Quoted-Printable") == TransferEncoding::quoted_printable);
    CHECK(transfer_encoding("x-unknown") == TransferEncoding::identity);
}

TEST_CASE("quoted-printable") {
    CHECK(qp("a=C3=A4=\r\nb=\nc") ==
          "a\xc3\xa4"
          "bc");
    CHECK(qp("a  \t\r\nb \nc") == "a\r\nb\nc");
    CHECK(qp("a b") == "a b");
    CHECK(qp("soft= \t\r\nline") == "softline");
    CHECK(qp("=zz=4=4Z==41=") == "=zz=4=4Z=A");
    CHECK(qp("=3d=3D") == "==");
    CHECK(qp("a\rb\r\r\nc") == "a\rb\r\r\nc");
    CHECK(qp("end  ") == "end");
    CHECK(qp("end=A") == "end=A");
    CHECK(qp("= x") == "= x");
    std::string spaces(5000, ' ');
    CHECK(qp("a" + spaces + "b") == "a" + spaces + "b");
}

TEST_CASE("base64") {
    CHECK(decode_transfer(TransferEncoding::base64, "YW Jj\r\nZA==\r\ntrailing") == "abcd");
    CHECK(decode_transfer(TransferEncoding::base64, "YWJ") == "ab");
    CHECK(decode_transfer(TransferEncoding::base64, "Y") == "");
    CHECK(decode_transfer(TransferEncoding::identity, "=41") == "=41");
}

TEST_CASE("streams decode as the whole does") {
    std::mt19937 random(3);
    const std::string alphabet = "=4Aaz \t\r\n09+/-";
    for (int i = 0; i < 3000; ++i) {
        std::string text;
        for (unsigned n = random() % 200; n > 0; --n) text += alphabet[random() % alphabet.size()];
        for (auto encoding :
             {TransferEncoding::base64, TransferEncoding::quoted_printable, TransferEncoding::identity}) {
            TransferDecoder decoder(encoding);
            std::string out;
            for (std::size_t at = 0; at < text.size();) {
                std::size_t n = 1 + random() % 5;
                decoder.feed(std::string_view(text).substr(at, n), out);
                at += n;
            }
            decoder.finish(out);
            REQUIRE(out == decode_transfer(encoding, text));
            if (encoding == TransferEncoding::base64) REQUIRE(out == base64_decode_lenient(text));
        }
    }
}
