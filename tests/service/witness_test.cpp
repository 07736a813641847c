#include "service/witness.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "service/epochs.hpp"
#include "store/epochs.hpp"
#include "store/support.hpp"

namespace fwmail::service {
namespace {

using namespace store::test;

const NodeId peer = id_of<NodeId>(7);
const AccountId ann = id_of<AccountId>(1);

struct Core {
    TempDir dir, outside;
    std::filesystem::path file = outside.path / "witness";
    std::unique_ptr<store::SystemStore> system;
    LinkTable links;
    Log log{-1, LogLevel::error};

    Core() {
        must(store::prepare_data_dir(dir.path));
        system = must(store::SystemStore::open(dir.path));
        must(system->add_user({ann, "ann", UnixMillis{0}, store::UserState::active}));
        must(store::AccountStore::open(dir.path, ann, UnixMillis{0}));
    }
    Result<> question() {
        auto config = must(config::Config::parse(
            config::role_core, "data-dir = " + dir.path.string() + "\nwitness = " + file.string() + "\n",
            "test"));
        return question_witness(*system, config, links, NodeRole::core, log, UnixMillis{1000});
    }
    std::string text() const {
        std::ifstream in(file);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void put(const std::string& text) const { std::ofstream(file) << text; }
    std::optional<std::string> begun() const {
        return must(must(store::AccountStore::open(dir.path, ann, UnixMillis{0}))->value("begun-after-loss"));
    }
};

}  // namespace

TEST_CASE("the witness rises at each start, and says nothing while the store is not behind it") {
    Core core;
    must(core.question());
    CHECK(core.text() == "1\n");
    must(core.question());
    CHECK(core.text() == "2\n");
    // The store's number is written first: between the two it is ahead.
    core.put("1\n");
    must(core.question());
    CHECK(core.text() == "3\n");
    std::filesystem::remove(core.file);
    must(core.question());
    CHECK(core.text() == "4\n");
    CHECK_FALSE(core.begun());
}

TEST_CASE("a store that is older than its witness begins anew, once") {
    Core core;
    must(core.question());
    core.put("17\n");
    must(core.question());
    CHECK(core.text() == "18\n");
    CHECK(core.begun() == "17");
    must(core.question());
    CHECK(core.text() == "19\n");
    CHECK(core.begun() == "17");
}

TEST_CASE("what is no witness is refused, and left as it is") {
    Core core;
    for (const char* text : {"", "\n", "0\n", "-1\n", "12 \n", "x", "1\n2\n", "9223372036854775808\n"}) {
        INFO(text);
        core.put(text);
        CHECK(error_of(core.question()) == ErrorKind::usage);
        CHECK(core.text() == text);
    }
    std::filesystem::remove(core.file);
    std::filesystem::create_directory(core.file);
    CHECK(error_of(core.question()) == ErrorKind::usage);
    core.file = core.dir.path / "witness";  // it would be restored with the rest
    CHECK(error_of(core.question()) == ErrorKind::usage);
    core.file = core.dir.path / "accounts" / "witness";
    CHECK(error_of(core.question()) == ErrorKind::usage);
    core.file = core.outside.path / "missing" / "witness";
    CHECK(error_of(core.question()) == ErrorKind::usage);
    CHECK_FALSE(core.begun());
}

}  // namespace fwmail::service
