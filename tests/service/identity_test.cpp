#include "service/identity.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "store/support.hpp"

namespace fwmail::service {
namespace {

using namespace store::test;

struct Folder {
    TempDir dir;
    Folder() { unsetenv("CREDENTIALS_DIRECTORY"); }
    ~Folder() { unsetenv("CREDENTIALS_DIRECTORY"); }
    std::filesystem::path key() const { return dir.path / "master.key"; }
    void put(std::string_view octets) const {
        std::ofstream(key(), std::ios::binary) << octets;
        std::filesystem::permissions(
            key(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
    Error refusal() const {
        auto loaded = load_master_key(dir.path);
        REQUIRE_FALSE(loaded);
        return loaded.error();
    }
};

}  // namespace

TEST_CASE("the master key is made once, readable by its owner only") {
    Folder folder;
    CHECK(folder.refusal().kind == ErrorKind::usage);
    must(ensure_master_key(folder.dir.path));
    using std::filesystem::perms;
    CHECK(std::filesystem::status(folder.key()).permissions() == (perms::owner_read | perms::owner_write));
    auto first = must(load_master_key(folder.dir.path));
    CHECK(first.view().size() == 32);
    must(ensure_master_key(folder.dir.path));
    CHECK(must(load_master_key(folder.dir.path)).view() == first.view());
    Folder other;
    must(ensure_master_key(other.dir.path));
    CHECK(must(load_master_key(other.dir.path)).view() != first.view());
    // What an interrupted attempt left is in nobody's way.
    Folder third;
    std::ofstream(third.dir.path / "master.key.new") << "half";
    must(ensure_master_key(third.dir.path));
    CHECK(must(load_master_key(third.dir.path)).view().size() == 32);
}

TEST_CASE("a master key that others can read, or of a wrong size, is refused") {
    using std::filesystem::perms;
    for (auto bit : {perms::group_read, perms::group_write, perms::group_exec, perms::others_read,
                     perms::others_write, perms::others_exec}) {
        Folder folder;
        folder.put(std::string(32, 'k'));
        must(load_master_key(folder.dir.path));
        std::filesystem::permissions(folder.key(), bit, std::filesystem::perm_options::add);
        auto error = folder.refusal();
        CHECK(error.kind == ErrorKind::usage);
        CHECK(error.text.find("chmod 600") != std::string::npos);
    }
    for (std::size_t size : {0u, 1u, 31u, 33u, 64u, 5000u}) {
        Folder folder;
        folder.put(std::string(size, 'k'));
        CAPTURE(size);
        CHECK(folder.refusal().kind == ErrorKind::usage);
        CHECK(folder.refusal().text.find("kkk") == std::string::npos);
    }
}

TEST_CASE("systemd's credential goes before the file") {
    Folder folder, credentials;
    folder.put(std::string(32, 'f'));
    setenv("CREDENTIALS_DIRECTORY", credentials.dir.path.c_str(), 1);
    CHECK(must(load_master_key(folder.dir.path)).view() ==
          std::string(32, 'f'));  // there is none of that name
    std::ofstream(credentials.dir.path / "fwmail-master-key") << std::string(32, 'c');
    std::filesystem::permissions(credentials.dir.path / "fwmail-master-key",
                                 std::filesystem::perms::owner_read);
    CHECK(must(load_master_key(folder.dir.path)).view() == std::string(32, 'c'));
}

TEST_CASE("an identity stays, and opens with its master key only") {
    Folder folder;
    auto system = must(store::SystemStore::open(folder.dir.path));
    Secret right(std::string(32, 'r')), wrong(std::string(32, 'w'));
    auto none = load_identity(*system, right);
    REQUIRE_FALSE(none);
    CHECK(none.error().kind == ErrorKind::usage);
    CHECK(none.error().text.find("fwmail init") != std::string::npos);

    must(ensure_identity(*system, right, NodeRole::remote, "remote.test", t0));
    auto identity = must(load_identity(*system, right));
    CHECK(identity.role == NodeRole::remote);
    CHECK_FALSE(identity.id.is_zero());
    CHECK(identity.key.public_key.user_id == "fwmail remote remote.test");
    must(ensure_identity(*system, right, NodeRole::remote, "renamed.test", at(1)));
    auto again = must(load_identity(*system, right));
    CHECK(again.id == identity.id);
    CHECK(again.key.public_key.fingerprint == identity.key.public_key.fingerprint);

    auto other_role = ensure_identity(*system, right, NodeRole::core, "core.test", t0);
    REQUIRE_FALSE(other_role);
    CHECK(other_role.error().kind == ErrorKind::usage);
    auto closed = load_identity(*system, wrong);
    REQUIRE_FALSE(closed);
    CHECK(closed.error().kind == ErrorKind::usage);
    CHECK(closed.error().text.find("master key") != std::string::npos);
    // The secret half does not lie there in clear.
    auto box = must(system->setting("node-key"));
    REQUIRE(box);
    CHECK(box->find(identity.key.primary_seed.view()) == std::string::npos);
    // Nor does a box of another place open as this one.
    must(system->set_setting("node-key", std::string(*box).replace(0, 1, "\x7f")));
    CHECK_FALSE(load_identity(*system, right));
}

}  // namespace fwmail::service
