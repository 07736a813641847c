// Connecting out.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/listener.hpp"
#include "net/socket_stream.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace fwmail::net {
namespace {

Task<Result<StreamPtr>> connect_one(std::string address, std::uint16_t port, Deadline deadline) {
    Executor executor = co_await asio::this_coro::executor;
    // Shared with the timer's handler, which may run late; closing ends the attempt.
    auto socket = std::make_shared<tcp::socket>(executor);
    auto late = std::make_shared<bool>(false);
    asio::steady_timer timer(executor, deadline);
    timer.async_wait([weak = std::weak_ptr(socket), late](error_code error) {
        auto alive = weak.lock();
        if (error || !alive) return;
        *late = true;
        alive->close(error);
    });
    tcp::endpoint peer(asio::ip::make_address(address), port);
    auto [error] = co_await socket->async_connect(peer, asio::as_tuple(asio::use_awaitable));
    timer.cancel();
    if (*late || error)
        co_return fail(ErrorKind::temporary, "cannot connect to " + HostPort{address, port}.text() + ": " +
                                                 (*late ? "no answer in time" : error.message()));
    socket->set_option(tcp::no_delay(true), error);
    socket->set_option(asio::socket_base::keep_alive(true), error);
    co_return make_stream(Socket(std::move(*socket)), address_text(peer.address()));
}

}  // namespace

Task<Result<StreamPtr>> connect(const Resolver& resolver, HostPort to, Deadline deadline) {
    auto addresses = co_await resolver.resolve(to.host, deadline);
    if (!addresses) co_return fail(addresses.error());
    Error last{ErrorKind::temporary, "'" + to.host + "' has no address"};
    std::size_t left = addresses->size();
    for (const auto& address : *addresses) {
        auto now = std::chrono::steady_clock::now();
        if (now >= deadline) {
            if (left == addresses->size())
                last.text = "no time was left to connect to " + to.text() + ": its name took all of it";
            break;
        }
        Deadline part = deadline == no_deadline ? now + std::chrono::seconds(30)
                                                : now + (deadline - now) / static_cast<long>(left);
        --left;
        auto stream = co_await connect_one(address, to.port, part);
        if (stream) co_return std::move(stream);
        last = std::move(stream.error());
    }
    co_return fail(std::move(last));
}

}  // namespace fwmail::net
