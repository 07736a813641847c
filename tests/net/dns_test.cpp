#include "net/dns.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;
using List = std::vector<std::string>;

TEST_CASE("hosts files") {
    constexpr std::string_view text =
        "# comment\n127.0.0.1 localhost\n192.0.2.1\tmail.example mail # alias2\r\n"
        "2001:db8::1 MAIL.example\nnonsense mail.example\n10.0.0.1 other.example mail.example.org\n "
        "192.0.2.9  last";
    CHECK(find_in_hosts(text, "mail.example") == List{"192.0.2.1", "2001:db8::1"});
    CHECK(find_in_hosts(text, "Mail") == List{"192.0.2.1"});
    CHECK(find_in_hosts(text, "alias2").empty());
    CHECK(find_in_hosts(text, "192.0.2.1").empty());
    CHECK(find_in_hosts(text, "last") == List{"192.0.2.9"});
    CHECK(find_in_hosts("", "x").empty());
}

TEST_CASE("numeric addresses") {
    CHECK(numeric_address("192.0.2.1") == "192.0.2.1");
    CHECK(numeric_address("[2001:DB8::1]") == "2001:db8::1");
    for (const char* no : {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "fe80::1%eth0"})
        CHECK(numeric_address(no).empty());
}

namespace {

// A name server with a fixed mind, on UDP.
class FakeDns {
  public:
    FakeDns() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeDns() {
        ::shutdown(fd_, SHUT_RDWR);
        thread_.join();
        ::close(fd_);
    }
    std::uint16_t port = 0;

  private:
    static std::string number(unsigned v) {
        return {static_cast<char>(v >> 8 & 255), static_cast<char>(v & 255)};
    }
    static std::string name(std::string_view dotted) {
        std::string out;
        while (!dotted.empty()) {
            auto label = dotted.substr(0, dotted.find('.'));
            out += static_cast<char>(label.size()) + std::string(label);
            dotted.remove_prefix(std::min(label.size() + 1, dotted.size()));
        }
        return out + '\0';
    }
    static std::string record(unsigned type, const std::string& data) {
        return std::string("\xc0\x0c", 2) + number(type) + number(1) + std::string(4, '\0') +
               number(data.size()) + data;
    }
    void serve() {
        char packet[1500];
        for (;;) {
            sockaddr_in from{};
            socklen_t size = sizeof from;
            ssize_t n = ::recvfrom(fd_, packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (n < 17) return;
            std::string reply = answer({packet, static_cast<std::size_t>(n)});
            if (!reply.empty())
                ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
        }
    }
    std::string answer(std::string_view query) {
        std::string asked;
        std::size_t at = 12;
        while (query[at]) {
            asked += std::string(query.substr(at + 1, query[at])) + ".";
            at += 1 + query[at];
        }
        unsigned type = static_cast<unsigned char>(query[at + 2]);
        std::string question(query.substr(12, at + 5 - 12));
        List records;
        bool known = asked != "none.example.";
        if (asked == "silent.example.") return {};
        if (asked == "two.example." && type == 1)
            records = {record(1, "\xc0\x01\x02\x03"), record(1, "\xc0\x01\x02\x04")};
        if (asked == "two.example." && type == 28)
            records = {record(28, "\x20\x01\x0d\xb8" + std::string(11, '\0') + "\x01")};
        if (asked == "four.example." && type == 1) records = {record(1, "\xc0\x01\x02\x05")};
        if (asked == "two.example." && type == 15)
            records = {record(15, number(20) + name("b.example")),
                       record(15, number(10) + name("a.example"))};
        if (asked == "null.example." && type == 15) records = {record(15, number(0) + name(""))};
        std::string out = std::string(query.substr(0, 2)) +
                          (known ? std::string("\x81\x80", 2) : std::string("\x81\x83", 2)) + number(1) +
                          number(records.size()) + number(0) + number(0) + question;
        for (const auto& r : records) out += r;
        return out;
    }

    int fd_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("names become addresses: numeric, hosts file, localhost, DNS") {
    Background b;
    Folder folder;
    FakeDns dns;
    Resolver resolver({.hosts_file = folder.file("hosts", "192.0.2.7 inhosts.example two.hosts\n"),
                       .servers = "127.0.0.1:" + std::to_string(dns.port)});
    auto ask = [&](std::string name) { return b.run(resolver.resolve(name, soon())); };
    CHECK(ask("192.0.2.9") == List{"192.0.2.9"});
    CHECK(ask("[2001:db8::2]") == List{"2001:db8::2"});
    CHECK(ask("InHosts.example.") == List{"192.0.2.7"});
    CHECK(ask("localhost") == List{"127.0.0.1", "::1"});
    CHECK(ask("two.example") == List{"2001:db8::1", "192.1.2.3", "192.1.2.4"});
    CHECK(ask("four.example") == List{"192.1.2.5"});
    for (const char* name : {"none.example", "", "..", "a b", "nothing.example"}) {
        auto none = ask(name);
        REQUIRE_FALSE(none.has_value());
        CHECK(none.error().kind == ErrorKind::refused);
    }
    auto silent = b.run(resolver.resolve("silent.example", deadline_after(200ms)));
    REQUIRE_FALSE(silent.has_value());
    CHECK(silent.error().kind == ErrorKind::temporary);
    CHECK_THAT(silent.error().text, Contains("in time"));
    Resolver nobody({.hosts_file = "/nonexistent", .servers = "not a server"});
    CHECK_FALSE(b.run(nobody.resolve("two.example", soon())).has_value());
}

TEST_CASE("MX") {
    Background b;
    FakeDns dns;
    Resolver resolver({.servers = "127.0.0.1:" + std::to_string(dns.port)});
    auto ask = [&](std::string name) { return b.run(resolver.resolve_mx(name, soon())); };
    CHECK(ask("two.example")->hosts == std::vector<MxHost>{{10, "a.example"}, {20, "b.example"}});
    CHECK(ask("four.example")->hosts.empty());
    CHECK(ask("none.example").error().kind == ErrorKind::refused);
    CHECK(ask("null.example")->null_mx);
    CHECK_FALSE(ask("four.example")->null_mx);
}

TEST_CASE("many questions at once, and a runtime that goes while one is open") {
    FakeDns dns;
    std::atomic<int> good = 0;
    {
        Background b;
        Resolver resolver({.hosts_file = "/nonexistent", .servers = "127.0.0.1:" + std::to_string(dns.port)});
        auto one = [](const Resolver* r, std::atomic<int>* n) -> Task<> {
            auto found = co_await r->resolve("two.example", soon());
            if (found && found->size() == 3) ++*n;
        };
        for (int i = 0; i < 200; ++i) b.runtime.spawn("one", one(&resolver, &good));
        CHECK(eventually([&] { return good == 200; }));
    }
    Log log(2, LogLevel::error);
    Resolver resolver({.hosts_file = "/nonexistent", .servers = "127.0.0.1:" + std::to_string(dns.port)});
    Runtime runtime(log, 1);
    auto open = [](const Resolver* r) -> Task<> { co_await r->resolve("silent.example", no_deadline); };
    runtime.spawn("open", open(&resolver));
    std::thread stopper([&] {
        std::this_thread::sleep_for(50ms);
        runtime.request_stop();
    });
    runtime.run(50ms);
    stopper.join();
    CHECK(runtime.live() == 1);
}
