#include "net/line_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>
#include <thread>

using namespace fwmail;
using namespace fwmail::net;
using namespace std::chrono_literals;

namespace {

// Takes one connection, sends the pieces with pauses between, and reads until the client ends.
class OneShot {
  public:
    explicit OneShot(std::vector<std::string> pieces) {
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(listener_, 1) == 0);
        REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this, pieces = std::move(pieces)] { serve(pieces); });
    }
    ~OneShot() { end(); }
    std::uint16_t port() const { return port_; }
    // What the client sent; it must have gone.
    std::string end() {
        if (thread_.joinable()) thread_.join();
        if (listener_ >= 0) ::close(listener_);
        listener_ = -1;
        return got_;
    }

  private:
    void serve(const std::vector<std::string>& pieces) {
        int fd = ::accept(listener_, nullptr, nullptr);
        for (const auto& piece : pieces) {
            for (std::string_view rest = piece; !rest.empty();) {
                ssize_t put = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
                if (put <= 0) break;
                rest.remove_prefix(static_cast<std::size_t>(put));
            }
            std::this_thread::sleep_for(10ms);
        }
        ::shutdown(fd, SHUT_WR);
        char octets[4096];
        for (ssize_t count; (count = ::recv(fd, octets, sizeof octets, 0)) > 0;)
            got_.append(octets, static_cast<std::size_t>(count));
        ::close(fd);
    }

    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::string got_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("lines and octets however they are cut") {
    OneShot server({"* OK hel", "lo\r", "\nbare\n\r\n{5}\r\nab\r", "\nc)\r\nre", "st"});
    {
        auto client = LineClient::connect_loopback(server.port(), 5s).value();
        CHECK(client.read_line().value() == "* OK hello");
        CHECK(client.read_line().value() == "bare");
        CHECK(client.read_line().value().empty());
        CHECK(client.read_line().value() == "{5}");
        CHECK(client.read_octets(0).value().empty());
        CHECK(client.read_octets(5).value() == "ab\r\nc");
        auto moved = std::move(client);
        CHECK(moved.read_line().value() == ")");
        auto cut = moved.read_line();
        REQUIRE_FALSE(cut);
        CHECK(cut.error().kind == ErrorKind::temporary);
        CHECK(moved.write("a line\r\n"));
    }
    CHECK(server.end() == "a line\r\n");
}

TEST_CASE("much goes both ways") {
    std::string much(3 << 20, 'x');
    OneShot server({much});
    {
        auto client = LineClient::connect_loopback(server.port(), 5s).value();
        CHECK(client.read_octets(much.size()).value() == much);
        CHECK(client.write(much));
    }
    CHECK(server.end() == much);
}

TEST_CASE("a server that does not answer, or never ends a line") {
    OneShot endless({std::string(100'000, 'x')});
    {
        auto client = LineClient::connect_loopback(endless.port(), 5s).value();
        auto line = client.read_line();
        REQUIRE_FALSE(line);
        CHECK(line.error().kind == ErrorKind::protocol);
        CHECK(client.read_octets(1 << 30).error().kind == ErrorKind::protocol);
    }
    auto port = free_loopback_ports(1).value()[0];
    CHECK_FALSE(LineClient::connect_loopback(port, 1s));  // nobody listens

    int silent = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(silent, 1) == 0);
    auto client = LineClient::connect_loopback(port, 5s).value();
    client.set_patience(100ms);
    auto began = std::chrono::steady_clock::now();
    auto line = client.read_line();
    auto took = std::chrono::steady_clock::now() - began;
    REQUIRE_FALSE(line);
    CHECK(line.error().kind == ErrorKind::temporary);
    CHECK(took >= 100ms);
    CHECK(took < 3s);
    ::close(silent);
}

TEST_CASE("free ports are different") {
    auto ports = free_loopback_ports(20).value();
    CHECK(std::set(ports.begin(), ports.end()).size() == 20);
    CHECK_FALSE(std::set(ports.begin(), ports.end()).contains(0));
}
