// What stands around a connection: DEFLATE over TLS, and what tells one TLS connection from another.
#include "net/deflate_stream.hpp"

#include "net_support.hpp"

using namespace fwmail;
using namespace fwmail::net;
using namespace fwmail::net::test;

namespace {

std::shared_ptr<TlsServer> any_certificate() {
    return TlsServer::from_pem(make_self_signed({"localhost"}).value()).value();
}

// Says both its bindings, then sends back what comes, compressed both ways.
Task<> bound_echo(StreamPtr stream) {
    std::string both = stream->channel_binding(ChannelBinding::tls_exporter) +
                       stream->channel_binding(ChannelBinding::tls_server_end_point);
    co_await stream->write_all(both, soon());
    co_await echo(make_deflate_stream(std::move(stream)));
}

Task<StreamPtr> dial_tls(HostPort at) {
    StreamPtr stream = co_await dial(at);
    auto client = TlsClient::make({.verify = TlsVerify::none}).value();
    auto shaken = co_await stream->start_tls_client(client, "localhost", soon());
    if (!shaken) throw std::runtime_error(shaken.error().text);
    co_return stream;
}

}  // namespace

TEST_CASE("channel bindings: the same at both ends, and another for each connection") {
    Background b;
    ListenerOptions options;
    options.implicit_tls = any_certificate();
    auto listener = listen_for(b, bound_echo, options);
    auto body = [&]() -> Task<> {
        std::string last;
        for (int i = 0; i < 2; ++i) {
            StreamPtr stream = co_await dial_tls(listener->address());
            std::string theirs = co_await read_exactly(stream.get(), 64);
            std::string exporter = stream->channel_binding(ChannelBinding::tls_exporter);
            std::string end_point = stream->channel_binding(ChannelBinding::tls_server_end_point);
            CHECK(exporter.size() == 32);
            CHECK(end_point == options.implicit_tls->certificate_sha256());  // signed with SHA-256
            CHECK(theirs == exporter + end_point);
            CHECK(exporter != last);
            last = exporter;
        }
        StreamPtr plain = co_await dial(listener->address());
        CHECK(plain->channel_binding(ChannelBinding::tls_exporter).empty());
        CHECK(plain->channel_binding(ChannelBinding::tls_server_end_point).empty());
    };
    b.run(body());
    b.finish();
}

TEST_CASE("DEFLATE over TLS: everything comes back, waited for or not") {
    Background b;
    ListenerOptions options;
    options.implicit_tls = any_certificate();
    auto listener = listen_for(b, bound_echo, options);
    auto body = [&]() -> Task<> {
        StreamPtr inner = co_await dial_tls(listener->address());
        co_await read_exactly(inner.get(), 64);
        StreamPtr stream = make_deflate_stream(std::move(inner));
        CHECK(stream->tls());
        Notifier notifier(stream->executor());
        auto silent = co_await stream->wait_readable(notifier, deadline_after(50ms));
        CHECK(silent == Wake::deadline);
        notifier.notify();
        auto notified = co_await stream->wait_readable(notifier, soon());
        CHECK(notified == Wake::notified);
        for (std::string octets : {std::string("a"), random_octets(100'000), std::string(100'000, 'x')}) {
            auto written = co_await stream->write_all(octets, soon());
            CHECK(written.has_value());
            auto wake = co_await stream->wait_readable(notifier, soon());
            CHECK(wake == Wake::readable);
            std::string back = co_await read_exactly(stream.get(), octets.size());
            CHECK(back == octets);
        }
        auto again = co_await stream->start_tls_server(any_certificate(), soon());
        CHECK_FALSE(again.has_value());
        co_await stream->shutdown(soon());
    };
    b.run(body());
    b.finish();
}
