// fwmail check: what it calls a problem, and what it must not.
#include <catch2/catch.hpp>
#include <fstream>

#include "service/admin.hpp"
#include "store/support.hpp"

namespace fwmail::service {
namespace {

using namespace store::test;
using store::HoldId;

// A core's data-dir with one user, closed between the steps like a stopped server's.
struct Stopped {
    TempDir dir;
    AccountId ann = id_of<AccountId>(1);
    config::Config config;
    Secret master_key{std::string(32, 'k')};
    Identity identity;
    std::unique_ptr<store::SystemStore> system;
    std::unique_ptr<store::AccountStore> account;
    MailboxId inbox;

    explicit Stopped(NodeRole role = NodeRole::core) {
        config = must(config::Config::parse(config::role_core, "data-dir = " + dir.path.string() + "\n",
                                            dir.path / "core.conf"));
        identity.role = role;
        system = must(store::SystemStore::open(dir.path));
        must(system->add_user({ann, "ann", t0}));
        account = must(store::AccountStore::open(dir.path, ann, t0));
        inbox = must(account->create_mailbox("INBOX", "", t0)).id;
    }
    ObjectId body(std::uint64_t n, std::optional<HoldId> hold) {
        auto id = id_of<ObjectId>(n);
        must(system->put_object(id, "body " + std::to_string(n), t0));
        if (hold) must(system->add_reference(id, {ann, *hold}));
        return id;
    }
    void message(std::uint64_t n, ObjectId object, HoldId hold) {
        store::NewMessage m;
        m.mailbox = inbox;
        m.hold = hold;
        m.object = object;
        m.email_id = id_of<EmailId>(n);
        m.size = 6;
        m.date = m.saved_at = t0;
        must(account->append(m));
    }
    boost::json::object check() {
        AdminContext context{*system, config, master_key, identity, system_clock(), {}, false, false, {}};
        auto answer = execute_admin(context, {{"command", "check"}});
        if (!answer) FAIL(answer.error().text);
        return *answer;
    }
    std::vector<std::string> problems() {
        std::vector<std::string> out;
        auto answer = check();
        for (const auto& problem : answer.at("problems").as_array()) out.emplace_back(problem.as_string());
        return out;
    }
    std::filesystem::path file() { return store::AccountStore::path_of(dir.path, ann); }
};

std::uint64_t number(const boost::json::object& answer, std::string_view name) {
    return answer.at(name).to_number<std::uint64_t>();
}

}  // namespace

TEST_CASE("a sound store has no problems, and everything is counted") {
    Stopped node;
    auto one = node.body(1, id_of<HoldId>(1));
    node.message(1, one, id_of<HoldId>(1));
    must(node.system->add_reference(one, {node.ann, id_of<HoldId>(2)}));
    node.message(1, one, id_of<HoldId>(2));  // a copy
    node.message(3, node.body(3, id_of<HoldId>(3)), id_of<HoldId>(3));
    auto answer = node.check();
    CAPTURE(boost::json::serialize(answer));
    CHECK(answer.at("problems").as_array().empty());
    CHECK(answer.at("role") == "core");
    CHECK(number(answer, "users") == 1);
    CHECK(number(answer, "messages") == 3);
    CHECK(number(answer, "bodies") == 2);
    CHECK(number(answer, "held_by_nothing") == 0);
}

TEST_CASE("a message whose body is missing or not held is a problem") {
    Stopped node;
    node.message(1, id_of<ObjectId>(1), id_of<HoldId>(1));
    node.message(2, node.body(2, std::nullopt), id_of<HoldId>(2));
    auto problems = node.problems();
    CAPTURE(problems);
    CHECK(problems.size() == 3);
    CHECK(std::ranges::count(problems, "user ann: the body " + id_of<ObjectId>(1).hex() + " is missing") ==
          1);
    for (int n : {1, 2})
        CHECK(std::ranges::count(problems, "account " + node.ann.hex() + " names the body " +
                                               id_of<ObjectId>(n).hex() + " without holding it") == 1);
}

TEST_CASE("a body that a cut change left held is no problem, and stays as it is") {
    Stopped node;
    node.message(1, node.body(1, id_of<HoldId>(1)), id_of<HoldId>(1));
    node.body(2, id_of<HoldId>(2));
    for (int i = 0; i < 2; ++i) {
        auto answer = node.check();
        CHECK(answer.at("problems").as_array().empty());
        CHECK(number(answer, "held_by_nothing") == 1);
    }
    CHECK(must(node.system->object_complete(id_of<ObjectId>(2))));
}

TEST_CASE("what an expunge has journalled is no problem") {
    Stopped node;
    node.message(1, node.body(1, id_of<HoldId>(1)), id_of<HoldId>(1));
    must(node.account->expunge_any(node.inbox, uids({1})));
    CHECK(node.problems().empty());
    // Released in system.db, and not yet forgotten in the account's file.
    auto released = must(node.account->load_pending_releases(10));
    REQUIRE(released.size() == 1);
    must(node.system->release_references(node.ann, released));
    CHECK(node.problems().empty());
}

TEST_CASE("mail in the spool is no problem") {
    Stopped node;
    store::SpoolRequest request;
    request.object = id_of<ObjectId>(5);
    request.content = "mail";
    request.now = t0;
    store::SpoolRow row;
    row.delivery = id_of<HoldId>(5);
    row.account = node.ann;
    row.email_id = id_of<EmailId>(5);
    request.rows.push_back(row);
    must(node.system->spool_message(request));
    auto answer = node.check();
    CHECK(answer.at("problems").as_array().empty());
    CHECK(number(answer, "held_by_nothing") == 0);
}

TEST_CASE("a file that is gone, damaged or nobody's is a problem, and the others are still checked") {
    for (bool damaged : {false, true}) {
        Stopped node;
        node.message(1, node.body(1, id_of<HoldId>(1)), id_of<HoldId>(1));
        node.account.reset();
        for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(node.file().string() + end);
        if (damaged) std::ofstream(node.file()) << std::string(5000, 'x');
        auto problems = node.problems();
        CAPTURE(problems);
        REQUIRE(problems.size() == 1);  // and not one for each body that it names
        CHECK(problems[0].starts_with("user ann: "));
        CHECK(must(node.system->object_complete(id_of<ObjectId>(1))));
    }
    Stopped node;
    auto nobody = must(store::AccountStore::open(node.dir.path, id_of<AccountId>(9), t0));
    CHECK(node.problems() == std::vector<std::string>{"the file accounts/" + id_of<AccountId>(9).hex() +
                                                      ".db belongs to no user"});
    Stopped remote(NodeRole::remote);  // which learns of the user before there is a file
    remote.account.reset();
    std::filesystem::remove(remote.file());
    CHECK(remote.problems().empty());
}

TEST_CASE("a search index belongs to its user, and is a problem only when it is damaged") {
    Stopped node;
    auto path = store::SearchStore::path_of(node.dir.path, node.ann);
    must(must(store::SearchStore::open(node.dir.path, node.ann))
             ->add({{1, id_of<ObjectId>(1), {}, "text"}}, 1));
    CHECK(node.problems().empty());
    std::ofstream(path, std::ios::trunc) << std::string(5000, 'x');
    auto problems = node.problems();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].starts_with("user ann: the search index, accounts/" + path.filename().string()));
    std::ofstream(path, std::ios::trunc) << "";
    CHECK(node.problems().empty());
}

TEST_CASE("a running server is not checked") {
    Stopped node;
    AdminContext context{*node.system,  node.config,    node.master_key,
                         node.identity, system_clock(), {"imap 127.0.0.1:1"},
                         false,         false,          {}};
    auto answer = execute_admin(context, {{"command", "check"}});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::usage);
    CHECK(answer.error().text.find("is running") != std::string::npos);
}

}  // namespace fwmail::service
