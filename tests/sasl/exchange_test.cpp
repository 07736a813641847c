// Both halves of a SASL exchange, against RFC 7677's example and against each other.
#include <catch2/catch.hpp>

#include "base/encoding.hpp"
#include "sasl/client_exchange.hpp"
#include "sasl/server_exchange.hpp"

using namespace fwmail;
using namespace fwmail::sasl;

namespace {

Secret secret(std::string_view text) { return Secret(text); }

template <class T>
const T& as(const ServerExchange::Step& step) {
    if (!step) FAIL(step.error().text);
    REQUIRE(std::holds_alternative<T>(*step));
    return std::get<T>(*step);
}

ErrorKind kind(const ServerExchange::Step& step) {
    REQUIRE_FALSE(step);
    return step.error().kind;
}

constexpr std::string_view salt = "a salt of 16 oct";

Verifiers verifiers_of(std::vector<std::string> passwords) {
    Verifiers out{std::string(salt), 64, {}};
    for (const auto& password : passwords)
        out.passwords.push_back(crypto::make_verifier(Secret(password), salt, 64).value());
    return out;
}

const ChannelBindings bindings{"exporter's 32 octets", "end point's 32 octets"};

ClientExchange client(std::string_view password, const ChannelBindings& seen, bool plus = true,
                      std::string user = "ann") {
    auto offered = [plus](std::string_view name) { return name == scram || (plus && name == scram_plus); };
    return ClientExchange::choose(offered, seen, std::move(user), secret(password)).value();
}

// The exchange up to what the server says of the client's proof.
ServerExchange::Step prove(ClientExchange& from, ServerExchange& to, Verifiers verifiers) {
    auto first = to.start(secret(from.initial().value()));
    if (!first) return first;
    CHECK(as<WantVerifiers>(first).user == "ann");
    auto challenge = to.on_verifiers(std::move(verifiers));
    return to.on_response(secret(from.on_challenge(as<Challenge>(challenge).octets).value()));
}

}  // namespace

