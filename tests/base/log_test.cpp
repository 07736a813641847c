#include "base/log.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>

namespace fwmail {
namespace {

std::string logged(std::string_view text) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    Log(ends[1]).info("test", text);
    ::close(ends[1]);
    char buffer[1000];
    ssize_t size = ::read(ends[0], buffer, sizeof buffer);
    ::close(ends[0]);
    REQUIRE(size > 0);
    std::string line(buffer, static_cast<std::size_t>(size));
    REQUIRE(line.ends_with('\n'));
    line.pop_back();
    auto at = line.find("test: ");
    REQUIRE(at != std::string::npos);
    return line.substr(at + 6);
}

}  // namespace

TEST_CASE("the log shows plain text as it is, and of everything else the octets") {
    CHECK(logged("plain, \xc3\xa4, \xe6\x97\xa5, \xf0\x9f\x98\x80") ==
          "plain, \xc3\xa4, \xe6\x97\xa5, \xf0\x9f\x98\x80");
    CHECK(logged("a\r\nb\x1b[2J\x7f") == "a\\x0d\\x0ab\\x1b[2J\\x7f");
    CHECK(logged("\xc2\x9b"
                 "2J") == "\\xc2\\x9b2J");  // CSI
    CHECK(logged("\x9b"
                 "2J\xc3") == "\\x9b2J\\xc3");
    CHECK(logged(std::string_view("\0x", 2)) == "\\x00x");
}

}  // namespace fwmail
