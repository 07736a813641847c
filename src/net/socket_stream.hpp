// Streams over sockets. For net's own .cpp files.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>

#include "net/stream.hpp"

namespace fwmail::net {

using Socket = boost::asio::generic::stream_protocol::socket;

// Takes a connected socket, TCP or unix, on the executor where it will be used.
StreamPtr make_stream(Socket socket, std::string peer_address);

// An address without port; IPv4-mapped as IPv4, without scope.
std::string address_text(const boost::asio::ip::address& address);

}  // namespace fwmail::net
