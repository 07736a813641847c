#include "net/tls.hpp"

#include <sys/stat.h>

#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;

namespace {

struct Certified {
    CertificatePair pair;
    std::shared_ptr<TlsServer> server;
};

Certified certified(std::vector<std::string> names) {
    auto pair = make_self_signed(std::move(names));
    if (!pair) FAIL(pair.error().text);
    auto server = TlsServer::from_pem(*pair);
    if (!server) FAIL(server.error().text);
    return {*pair, *server};
}

std::shared_ptr<TlsClient> client_with(TlsClientOptions options) {
    auto client = TlsClient::make(std::move(options));
    if (!client) FAIL(client.error().text);
    return *client;
}

// What a handshake with the listener ends in: "" or the error, and one echo through it.
Task<Result<std::string>> try_tls(HostPort at, std::shared_ptr<TlsClient> client, std::string host) {
    StreamPtr stream = co_await dial(at);
    auto shaken = co_await stream->start_tls_client(client, host, soon());
    if (!shaken) co_return fail(shaken.error());
    auto written = co_await stream->write_all("ping", soon());
    if (!written) co_return fail(written.error());
    std::string back = co_await read_exactly(stream.get(), 4);
    co_await stream->shutdown(soon());
    co_return back + " " + stream->tls_summary() + " " + hex_encode(stream->peer_certificate_sha256());
}

}  // namespace

TEST_CASE("TLS from the start: trusted, mistrusted, pinned, unchecked") {
    Background b;
    Folder folder;
    Certified own = certified({"localhost", "mail.example", "127.0.0.1"});
    Certified other = certified({"localhost"});
    ListenerOptions options;
    options.implicit_tls = own.server;
    auto listener = listen_for(b, echo, options);
    auto ca_file = folder.file("ca.pem", own.pair.certificate_pem);
    auto other_file = folder.file("other.pem", other.pair.certificate_pem);
    HostPort at = listener->address();
    std::string digest = *certificate_sha256(own.pair.certificate_pem);
    CHECK(digest == own.server->certificate_sha256());

    auto trusting = client_with({.ca_file = ca_file});
    for (std::string host : {"localhost", "mail.example", "MAIL.example.", "127.0.0.1"}) {
        auto good = b.run(try_tls(at, trusting, host));
        if (!good) FAIL(host + ": " + good.error().text);
        CHECK_THAT(*good, Contains("ping TLSv1.3") && Contains(hex_encode(digest)));
    }
    for (std::string host : {"evil.example", "example", "127.0.0.2", "sub.mail.example"}) {
        auto bad = b.run(try_tls(at, trusting, host));
        REQUIRE_FALSE(bad.has_value());
        CHECK(bad.error().kind == ErrorKind::refused);
        CHECK_THAT(bad.error().text, Contains("not accepted") && Contains("mismatch"));
    }
    CHECK_FALSE(b.run(try_tls(at, trusting, "")).has_value());
    auto stranger = b.run(try_tls(at, client_with({.ca_file = other_file}), "localhost"));
    REQUIRE_FALSE(stranger.has_value());
    CHECK(stranger.error().kind == ErrorKind::refused);

    auto pinned = client_with({.verify = TlsVerify::pin, .ca_file = {}, .pinned_sha256 = digest});
    CHECK(b.run(try_tls(at, pinned, "whatever.example")).has_value());
    auto wrong = client_with(
        {.verify = TlsVerify::pin, .ca_file = {}, .pinned_sha256 = other.server->certificate_sha256()});
    auto refused = b.run(try_tls(at, wrong, "localhost"));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::refused);
    CHECK_THAT(refused.error().text, Contains("pinned"));
    CHECK_FALSE(TlsClient::make({.verify = TlsVerify::pin}).has_value());

    CHECK(b.run(try_tls(at, client_with({.verify = TlsVerify::none}), "any")).has_value());
    b.finish();
}

