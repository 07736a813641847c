#include "service/line_handshake.hpp"

#include <fstream>

#include "corpus.hpp"
#include "net/net_support.hpp"
#include "service/dialled_lines.hpp"
#include "service/replica.hpp"
#include "store/support.hpp"

using namespace fwmail;
using namespace fwmail::service;
using namespace fwmail::net::test;
using Catch::Matchers::Contains;
using fwmail::store::test::id_of;
using fwmail::store::test::must;
using fwmail::store::test::t0;

namespace {

constexpr UnixMillis at_first = t0;

// A node that knows one link, "way".
struct Party {
    Party(NodeRole role, NodeId id, char key, NodeId peer, char peer_key, const std::string& options)
        : config(must(config::Config::parse(
              role == NodeRole::core ? config::role_core : config::role_remote,
              "data-dir = " + dir.path.string() + "\n[link.way]\n" + options + "\n", dir.path / "x.conf"))),
          executor(must(store::Executor::open({.data_dir = dir.path, .threads = 1}))),
          node{role,
               config,
               log,
               [] { return at_first; },
               background.runtime,
               *executor,
               id,
               Secret(std::string(32, 'k')),
               crypto::test_key(key),
               nullptr,
               net::Resolver(),
               {},
               {},
               net::Notifier(background.runtime.main_executor()),
               net::Notifier(background.runtime.main_executor())} {
        store::Link link;
        link.peer = peer;
        link.name = "way";
        link.role = role == NodeRole::core ? "remote" : "core";
        link.state = store::LinkState::active;
        link.own_address = "own@x.test";
        link.peer_address = "peer@x.test";
        link.peer_certificate = must(crypto::write_compact_key(crypto::test_key(peer_key).public_key));
        link.created = t0;
        auto save = [&](store::SystemStore& system) { return system.save_link(link); };
        must(background.run(node.write(store::system_file, save)));
        auto load = [&](store::SystemStore& system) { return node.links.reload(system); };
        must(background.run(node.read(store::system_file, load)));
    }
    LinkRecord link() const { return node.links.all()->at(0); }

    store::test::TempDir dir;
    config::Config config;
    Log log{2, LogLevel::error};
    Background background{1};
    std::unique_ptr<store::Executor> executor;
    Node node;
};

const NodeId core_id = id_of<NodeId>(5), remote_id = id_of<NodeId>(6);
constexpr const char* dials = "dial = 127.0.0.1:1\nverify = no";

Party a_core(char key = 'c', char remote_key = 'r') {
    return {NodeRole::core, core_id, key, remote_id, remote_key, dials};
}
Party a_remote(char key = 'r', char core_key = 'c', const char* options = "dialled = yes") {
    return {NodeRole::remote, remote_id, key, core_id, core_key, options};
}

struct Met {
    Result<LinePeer> at_core, at_remote;
};

net::Task<> greet_at_remote(Node* node, net::StreamPtr stream, Met* met, net::Notifier* done) {
    auto socket =
        co_await net::WebSocket::accept(std::move(stream), {std::string(sync::line_protocol)}, soon());
    if (socket) {
        met->at_remote = co_await greet_line_client(*node, **socket);
        if (!met->at_remote) co_await (*socket)->close(net::CloseCode::policy_violation, {});
    }
    done->notify();
}

net::Task<Result<LinePeer>> greet_at_core(Node* node, LinkRecord link, net::HostPort to) {
    auto stream = co_await dial(to);
    auto tls = must(net::TlsClient::make({.verify = net::TlsVerify::none}));
    must(co_await stream->start_tls_client(tls, "x", soon()));
    auto socket = must(
        co_await net::WebSocket::connect(std::move(stream), "x", {std::string(sync::line_protocol)}, soon()));
    co_return co_await greet_line_server(*node, *socket, std::move(link));
}

// Core dials the remote, or whatever passes it on.
Met meet(Party& core, Party& remote) {
    Background b;
    Met met{fail(ErrorKind::internal, "not met"), fail(ErrorKind::internal, "not met")};
    net::Notifier done(b.runtime.main_executor());
    net::ListenerOptions options;
    options.implicit_tls = must(net::TlsServer::from_pem(must(net::make_self_signed({"x"}))));
    auto listener = listen_for(
        b,
        [&](net::StreamPtr stream) { return greet_at_remote(&remote.node, std::move(stream), &met, &done); },
        options);
    met.at_core = b.run(greet_at_core(&core.node, core.link(), listener->address()));
    CHECK(b.run(done.wait(soon())));
    b.finish();
    return met;
}

}  // namespace

TEST_CASE("line handshake: both ends prove who they are, and say what they take") {
    auto core = a_core(), remote = a_remote('r', 'c', "dialled = yes\n[replicate]\nmax-mail-size = 64k");
    auto met = meet(core, remote);
    REQUIRE(met.at_core.has_value());
    REQUIRE(met.at_remote.has_value());
    CHECK(met.at_core->link.link.peer == remote_id);
    CHECK(met.at_remote->link.link.peer == core_id);
    CHECK(met.at_core->largest == (64u << 10) + (1u << 20));
    CHECK(met.at_remote->largest == (7u << 20) + (1u << 20));
}

