// Every input of tests/fuzz/corpus once more: what campaigns of fuzzing have found stays found.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "fuzz/fuzz.hpp"
#include "support/source_dir.hpp"

using namespace fwmail::fuzz;

TEST_CASE("every input that is kept holds all properties") {
    std::filesystem::path corpus = fwmail::test::source_dir() + "/tests/fuzz/corpus";
    REQUIRE(targets().size() >= 11);
    for (const auto& [name, target] : targets()) {
        std::size_t inputs = 0;
        for (const auto& entry : std::filesystem::directory_iterator(corpus / name)) {
            std::ifstream file(entry.path(), std::ios::binary);
            std::string octets{std::istreambuf_iterator<char>(file), {}};
            INFO(entry.path());
            REQUIRE_NOTHROW(
                target(Input(reinterpret_cast<const std::uint8_t*>(octets.data()), octets.size())));
            ++inputs;
        }
        INFO(name);
        CHECK(inputs > 5);
    }
}

TEST_CASE("a property that does not hold is thrown, with its place") {
    CHECK_THROWS_WITH(require(1 == 2, "one is two"), Catch::StartsWith("replay_test.cpp:"));
}