namespace {

Task<> starttls_session(StreamPtr stream, std::shared_ptr<TlsServer> server) {
    co_await stream->write_all("* OK\r\n", soon());
    std::string command = co_await read_exactly(stream.get(), 10);
    if (command != "STARTTLS\r\n") co_return;
    co_await stream->write_all("OK go\r\n", soon());
    auto shaken = co_await stream->start_tls_server(server, soon());
    if (!shaken) co_return;
    co_await stream->write_all(stream->tls() ? "secure\r\n" : "clear!\r\n", soon());
    co_await echo(std::move(stream));
}

}  // namespace

TEST_CASE("STARTTLS upgrades in place") {
    Background b;
    Folder folder;
    Certified own = certified({"localhost"});
    auto client = client_with({.ca_file = folder.file("ca.pem", own.pair.certificate_pem)});
    auto handler = [&](StreamPtr s) { return starttls_session(std::move(s), own.server); };
    auto listener = listen_for(b, handler);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        std::string greeting = co_await read_exactly(stream.get(), 6);
        CHECK(greeting == "* OK\r\n");
        co_await stream->write_all("STARTTLS\r\n", soon());
        std::string go = co_await read_exactly(stream.get(), 7);
        CHECK(go == "OK go\r\n");
        auto shaken = co_await stream->start_tls_client(client, "localhost", soon());
        REQUIRE(shaken.has_value());
        CHECK(stream->tls());
        auto twice = co_await stream->start_tls_client(client, "localhost", soon());
        CHECK_FALSE(twice.has_value());
        std::string secure = co_await read_exactly(stream.get(), 8);
        CHECK(secure == "secure\r\n");
        std::string octets = random_octets(3'000'000);
        auto sent = std::make_shared<Result<>>();
        // Both ways at once: an echo of this size deadlocks otherwise.
        auto writer = [](Stream* s, const std::string* o, std::shared_ptr<Result<>> r) -> Task<> {
            *r = co_await s->write_all(*o, soon());
        };
        b.runtime.spawn_on(stream->executor(), "writer", writer(stream.get(), &octets, sent));
        std::string back = co_await read_exactly(stream.get(), octets.size());
        CHECK(back == octets);
        CHECK(sent->has_value());
    };
    b.run(body());
    b.finish();
}

TEST_CASE("octets that came in clear before the handshake are refused") {
    Background b(1);
    Certified own = certified({"localhost"});
    std::promise<Error> outcome;
    auto handler = [&](StreamPtr s) -> Task<> {
        StreamPtr stream = std::move(s);
        Notifier never(stream->executor());
        co_await stream->wait_readable(never, soon());
        auto shaken = co_await stream->start_tls_server(own.server, soon());
        outcome.set_value(shaken ? Error{} : shaken.error());
    };
    auto listener = listen_for(b, handler);
    auto body = [&]() -> Task<> {
        StreamPtr stream = co_await dial(listener->address());
        co_await stream->write_all("injected", soon());
        char c;
        co_await stream->read_some({&c, 1}, soon());
    };
    b.run(body());
    Error error = outcome.get_future().get();
    CHECK(error.kind == ErrorKind::protocol);
    CHECK_THAT(error.text, Contains("in clear"));
    b.finish();
}

TEST_CASE("a handshake that does not come, or is none, ends") {
    Background b;
    Certified own = certified({"localhost"});
    ListenerOptions options;
    options.implicit_tls = own.server;
    options.handshake_time = 1s;
    auto listener = listen_for(b, echo, options);
    auto body = [&](std::string say) -> Task<std::string> {
        StreamPtr stream = co_await dial(listener->address());
        co_await stream->write_all(say, soon());
        std::string got = co_await read_exactly(stream.get(), 1000);
        co_return got;
    };
    CHECK_THAT(b.run(body("EHLO there\r\n\r\n\r\n\r\n")), !Contains("EHLO"));
    b.run(body(""));
    CHECK(eventually([&] { return listener->connections() == 0; }));
    auto silent = listen_for(b, [](StreamPtr s) -> Task<> {
        StreamPtr stream = std::move(s);
        co_await sleep_for(2s);
    });
    auto client = client_with({.verify = TlsVerify::none});
    auto late = [&]() -> Task<Result<>> {
        StreamPtr stream = co_await dial(silent->address());
        co_return co_await stream->start_tls_client(client, "localhost", deadline_after(100ms));
    };
    auto result = b.run(late());
    REQUIRE_FALSE(result.has_value());
    CHECK_THAT(result.error().text, Contains("too long"));
    b.finish();
}

