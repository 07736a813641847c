#include "service/addresses.hpp"

#include <catch2/catch.hpp>

#include "store/support.hpp"

namespace fwmail::service {

using namespace store::test;

namespace {

struct World {
    TempDir dir;
    std::unique_ptr<store::SystemStore> system = must(store::SystemStore::open(dir.path));
    AccountId ann = id_of<AccountId>(1), ben = id_of<AccountId>(2);
    Directory directory;
    AddressRules rules{{"example.test", "other.test"}, "+", ""};

    World() {
        must(system->add_user({ann, "ann", t0}, {"ann@example.test"}));
        must(system->add_user({ben, "ben", t0}, {"ben@example.test", "b+x@example.test"}));
        must(directory.reload(*system));
    }
    void alias(const char* address, const std::vector<std::string>& targets) {
        must(system->add_alias(address, targets));
        must(directory.reload(*system));
    }
    // "ann ben bob@elsewhere.test", or "-"
    std::string to(const char* address) {
        auto path = std::string_view(address).contains('@') ? must(smtp::parse_address(address))
                                                            : smtp::Path{address, ""};
        auto reached = reach(directory, rules, path);
        if (!reached) return "-";
        std::string out;
        for (auto user : reached->users) out += directory.find(user)->user.name + " ";
        for (const auto& outside : reached->outside) out += outside + " ";
        if (!out.empty()) out.pop_back();
        return out;
    }
    bool may(AccountId user, const char* address) {
        return may_send_as(directory, rules, user, must(smtp::parse_address(address)));
    }
};

}  // namespace

TEST_CASE("addresses lead to users, with and without a plus, and elsewhere") {
    World w;
    CHECK(w.to("Ann@Example.test") == "ann");
    CHECK(w.to("ann+lists@example.test") == "ann");
    CHECK(w.to("b+x@example.test") == "ben");
    CHECK(w.to("b@example.test") == "-");
    CHECK(w.to("+lists@example.test") == "-");
    CHECK(w.to("nobody@other.test") == "-");
    CHECK(w.to("ann@elsewhere.test") == "ann@elsewhere.test");
    w.rules.separator.clear();
    CHECK(w.to("ann+lists@example.test") == "-");
}

TEST_CASE("aliases lead on, through each other, and end in a circle") {
    World w;
    w.alias("info@example.test", {"ann@example.test", "team@example.test", "gone@example.test"});
    w.alias("team@example.test", {"ben@example.test", "bob@elsewhere.test", "info@example.test"});
    CHECK(w.to("INFO@example.test") == "ann ben bob@elsewhere.test");
    CHECK(w.to("team+x@example.test") == "ben ann bob@elsewhere.test");
    w.alias("loop@example.test", {"loop@example.test"});
    CHECK(w.to("loop@example.test") == "-");
    w.alias("dead@example.test", {"gone@example.test"});
    CHECK(w.to("dead@example.test") == "-");
    CHECK(w.may(w.ann, "info@example.test"));
    CHECK(w.may(w.ann, "ann+x@example.test"));
    CHECK_FALSE(w.may(w.ann, "ben@example.test"));
    CHECK_FALSE(w.may(w.ann, "ann@elsewhere.test"));
    must(w.system->remove_alias("INFO@example.test", {"ann@example.test"}));
    must(w.directory.reload(*w.system));
    CHECK(w.to("info@example.test") == "ben bob@elsewhere.test");
    must(w.system->remove_alias("info@example.test"));
    CHECK_FALSE(w.system->remove_alias("info@example.test"));
    CHECK_FALSE(w.system->add_alias("ann@example.test", {"ben@example.test"}));
    CHECK_FALSE(w.system->add_address(w.ann, "team@example.test"));
    CHECK(must(w.system->check({})).empty());
}

TEST_CASE("a chain of aliases is as long as it may be, and a tree of them as wide") {
    World w;
    for (int i = 0; i < 20; ++i)
        w.alias(("a" + std::to_string(i) + "@example.test").c_str(),
                {i == 0 ? "ann@example.test" : "a" + std::to_string(i - 1) + "@example.test"});
    CHECK(w.to("a8@example.test") == "ann");
    CHECK(w.to("a15@example.test") == "-");
    std::vector<std::string> many;
    for (int i = 0; i < 1000; ++i) many.push_back("x" + std::to_string(i) + "@elsewhere.test");
    w.alias("all@example.test", many);
    CHECK(must(reach(w.directory, w.rules, must(smtp::parse_address("all@example.test")))).outside.size() ==
          most_reached);
}

TEST_CASE("postmaster is always reached, a catch-all takes the rest") {
    World w;
    for (const char* address : {"postmaster", "PostMaster@example.test", "postmaster@other.test"})
        CHECK(w.to(address) == "ann");
    w.rules.postmaster = "ben";
    CHECK(w.to("postmaster@example.test") == "ben");
    w.rules.postmaster = "admin@elsewhere.test";
    CHECK(w.to("postmaster@example.test") == "admin@elsewhere.test");
    CHECK_FALSE(w.may(w.ann, "postmaster@example.test"));
    w.alias("postmaster@example.test", {"ben@example.test"});
    CHECK(w.to("postmaster@example.test") == "ben");
    CHECK(w.to("postmaster") == "ben");
    CHECK(w.may(w.ben, "postmaster@example.test"));
    CHECK(w.to("postmaster@elsewhere.test") == "postmaster@elsewhere.test");

    w.alias("@other.test", {"ann@example.test"});
    CHECK(w.to("whoever@other.test") == "ann");
    CHECK(w.to("postmaster@other.test") == "admin@elsewhere.test");
    CHECK(w.to("whoever@example.test") == "-");
    CHECK_FALSE(w.may(w.ann, "whoever@other.test"));
}

}  // namespace fwmail::service
