#include "mime/serialize.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "mime/structure.hpp"

using namespace fwmail::mime;

namespace {

Part sample() {
    return parse_structure(
        "From: A <a@b>\r\nTo: G: c@d;\r\nSubject:\r\nContent-Type: multipart/mixed; boundary=b; "
        "x=y\r\nContent-Language: de\r\n\r\n--b\r\n"
        "Content-Type: message/rfc822\r\nContent-ID: <1>\r\n\r\nSubject: "
        "inner\r\n\r\ntext\r\n--b\r\nContent-Disposition: inline; a=b\r\n\r\n--b--");
}

}  // namespace

TEST_CASE("a stored structure comes back") {
    Part part = sample();
    auto back = parse_part(write_part(part));
    REQUIRE(back);
    CHECK(*back == part);
    CHECK(back->envelope->subject == "");
    CHECK_FALSE(back->envelope->date);
    Part big;
    big.body = {UINT64_MAX, UINT64_MAX};
    CHECK(parse_part(write_part(big)) == big);
    CHECK(write_part(part).size() < 400);
}

TEST_CASE("where header and body lie can be read alone") {
    Part part = parse_structure("Subject: x\r\n\r\nbody");
    auto ranges = parse_part_ranges(write_part(part));
    REQUIRE(ranges);
    CHECK(ranges->header == part.header);
    CHECK(ranges->body == part.body);
    CHECK(!parse_part_ranges(""));
    CHECK(!parse_part_ranges(write_part(part).substr(0, 4)));
    CHECK(!parse_part_ranges("\xff"));
}

TEST_CASE("damaged structures are errors") {
    std::string stored = write_part(sample());
    for (std::size_t n = 0; n < stored.size(); ++n)
        CHECK_FALSE(parse_part(std::string_view(stored).substr(0, n)));
    CHECK_FALSE(parse_part(stored + "x"));
    std::string other = stored;
    other[0] = 2;
    CHECK_FALSE(parse_part(other));
    CHECK_FALSE(parse_part("\x01" + std::string(1000, '\xff')));

    Part deep;
    for (int i = 0; i < 100; ++i) {
        Part outer;
        outer.children.push_back(std::move(deep));
        deep = std::move(outer);
    }
    CHECK_FALSE(parse_part(write_part(deep)));
    CHECK(parse_part(write_part(deep.children[0])));
    Part wide;
    wide.children.resize(10'001);
    CHECK_FALSE(parse_part(write_part(wide)));

    std::mt19937 random(11);
    for (int i = 0; i < 20'000; ++i) {
        std::string m = stored;
        for (unsigned n = 1 + random() % 4; n > 0; --n)
            m[1 + random() % (m.size() - 1)] = static_cast<char>(random());
        auto part = parse_part(m);
        if (part) REQUIRE(parse_part(write_part(*part)) == *part);
    }
}
