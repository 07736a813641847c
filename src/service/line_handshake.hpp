// How both nodes of a link prove on a dialled line who they are (fwmail-sync(7), DIALLED LINES), bound to the
// TLS connection beneath. Whoever fails learns nothing of links.
#pragma once

#include "crypto/openpgp_key.hpp"
#include "net/websocket.hpp"
#include "service/node.hpp"
#include "sync/dialled.hpp"

namespace fwmail::service {

// Octets of a sealed frame that this node takes on a line.
std::uint64_t largest_line_frame(const config::Config& config);

// Names the link to whom knows both ids.
sync::LineRandom line_link_tag(const sync::LineFacts& facts);
Result<sync::LineProof> prove_line_party(sync::LineParty party, const sync::LineFacts& facts,
                                         std::uint64_t largest, const crypto::SecretKey& key, UnixMillis now);
// `refused`: it was not made by this key, or not for this connection.
Result<> check_line_proof(sync::LineParty party, const sync::LineFacts& facts, const sync::LineProof& proof,
                          const crypto::PublicKey& key);

struct LinePeer {
    LinkRecord link;
    std::uint64_t largest = 0;  // octets of a sealed frame that it takes
};
// Both run until the WebSocket's deadline; an error leaves it open, to be closed by the caller. At the
// remote, with whoever has connected:
net::Task<Result<LinePeer>> greet_line_client(Node& node, net::WebSocket& socket);
// At core, with the remote that was dialled:
net::Task<Result<LinePeer>> greet_line_server(Node& node, net::WebSocket& socket, LinkRecord link);

}  // namespace fwmail::service
