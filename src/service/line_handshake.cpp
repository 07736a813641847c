#include "service/line_handshake.hpp"

#include <algorithm>
#include <utility>

#include "base/co_try.hpp"
#include "base/random.hpp"
#include "crypto/hash.hpp"
#include "crypto/sign.hpp"
#include "service/line_state.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {
namespace {

using sync::LineParty;

constexpr std::uint64_t beyond_mail_size = 1 << 20;  // an entry that fits in no frame goes alone, and larger

sync::LineRandom new_random() {
    sync::LineRandom random;
    fill_random(random);
    return random;
}

Result<std::string> binding_of(const net::WebSocket& socket) {
    auto binding = socket.stream().channel_binding(net::ChannelBinding::tls_exporter);
    if (binding.empty())
        return fail(ErrorKind::refused, "this TLS connection has nothing that a line could be bound to");
    return binding;
}

template <class Message>
net::Task<Result<Message>> read_due(net::WebSocket& socket) {
    auto octets = CO_TRY(co_await socket.read());
    co_return sync::expect_line_message<Message>(octets);
}

net::Task<Result<>> say(net::WebSocket& socket, sync::LineMessage message) {
    std::string octets = sync::write_line_message(message);
    co_return co_await socket.write(octets);
}

std::optional<LinkRecord> find_by_tag(const Node& node, sync::LineFacts facts, const sync::LineRandom& tag) {
    auto links = node.links.all();
    for (const auto& record : *links) {
        if (!is_dialled(node.config, record.link.name)) continue;
        facts.client = record.link.peer;
        if (line_link_tag(facts) == tag) return record;
    }
    return std::nullopt;
}

}  // namespace

std::uint64_t largest_line_frame(const config::Config& config) {
    return std::clamp<std::uint64_t>(config.octets("replicate.max-mail-size"), sync::least_max_mail_size,
                                     sync::most_max_mail_size) +
           beyond_mail_size;
}

sync::LineRandom line_link_tag(const sync::LineFacts& facts) {
    return crypto::sha256(sync::line_statement(LineParty::link, facts, 0));
}

Result<sync::LineProof> prove_line_party(LineParty party, const sync::LineFacts& facts, std::uint64_t largest,
                                         const crypto::SecretKey& key, UnixMillis now) {
    return sync::LineProof{largest,
                           TRY(crypto::sign_detached(sync::line_statement(party, facts, largest), key, now))};
}

Result<> check_line_proof(LineParty party, const sync::LineFacts& facts, const sync::LineProof& proof,
                          const crypto::PublicKey& key) {
    auto statement = sync::line_statement(party, facts, proof.largest);
    if (auto good = crypto::verify_detached(statement, proof.signature, key); !good)
        return fail(ErrorKind::refused, "it does not have the link's key: " + good.error().text);
    return {};
}

net::Task<Result<LinePeer>> greet_line_client(Node& node, net::WebSocket& socket) {
    sync::LineFacts facts;
    facts.server = node.id;
    facts.binding = CO_TRY(binding_of(socket));
    facts.server_random = new_random();
    CO_TRY(co_await say(socket, sync::LineChallenge{facts.server_random}));
    auto hello = CO_TRY(co_await read_due<sync::LineHello>(socket));
    facts.client_random = hello.random;
    auto link = find_by_tag(node, facts, hello.link);
    if (!link) co_return fail(ErrorKind::refused, "it knows no link that may be dialled");
    facts.client = link->link.peer;
    auto own = CO_TRY(
        prove_line_party(LineParty::server, facts, largest_line_frame(node.config), node.key, node.clock()));
    CO_TRY(co_await say(socket, std::move(own)));
    auto proof = CO_TRY(co_await read_due<sync::LineProof>(socket));
    CO_TRY(check_line_proof(LineParty::client, facts, proof, link->peer_key));
    CO_TRY(co_await say(socket, sync::LineOpen{}));
    co_return LinePeer{std::move(*link), proof.largest};
}

net::Task<Result<LinePeer>> greet_line_server(Node& node, net::WebSocket& socket, LinkRecord link) {
    sync::LineFacts facts;
    facts.server = link.link.peer;
    facts.client = node.id;
    facts.binding = CO_TRY(binding_of(socket));
    auto challenge = CO_TRY(co_await read_due<sync::LineChallenge>(socket));
    facts.server_random = challenge.random;
    facts.client_random = new_random();
    CO_TRY(co_await say(socket, sync::LineHello{facts.client_random, line_link_tag(facts)}));
    auto proof = co_await read_due<sync::LineProof>(socket);
    if (!proof)
        co_return fail(
            proof.error().kind,
            "it does not take a line of this link, which there needs dialled = yes: " + proof.error().text);
    CO_TRY(check_line_proof(LineParty::server, facts, *proof, link.peer_key));
    auto own = CO_TRY(
        prove_line_party(LineParty::client, facts, largest_line_frame(node.config), node.key, node.clock()));
    CO_TRY(co_await say(socket, std::move(own)));
    auto open = co_await read_due<sync::LineOpen>(socket);
    if (!open) co_return fail(open.error().kind, "it does not accept this node's key: " + open.error().text);
    co_return LinePeer{std::move(link), proof->largest};
}

}  // namespace fwmail::service
