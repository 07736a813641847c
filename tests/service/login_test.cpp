// Logins: the cache of passwords that were right, SCRAM at the service, one salt for all of a user's
// passwords.
#include <catch2/catch.hpp>

#include "core_support.hpp"
#include "sasl/client_exchange.hpp"

using namespace fwmail;
using namespace fwmail::service;
using namespace fwmail::service::test;

namespace {

UserRecord user_with(AccountId id, std::string_view verifiers) {
    UserRecord user;
    user.user.id = id;
    user.verifiers_digest = crypto::sha256(verifiers);
    return user;
}

Secret secret(std::string_view text) { return Secret(text); }

// A whole SCRAM login through the service; the last reply.
imap::Reply scram(Core& core, Mailboxes& session, std::string user, std::string_view password) {
    auto only = [](std::string_view name) { return name == sasl::scram; };
    auto client = sasl::ClientExchange::choose(only, {}, std::move(user), secret(password)).value();
    auto reply = core.run(
        session.service.execute(imap::AuthStart{std::string(sasl::scram), secret(client.initial().value())}));
    while (auto* challenge = std::get_if<imap::AuthChallenge>(&reply)) {
        auto response = client.on_challenge(challenge->octets);
        REQUIRE(response);
        reply = core.run(session.service.execute(imap::AuthResponse{Secret(*response)}));
    }
    if (std::holds_alternative<imap::Done>(reply)) CHECK(client.on_success());
    return reply;
}

}  // namespace

TEST_CASE("login cache: what was right is known, until the user's passwords change or an hour has passed") {
    LoginCache cache;
    auto ann = user_with(id_of<AccountId>(1), "v1"), ben = user_with(id_of<AccountId>(2), "v1");
    LoginCache::Time now{};
    CHECK_FALSE(cache.knows(ann, secret("right"), now));
    cache.add(ann, secret("right"), now);
    CHECK(cache.knows(ann, secret("right"), now + std::chrono::minutes(59)));
    CHECK_FALSE(cache.knows(ann, secret("Right"), now));
    CHECK_FALSE(cache.knows(ben, secret("right"), now));
    CHECK_FALSE(cache.knows(user_with(id_of<AccountId>(1), "v1v2"), secret("right"), now));
    // Being used does not make it younger.
    CHECK_FALSE(cache.knows(ann, secret("right"), now + std::chrono::minutes(61)));
    CHECK(cache.entries() == 0);
    cache.add(ann, secret("right"), now);
    CHECK_FALSE(LoginCache().knows(ann, secret("right"), now));
}

TEST_CASE("login cache: it is bounded, and what is used stays") {
    LoginCache cache;
    auto ann = user_with(id_of<AccountId>(1), "v1");
    LoginCache::Time now{};
    cache.add(ann, secret("first"), now);
    for (std::size_t i = 0; i < LoginCache::most_entries; ++i) {
        CHECK(cache.knows(ann, secret("first"), now));
        cache.add(ann, Secret("p" + std::to_string(i)), now);
    }
    CHECK(cache.entries() == LoginCache::most_entries);
    CHECK(cache.knows(ann, secret("first"), now));
    CHECK_FALSE(cache.knows(ann, secret("p0"), now));
}

TEST_CASE("a login fills the cache, a failed one does not, and a revoked password is void at once") {
    Core core;
    Mailboxes first(core), second(core), third(core);
    first.refused(imap::Authenticate{"ann", secret("wrong")});
    CHECK(core.node.login_cache.entries() == 0);
    second.log_in();
    CHECK(core.node.login_cache.entries() == 1);
    third.log_in();
    CHECK(core.node.login_cache.entries() == 1);
    core.write_system([&](store::SystemStore& system) -> Result<> {
        return system.revoke_credential(TRY(system.load_credentials(core.ann)).at(0).id, core.now);
    });
    core.reload();
    Mailboxes fourth(core);
    CHECK(fourth.refused(imap::Authenticate{"ann", secret("inside")}).code == "AUTHENTICATIONFAILED");
}

TEST_CASE("SCRAM at the service: right, wrong and nobody; a failure counts as one of PLAIN does") {
    Core core;
    Mailboxes good(core), bad(core), nobody(core);
    CHECK(std::holds_alternative<imap::Done>(scram(core, good, "ann", "inside")));
    CHECK(core.node.logins.entries() == 0);
    auto wrong = std::get<imap::Refusal>(scram(core, bad, "ann", "insides"));
    std::size_t counted = core.node.logins.entries();
    CHECK(counted == 2);  // of the address, and of the account
    auto unknown = std::get<imap::Refusal>(scram(core, nobody, "nobody", "inside"));
    CHECK(core.node.logins.entries() == counted + 1);
    CHECK(wrong.code == unknown.code);
    CHECK(wrong.text == unknown.text);
    CHECK(wrong.kind == unknown.kind);
    // Not logged in: nothing was selected for them.
    CHECK(good.get<imap::MailboxList>(imap::ListMailboxes{}).rows.size() == 2);
}

TEST_CASE("SCRAM at the service: a response without a beginning, and a second beginning") {
    Core core;
    Mailboxes session(core);
    session.refused(imap::AuthResponse{secret("c=biws,r=x,p=x")});
    session.get<imap::AuthChallenge>(imap::AuthStart{std::string(sasl::login), std::nullopt});
    CHECK(std::holds_alternative<imap::Done>(scram(core, session, "ann", "inside")));
}