TEST_CASE("line handshake: a node without the link's key is refused by the other one") {
    SECTION("a remote") {
        auto core = a_core('c', 'r'), remote = a_remote('x', 'c');
        auto met = meet(core, remote);
        REQUIRE_FALSE(met.at_core.has_value());
        CHECK(met.at_core.error().kind == ErrorKind::refused);
        CHECK_THAT(met.at_core.error().text, Contains("does not have the link's key"));
        CHECK_FALSE(met.at_remote.has_value());
    }
    SECTION("a core") {
        auto core = a_core('x', 'r'), remote = a_remote('r', 'c');
        auto met = meet(core, remote);
        REQUIRE_FALSE(met.at_remote.has_value());
        CHECK(met.at_remote.error().kind == ErrorKind::refused);
        CHECK_THAT(met.at_remote.error().text, Contains("does not have the link's key"));
        REQUIRE_FALSE(met.at_core.has_value());
        CHECK_THAT(met.at_core.error().text, Contains("does not accept this node's key") && Contains("1008"));
    }
}

TEST_CASE("line handshake: a link that is not dialled, or not known, is told apart by nobody") {
    auto core = a_core();
    auto closed = a_remote('r', 'c', "dialled = no");
    Party elsewhere(NodeRole::remote, id_of<NodeId>(9), 'r', core_id, 'c', "dialled = yes");
    std::string answers[2];
    Party* remotes[] = {&closed, &elsewhere};
    for (int i = 0; i < 2; ++i) {
        auto met = meet(core, *remotes[i]);
        REQUIRE_FALSE(met.at_core.has_value());
        REQUIRE_FALSE(met.at_remote.has_value());
        CHECK_THAT(met.at_remote.error().text, Contains("knows no link"));
        answers[i] = met.at_core.error().text;
    }
    CHECK(answers[0] == answers[1]);
    CHECK_THAT(answers[0], Contains("dialled = yes"));
}

namespace {

sync::LineFacts facts() {
    sync::LineFacts facts;
    facts.server = remote_id;
    facts.client = core_id;
    facts.binding = std::string(32, 'b');
    facts.server_random.fill(1);
    facts.client_random.fill(2);
    return facts;
}

}  // namespace

TEST_CASE("line handshake: a proof holds for its party, its connection and its size only") {
    using enum sync::LineParty;
    auto key = crypto::test_key('c');
    auto proof = must(prove_line_party(client, facts(), 1000, key, t0));
    CHECK(proof.largest == 1000);
    CHECK(proof.signature.size() <= sync::max_signature_octets);
    CHECK(check_line_proof(client, facts(), proof, key.public_key).has_value());
    auto refused = [&](sync::LineParty party, const sync::LineFacts& of, const sync::LineProof& what,
                       char whose) {
        auto checked = check_line_proof(party, of, what, crypto::test_key(whose).public_key);
        return !checked && checked.error().kind == ErrorKind::refused;
    };
    CHECK(refused(client, facts(), proof, 'r'));
    CHECK(refused(server, facts(), proof, 'c'));
    auto of = facts();
    of.binding.back() ^= 1;  // passed on by somebody in the middle
    CHECK(refused(client, of, proof, 'c'));
    of = facts();
    of.server_random[0] ^= 1;  // of an earlier line
    CHECK(refused(client, of, proof, 'c'));
    of = facts();
    of.client_random[31] ^= 1;
    CHECK(refused(client, of, proof, 'c'));
    of = facts();
    std::swap(of.server, of.client);
    CHECK(refused(client, of, proof, 'c'));
    auto other = proof;
    ++other.largest;
    CHECK(refused(client, facts(), other, 'c'));
    for (std::size_t i = 0; i < proof.signature.size(); ++i) {
        other = proof;
        other.signature[i] ^= 1;
        // A signature packet has octets that nothing depends on, as the hint at its issuer.
        if (!refused(client, facts(), other, 'c')) CHECK(i < proof.signature.size() - 64);
        other = proof;
        other.signature.resize(i);
        CHECK(refused(client, facts(), other, 'c'));
    }
}

TEST_CASE("line handshake: the tag of a link tells nothing without both ids, and is another one each time") {
    auto tag = line_link_tag(facts());
    auto of = facts();
    of.client = id_of<NodeId>(7);
    CHECK(line_link_tag(of) != tag);
    of = facts();
    of.binding.front() ^= 1;
    CHECK(line_link_tag(of) != tag);
    of = facts();
    of.server_random[5] ^= 1;
    CHECK(line_link_tag(of) != tag);
}

TEST_CASE("line: which links are dialled, and what makes no sense") {
    auto parse = [](config::RoleBits role, const std::string& text) {
        return must(config::Config::parse(role, "data-dir = /x\n" + text, "x.conf"));
    };
    auto core = parse(config::role_core, "[link.a]\ndial = remote.test:443\n[link.b]\nnext-hop = x:25\n");
    CHECK(is_dialled(core, "a"));
    CHECK_FALSE(is_dialled(core, "b"));
    CHECK_FALSE(is_dialled(core, "c"));
    CHECK(DialledLines::check(core, false).has_value());
    auto remote = parse(config::role_remote, "[link.a]\ndialled = yes\n[link.b]\ndialled = no\n");
    CHECK(is_dialled(remote, "a"));
    CHECK_FALSE(is_dialled(remote, "b"));
    CHECK(DialledLines::check(remote, true).has_value());
    auto nowhere = DialledLines::check(remote, false);
    REQUIRE_FALSE(nowhere.has_value());
    CHECK(nowhere.error().kind == ErrorKind::usage);
    auto pin = DialledLines::check(
        parse(config::role_core, "[link.a]\ndial = x:443\nverify = pin\npin = 12\n"), false);
    REQUIRE_FALSE(pin.has_value());
    CHECK_THAT(pin.error().text, Contains("link.a.pin"));
}
