#include "net/control.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;
using List = std::vector<std::string>;

namespace {

Task<> handle(std::string request, ControlReply reply) {
    if (request == "silent") co_return;
    if (request == "throw") throw std::runtime_error("on purpose, by the test");
    int lines = request == "many" ? 1000 : 1;
    for (int i = 0; i < lines; ++i) {
        auto sent = co_await reply("{\"n\":" + std::to_string(i) + ",\"q\":\"" + request + "\"}");
        if (!sent) co_return;
    }
}

Result<List> ask(const std::filesystem::path& path, std::string_view request) {
    List lines;
    auto on_line = [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
    };
    if (auto asked = control_request(path, request, on_line, 5s); !asked) return fail(asked.error());
    return lines;
}

}  // namespace

TEST_CASE("requests and replies over the control socket") {
    Background b;
    Folder folder;
    auto path = folder.path / "control";
    CHECK(ask(path, "x").error().kind == ErrorKind::refused);
    {
        auto server = ControlServer::open(b.runtime, path, handle);
        REQUIRE(server.has_value());
        struct stat info{};
        REQUIRE(stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0600);
        CHECK(ask(path, "hello") == List{"{\"n\":0,\"q\":\"hello\"}"});
        CHECK(ask(path, "silent") == List{});
        auto many = ask(path, "many");
        REQUIRE(many.has_value());
        CHECK(many->size() == 1000);
        std::string large(500'000, 'x');
        CHECK(ask(path, large)->at(0).size() > large.size());
        CHECK_THAT(ask(path, "throw").error().text, Contains("hung up"));
        CHECK_FALSE(ask(path, "two\nlines").has_value());
        int seen = 0;
        auto first_only = [&](std::string_view) { return ++seen < 3; };
        CHECK(control_request(path, "many", first_only).has_value());
        CHECK(seen == 3);
        CHECK(ask(path, "again").has_value());
    }
    CHECK_FALSE(std::filesystem::exists(path));
    // Left over by a crash.
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
    CHECK(ask(path, "x").error().kind == ErrorKind::refused);
    auto server = ControlServer::open(b.runtime, path, handle);
    REQUIRE(server.has_value());
    CHECK(ask(path, "x").has_value());
    auto file = folder.file("plain", "text");
    CHECK_FALSE(ControlServer::open(b.runtime, file, handle).has_value());
    CHECK_FALSE(ControlServer::open(b.runtime, folder.path / std::string(120, 'x'), handle).has_value());
}

TEST_CASE("an idle control connection does not hold up the end") {
    Background b;
    Folder folder;
    auto path = folder.path / "control";
    auto server = ControlServer::open(b.runtime, path, handle);
    REQUIRE(server.has_value());
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(eventually([&] { return b.runtime.live() == 2; }));
    (*server)->stop();
    CHECK(eventually([&] { return b.runtime.live() == 0; }));
    ::close(fd);
}

TEST_CASE("systemd's socket activation and notices") {
    Folder folder;
    auto path = folder.path / "notify";
    unsetenv("NOTIFY_SOCKET");
    CHECK(notify_service_manager("READY=1").has_value());
    int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    CHECK(notify_service_manager("READY=1").has_value());
    char text[64] = {};
    CHECK(::recv(fd, text, sizeof text, 0) == 7);
    CHECK(std::string(text) == "READY=1");
    setenv("NOTIFY_SOCKET", "relative", 1);
    CHECK_FALSE(notify_service_manager("READY=1").has_value());
    unsetenv("NOTIFY_SOCKET");
    ::close(fd);

    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    CHECK(take_activated_sockets().empty());
    CHECK(getenv("LISTEN_FDS") == nullptr);
    CHECK(take_activated_sockets().empty());
}

TEST_CASE("a socket that listens already is taken over") {
    Background b;
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_FALSE(Listener::adopt(b.runtime, dup(fd), {.name = "imap"}, echo).has_value());
    REQUIRE(::listen(fd, 5) == 0);
    auto listener = Listener::adopt(b.runtime, fd, {.name = "imap"}, echo);
    REQUIRE(listener.has_value());
    auto body = [&]() -> Task<std::string> {
        StreamPtr stream = co_await dial({"127.0.0.1", (*listener)->address().port});
        co_await stream->write_all("hi", soon());
        co_return co_await read_exactly(stream.get(), 2);
    };
    CHECK(b.run(body()) == "hi");
}

TEST_CASE("a listener on a unix socket: who may connect, stale files, and its end") {
    Folder folder;
    Background b;
    auto path = folder.path / "lmtp";
    auto open = [&](mode_t mode, std::string group = "") {
        return Listener::open_unix(b.runtime, {path, mode, std::move(group)}, {.name = "lmtp"}, echo);
    };
    auto say = [&]() -> std::string {
        int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address = *unix_address(path);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "refused";
        REQUIRE(::send(fd, "hi", 2, 0) == 2);
        char text[8] = {};
        ssize_t got = ::recv(fd, text, 2, MSG_WAITALL);
        ::close(fd);
        return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    };
    struct stat file{};
    {
        auto listener = open(0660, std::to_string(::getegid()));
        REQUIRE(listener.has_value());
        CHECK((*listener)->place() == "unix:" + path.string());
        REQUIRE(::stat(path.c_str(), &file) == 0);
        CHECK((file.st_mode & 0777) == 0660);
        CHECK(file.st_gid == ::getegid());
        CHECK(say() == "hi");
        auto second = open(0600);
        REQUIRE_FALSE(second.has_value());
        CHECK_THAT(second.error().text, Contains("another program"));
        CHECK(say() == "hi");
        (*listener)->stop();
        CHECK_FALSE(std::filesystem::exists(path));
    }
    // What a crash leaves: a file on which nobody listens.
    int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = *unix_address(path);
    REQUIRE(::bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(dead);
    {
        auto listener = open(0600);
        REQUIRE(listener.has_value());
        CHECK(say() == "hi");
        // Another one has taken its place: it stays.
        std::filesystem::rename(path, folder.path / "moved");
        std::ofstream(path) << "not ours";
        (*listener)->stop();
        CHECK(std::filesystem::exists(path));
    }
    CHECK_THAT(open(0600).error().text, Contains("is no socket"));
    std::filesystem::remove(path);
    CHECK_THAT(open(0600, "no such group").error().text, Contains("no group"));
    CHECK_FALSE(std::filesystem::exists(path));
    auto by_name = open(0600, "root");
    if (::geteuid() == 0) CHECK(by_name.has_value());
    if (by_name) (*by_name)->stop();
    b.finish();
}