TEST_CASE("certificate files: made once, key private, reloaded, and wrong ones named") {
    Folder folder;
    auto certificate = folder.path / "cert.pem", key = folder.path / "key.pem";
    REQUIRE(ensure_self_signed(certificate, key, {"mail.example"}).has_value());
    struct stat info{};
    REQUIRE(stat(key.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    auto server = TlsServer::load(certificate, key);
    REQUIRE(server.has_value());
    std::string before = (*server)->certificate_sha256();
    REQUIRE(ensure_self_signed(certificate, key, {"mail.example"}).has_value());
    REQUIRE((*server)->reload().has_value());
    CHECK((*server)->certificate_sha256() == before);

    // Cut between the two files: the key is kept.
    std::filesystem::remove(certificate);
    REQUIRE(ensure_self_signed(certificate, key, {"mail.example"}).has_value());
    REQUIRE((*server)->reload().has_value());
    CHECK((*server)->certificate_sha256() != before);

    before = (*server)->certificate_sha256();
    folder.file("cert.pem", "rubbish");
    auto bad = (*server)->reload();
    REQUIRE_FALSE(bad.has_value());
    CHECK_THAT(bad.error().text, Contains("cert.pem"));
    CHECK((*server)->certificate_sha256() == before);

    std::filesystem::remove(key);
    CHECK_FALSE(ensure_self_signed(certificate, key, {"mail.example"}).has_value());
    auto other = make_self_signed({"a.example"}), another = make_self_signed({"a.example"});
    CHECK_FALSE(TlsServer::from_pem({other->certificate_pem, another->key_pem}).has_value());
    CHECK_FALSE(make_self_signed({}).has_value());
    CHECK_FALSE(make_self_signed({"a,DNS:evil.example"}).has_value());
    CHECK_FALSE(TlsClient::make({.ca_file = folder.path / "none.pem"}).has_value());
}

TEST_CASE("openssl's own client agrees with us") {
    if (std::system("command -v openssl >/dev/null 2>&1") != 0) {
        WARN("skipped: no openssl(1)");
        return;
    }
    Background b;
    Folder folder;
    Certified own = certified({"localhost"});
    ListenerOptions options;
    options.implicit_tls = own.server;
    auto once = [](StreamPtr s) -> Task<> {
        StreamPtr stream = std::move(s);
        std::string line = co_await read_exactly(stream.get(), 6);
        co_await stream->write_all(line, soon());
        co_await stream->shutdown(deadline_after(1s));
    };
    auto listener = listen_for(b, once, options);
    auto ca = folder.file("ca.pem", own.pair.certificate_pem);
    auto ask = [&](const std::string& more) {
        std::string command =
            "sh -c 'echo hello | timeout 20 openssl s_client -quiet -verify_quiet -CAfile " + ca.string() +
            " -verify_return_error -connect " + listener->address().text() + " " + more + " 2>/dev/null'";
        std::string got;
        FILE* pipe = popen(command.c_str(), "r");
        REQUIRE(pipe);
        char buffer[256];
        while (std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) got.append(buffer, n);
        pclose(pipe);
        return got;
    };
    CHECK_THAT(ask("-verify_hostname localhost"), Contains("hello"));
    CHECK_THAT(ask("-verify_hostname localhost -tls1_2"), Contains("hello"));
    CHECK_THAT(ask("-verify_hostname evil.example"), !Contains("hello"));
    CHECK_THAT(ask("-tls1_1 -cipher ALL:@SECLEVEL=0"), !Contains("hello"));
    b.finish();
}
