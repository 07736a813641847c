// Users by command: who is gone, and what commands may run beside the writer.
#include <catch2/catch.hpp>

#include "service/admin.hpp"
#include "store/support.hpp"

namespace fwmail::service {
namespace {

using namespace store::test;
namespace json = boost::json;

struct Offline {
    TempDir dir;
    config::Config config = must(config::Config::parse(
        config::role_core, "data-dir = " + dir.path.string() + "\ndomain = example.test\n",
        dir.path / "core.conf"));
    Secret master_key{std::string(32, 'k')};
    Identity identity;
    std::unique_ptr<store::SystemStore> system = must(store::SystemStore::open(dir.path));
    Clock clock = system_clock();

    Offline() { identity.role = NodeRole::core; }
    Result<json::object> run(store::SystemStore& store, const json::object& request) {
        AdminContext context{store, config, master_key, identity, clock, {}, false, false, {}};
        return execute_admin(context, request);
    }
    Result<json::object> run(const json::object& request) { return run(*system, request); }
};

}  // namespace

TEST_CASE("a removed user takes no commands, and the name stays taken in words that say so") {
    Offline node;
    must(node.run({{"command", "user.add"}, {"name", "ann"}}));
    must(node.run({{"command", "user.remove"}, {"name", "ann"}}));
    CHECK(error_of(node.run({{"command", "user.remove"}, {"name", "ann"}})) == ErrorKind::refused);
    CHECK(error_of(node.run({{"command", "user.passwd"}, {"name", "ann"}, {"outside", true}})) ==
          ErrorKind::refused);
    auto again = node.run({{"command", "user.add"}, {"name", "ann"}});
    REQUIRE_FALSE(again);
    CHECK(again.error().text.find("was removed") != std::string::npos);
    // What was sealed to the key is still to be opened.
    CHECK(node.run({{"command", "key.export"}, {"name", "ann"}, {"secret", true}}));
}

TEST_CASE(
    "the key of the last rotation is the one in use, though the clock was set back; it is none of the "
    "future") {
    Offline node;
    UnixMillis now = at(1'000'000);
    node.clock = [&now] { return now; };
    must(node.run({{"command", "user.add"}, {"name", "ann"}}));
    auto fingerprint = [&](const json::object& request) { return must(node.run(request)).at("fingerprint"); };
    json::object rotate{{"command", "key.rotate"}, {"name", "ann"}};
    fingerprint(rotate);  // in the same millisecond
    now = at(500'000);
    auto last = fingerprint(rotate);
    auto listed = must(node.run({{"command", "key.list"}, {"name", "ann"}})).at("keys").as_array();
    REQUIRE(listed.size() == 3);
    CHECK(listed[0].at("fingerprint") == last);
    CHECK_FALSE(listed[0].as_object().contains("retired"));
    CHECK(listed[1].as_object().contains("retired"));
    auto key = must(node.system->load_keys(must(node.system->find_user("ann"))->id)).front();
    CHECK(must(crypto::parse_certificate(key.certificate)).primary.created == now.value / 1000);
}

TEST_CASE("what only reads works on a read connection; nothing else is said to") {
    Offline node;
    must(node.run({{"command", "user.add"}, {"name", "ann"}}));
    auto reader = must(store::SystemStore::open(node.dir.path, store::Access::read_only));
    for (const json::object& request :
         {json::object{{"command", "status"}}, json::object{{"command", "check"}},
          json::object{{"command", "user.list"}}, json::object{{"command", "link.list"}},
          json::object{{"command", "key.list"}, {"name", "ann"}},
          json::object{{"command", "key.export"}, {"name", "ann"}, {"secret", true}}}) {
        CAPTURE(request.at("command"));
        CHECK(only_reads(request));
        CHECK(node.run(*reader, request));
    }
    for (const char* command : {"user.add", "user.passwd", "user.remove", "key.rotate", "link.invite",
                                "link.accept", "link.remove"})
        CHECK_FALSE(only_reads({{"command", command}}));
}

TEST_CASE("all passwords of a user share one salt, so that SCRAM works with any; others have their own") {
    Offline node;
    for (const char* name : {"ann", "ben"})
        must(node.run({{"command", "user.add"}, {"name", name}, {"password", "inside"}}));
    for (const char* label : {"phone", "laptop", "phone"})
        must(node.run({{"command", "user.passwd"}, {"name", "ann"}, {"outside", true}, {"label", label}}));
    // Composed and decomposed are one password.
    must(node.run({{"command", "user.passwd"}, {"name", "ann"}, {"password", "caf\u0065\u0301"}}));
    CHECK(error_of(node.run({{"command", "user.passwd"}, {"name", "ann"}, {"password", "a\tb"}})) ==
          ErrorKind::refused);
    Directory directory;
    must(directory.reload(*node.system));
    auto ann = directory.find_login("ann"), ben = directory.find_login("ben");
    CHECK(ann->credentials.size() == 3);
    CHECK(ann->scram.passwords.size() == 3);
    CHECK(ann->scram.salt != ben->scram.salt);
    CHECK(password_matches(*ann, Secret(std::string("caf\u00e9"))));
    CHECK_FALSE(password_matches(*ann, Secret(std::string("inside"))));
}

TEST_CASE("what a command does is undone as one") {
    Offline node;
    auto undone = node.system->together([&]() -> Result<> {
        TRY(node.run({{"command", "user.add"}, {"name", "ann"}}));
        return fail(ErrorKind::temporary, "the disk is full");
    });
    CHECK(!undone);
    CHECK(must(node.system->load_users()).empty());
    CHECK(must(node.system->find_user("ann")) == std::nullopt);
    must(node.run({{"command", "user.add"}, {"name", "ann"}}));
}

TEST_CASE("limits of a user are his own, or the configuration's") {
    Offline node;
    must(node.run({{"command", "user.add"}, {"name", "ann"}}));
    auto set = [&](const char* size, const char* messages) {
        return node.run({{"command", "user.quota"}, {"name", "ann"}, {"size", size}, {"messages", messages}});
    };
    auto limit = [](const json::object& answer, const char* name) {
        return answer.at(name).to_number<std::uint64_t>();
    };
    CHECK(limit(must(set("", "")), "limit_octets") == 0);
    auto both = must(set("2k", "100"));
    CHECK(limit(both, "limit_octets") == 2048);
    CHECK(limit(both, "limit_messages") == 100);
    CHECK(limit(must(set("", "7")), "limit_octets") == 2048);
    CHECK(limit(must(set("default", "")), "limit_octets") == 0);
    CHECK(limit(must(set("", "")), "limit_messages") == 7);
    CHECK(error_of(set("much", "")) == ErrorKind::usage);
    CHECK(error_of(set("", "-1")) == ErrorKind::usage);
    CHECK(error_of(node.run({{"command", "user.quota"}, {"name", "nobody"}})) == ErrorKind::refused);
    auto status = must(node.run({{"command", "status"}}));
    const auto& row = status.at("users").as_array().at(0).as_object();
    CHECK(limit(row, "limit_messages") == 7);
    CHECK_FALSE(row.at("full").as_bool());
    CHECK_FALSE(only_reads({{"command", "user.quota"}}));
}

}  // namespace fwmail::service