TEST_CASE("RFC 7677 3: the example, octet for octet, on both sides") {
    std::string server_salt = base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==").value();
    auto only_scram = [](std::string_view name) { return name == scram; };
    auto from =
        ClientExchange::choose(only_scram, {}, "user", secret("pencil"), "rOprNGfwEbeRWgbNEkqO").value();
    ServerExchange to(scram, {}, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    std::string first = from.initial().value();
    CHECK(first == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    CHECK(as<WantVerifiers>(to.start(secret(first))).user == "user");
    Verifiers verifiers{
        server_salt, 4096, {crypto::make_verifier(secret("pencil"), server_salt, 4096).value()}};
    auto challenge = to.on_verifiers(verifiers);
    CHECK(as<Challenge>(challenge).octets ==
          "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    std::string final = from.on_challenge(as<Challenge>(challenge).octets).value();
    CHECK(final ==
          "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    auto proven = to.on_response(secret(final));
    CHECK(as<Proven>(proven).octets == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    CHECK_FALSE(from.on_success());
    CHECK(from.on_challenge(as<Proven>(proven).octets).value().empty());
    CHECK(from.on_success());
    CHECK(std::holds_alternative<Done>(to.on_response(Secret()).value()));
}

TEST_CASE("SCRAM: any of a user's passwords is right, and no other") {
    for (auto [password, right] :
         {std::pair("phone", true), {"laptop", true}, {"phones", false}, {"", false}}) {
        INFO(password);
        auto from = client(password, bindings);
        ServerExchange to(scram_plus, bindings, make_nonce());
        auto step = prove(from, to, verifiers_of({"phone", "laptop"}));
        CHECK(step.has_value() == right);
        if (right)
            CHECK(from.on_challenge(as<Proven>(step).octets));
        else
            CHECK(kind(step) == ErrorKind::refused);
        // Nothing can follow a failure.
        if (!right) CHECK_FALSE(to.on_response(Secret()));
    }
    auto from = client("phone", bindings);
    ServerExchange to(scram_plus, bindings, make_nonce());
    CHECK(kind(prove(from, to, verifiers_of({}))) == ErrorKind::refused);
}

TEST_CASE("SCRAM-PLUS: a connection that is not the same at both ends is refused") {
    auto with = [](ChannelBindings here, ChannelBindings there) {
        auto from = client("phone", here);
        ServerExchange to(from.mechanism(), there, make_nonce());
        return prove(from, to, verifiers_of({"phone"})).has_value();
    };
    CHECK(with(bindings, bindings));
    CHECK(with({"", bindings.tls_server_end_point}, bindings));
    CHECK_FALSE(with({"another connection", ""}, bindings));
    CHECK_FALSE(with({"", "another certificate"}, bindings));
    CHECK_FALSE(with(bindings, {"", bindings.tls_server_end_point}));  // a type that the server has not
}

// RFC 5802 6: `y` while -PLUS was offered means that somebody took it out of the list.
TEST_CASE("SCRAM: a list of mechanisms that was shortened on the way is noticed") {
    auto from = client("phone", bindings, false);
    CHECK(from.mechanism() == scram);
    ServerExchange under_tls(scram, bindings, make_nonce());
    std::string first = from.initial().value();
    CHECK(first.starts_with("y,,"));
    CHECK(kind(under_tls.start(secret(first))) == ErrorKind::refused);
    // Where none was offered, that is what a client says.
    ServerExchange in_clear(scram, {}, make_nonce());
    auto again = client("phone", bindings, false);
    CHECK(prove(again, in_clear, verifiers_of({"phone"})));
}

TEST_CASE("SCRAM: what is malformed is a protocol error") {
    auto first = [](std::string_view mechanism, std::string_view message) {
        ServerExchange to(mechanism, bindings, "server");
        return to.start(secret(message));
    };
    for (std::string_view message :
         {"", "n", "n,", "n,,", "n,,n=ann", "n,,r=abc,n=ann", "n,,n=,r=abc", "n,,n=a=b,r=abc", "n,,n=ann,r=",
          "n,,n=ann,r=a\xc3\xa9", "x,,n=ann,r=abc", "n,,m=ext,n=ann,r=abc", "n,b=ann,n=ann,r=abc",
          "p=tls-exporter,,n=ann,r=abc", "n,,n=ann,r=abc,", "n,,n=ann,,r=abc", "n,,n=\x01,r=abc"}) {
        INFO(message);
        CHECK(kind(first(scram, message)) == ErrorKind::protocol);
    }
    CHECK(kind(first(scram_plus, "n,,n=ann,r=abc")) == ErrorKind::protocol);
    CHECK(kind(first(scram, "n,a=bob,n=ann,r=abc")) == ErrorKind::refused);
    CHECK(kind(first(scram_plus, "p=tls-unique,,n=ann,r=abc")) == ErrorKind::refused);
    CHECK(as<WantVerifiers>(first(scram, "n,a=ann,n=ann,r=abc,x=extension")).user == "ann");
    CHECK(as<WantVerifiers>(first(scram, "n,,n=a=2Cb=3Dc,r=abc")).user == "a,b=c");
    CHECK(kind(first(scram, "n,,n=" + std::string(400, 'a') + ",r=abc")) == ErrorKind::protocol);
    CHECK(kind(first(scram, "n,,n=ann,r=" + std::string(5000, 'a'))) == ErrorKind::protocol);

    std::string proof = base64_encode(std::string(32, 'p'));
    for (std::string message :
         {std::string(), std::string("c=biws,r=abcserver"), "r=abcserver,c=biws,p=" + proof,
          "c=biws,r=abcserver,p=" + base64_encode("short"), "c=biws,r=abc,p=" + proof,
          "c=biws,r=abcservers,p=" + proof, "c=b,r=abcserver,p=" + proof}) {
        INFO(message);
        ServerExchange to(scram, {}, "server");
        as<WantVerifiers>(to.start(secret("n,,n=ann,r=abc")));
        as<Challenge>(to.on_verifiers(verifiers_of({"phone"})));
        CHECK(kind(to.on_response(secret(message))) == ErrorKind::protocol);
    }
}

TEST_CASE("PLAIN and LOGIN give name and password, or say why not") {
    auto plain_step = [](std::string_view message) {
        ServerExchange to(plain, {}, "nonce");
        return to.start(secret(message));
    };
    auto step = plain_step(std::string_view("\0ann\0pass word", 14));
    CHECK(as<Credentials>(step).user == "ann");
    CHECK(as<Credentials>(step).password.view() == "pass word");
    as<Credentials>(plain_step(std::string_view("ann\0ann\0p", 9)));
    CHECK(kind(plain_step(std::string_view("bob\0ann\0p", 9))) == ErrorKind::refused);
    CHECK_FALSE(plain_step("ann"));
    CHECK_FALSE(plain_step(std::string_view("\0\0p", 3)));
    CHECK_FALSE(plain_step(std::string_view("\0ann\0p\0q", 8)));
    CHECK_FALSE(plain_step(std::string("\0a\0", 3) + std::string(2000, 'p')));

    ServerExchange asked(plain, {}, "nonce");
    CHECK(as<Challenge>(asked.start(std::nullopt)).octets.empty());
    as<Credentials>(asked.on_response(secret(std::string_view("\0ann\0p", 6))));
    CHECK_FALSE(asked.on_response(secret("again")));

    ServerExchange by_login(login, {}, "nonce");
    CHECK(as<Challenge>(by_login.start(std::nullopt)).octets == "Username:");
    CHECK(as<Challenge>(by_login.on_response(secret("ann"))).octets == "Password:");
    CHECK(as<Credentials>(by_login.on_response(secret("p"))).password.view() == "p");
    ServerExchange named(login, {}, "nonce");
    CHECK(as<Challenge>(named.start(secret("ann"))).octets == "Password:");
}

TEST_CASE("the client takes the strongest mechanism, and does not trust a server that proves nothing") {
    auto choose = [](std::vector<std::string_view> names, const ChannelBindings& seen) {
        auto offered = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
        auto made = ClientExchange::choose(offered, seen, "ann", secret("p"));
        return made ? std::string(made->mechanism()) : "";
    };
    CHECK(choose({plain, login, scram, scram_plus}, bindings) == scram_plus);
    CHECK(choose({plain, login, scram, scram_plus}, {}) == scram);
    CHECK(choose({login, plain}, bindings) == plain);
    CHECK(choose({"GSSAPI", login}, bindings) == login);
    CHECK(choose({"GSSAPI"}, bindings).empty());

    auto answer_to_first = [](std::string_view message) {
        auto from = client("phone", {}, false);
        std::string nonce = from.initial().value();
        nonce.erase(0, nonce.find("r=") + 2);
        std::string text(message);
        if (std::size_t at = text.find('@'); at != text.npos) text.replace(at, 1, nonce);
        return from.on_challenge(text);
    };
    CHECK(answer_to_first("r=@more,s=c2FsdA==,i=10"));
    for (std::string_view message :
         {"", "r=other,s=c2FsdA==,i=10", "r=@,s=c2FsdA==,i=10", "r=@more,s=,i=10", "r=@more,s=c2FsdA==,i=0",
          "r=@more,s=c2FsdA==,i=999999999", "r=@more,s=c2FsdA==", "m=x,r=@more,s=c2FsdA==,i=10",
          "r=@more,s=c2FsdA==,i=10x"}) {
        INFO(message);
        CHECK_FALSE(answer_to_first(message));
    }

    auto from = client("phone", bindings);
    ServerExchange to(scram_plus, bindings, make_nonce());
    as<Proven>(prove(from, to, verifiers_of({"phone"})));
    auto liar = from;
    CHECK(liar.on_challenge("v=" + base64_encode(std::string(32, 'x'))).error().kind == ErrorKind::refused);
    CHECK_FALSE(liar.on_success());
    CHECK(from.on_challenge("e=other-error").error().kind == ErrorKind::refused);
    CHECK_FALSE(from.on_success());
}
