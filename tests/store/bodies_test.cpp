// Bodies: chunks, compression, references, garbage.
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

std::string text_of(std::size_t size) {
    std::string out;
    for (std::size_t i = 0; out.size() < size; ++i) out += "line " + std::to_string(i) + " of a mail\r\n";
    out.resize(size);
    return out;
}

std::uintmax_t file_size(SystemStore& store, const TempDir& dir) {
    (void)store;
    return std::filesystem::file_size(dir.path / "system.db") +
           std::filesystem::file_size(dir.path / "system.db-wal");
}

void check(SystemStore& store, const std::vector<AccountReferences>& accounts = {}) {
    auto problems = must(store.check(accounts));
    CAPTURE(problems);
    CHECK(problems.empty());
}

}  // namespace

TEST_CASE("bodies of every size around the chunk size come back whole and in pieces") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    std::uint64_t n = 0;
    for (std::size_t size : {0ul, 1ul, 2ul, 9ul, 10ul, 11ul, 4096ul, chunk_size - 1, chunk_size,
                             chunk_size + 1, 2 * chunk_size, 3 * chunk_size + 17}) {
        for (bool compressible : {true, false}) {
            CAPTURE(size, compressible);
            std::string octets = compressible ? text_of(size) : random_octets(size);
            auto id = id_of<ObjectId>(++n);
            must(store->put_object(id, octets, t0));
            CHECK(must(store->read_object(id, 0, size + 100)) == octets);
            CHECK(must(store->read_object(id, size, 10)).empty());
            CHECK(must(store->read_object(id, size / 2, ~0ull)) == octets.substr(size / 2));
            if (size > chunk_size)
                CHECK(must(store->read_object(id, chunk_size - 3, 6)) == octets.substr(chunk_size - 3, 6));
            // Under the same id nothing changes any more.
            must(store->put_object(id, "other", t0));
            CHECK(must(store->read_object(id, 0, size)) == octets);
            CHECK(!must(store->begin_object(id, t0)));
        }
    }
    check(*store);
}

TEST_CASE("a body of 100 MB is streamed") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    auto id = id_of<ObjectId>(1);
    constexpr std::uint32_t chunks = 400;
    std::string chunk = text_of(chunk_size);
    REQUIRE(must(store->begin_object(id, t0)));
    for (std::uint32_t i = 0; i < chunks; ++i) {
        chunk.replace(0, 4, {static_cast<char>(i), static_cast<char>(i >> 8), 'x', 'y'});
        must(store->append_chunk(id, i, chunk));
        if (i % 100 == 7) must(store->append_chunk(id, i, chunk));  // came twice
    }
    must(store->finish_object(id, std::uint64_t{chunks} * chunk_size));
    CHECK(file_size(*store, dir) < 80'000'000);  // compressed
    for (std::uint32_t i : {0u, 1u, 257u, 399u}) {
        auto part = must(store->read_object(id, std::uint64_t{i} * chunk_size, 4));
        CHECK(part == std::string({static_cast<char>(i), static_cast<char>(i >> 8), 'x', 'y'}));
    }
    CHECK(must(store->find_object(id))->size == 104'857'600);
    must(store->add_reference(id, {id_of<AccountId>(1), id_of<HoldId>(1)}));
    must(store->release_reference(id, {id_of<AccountId>(1), id_of<HoldId>(1)}));
    CHECK(!must(store->find_object(id)));
    check(*store);
}

TEST_CASE("a body that is written wrongly is not readable") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    auto id = id_of<ObjectId>(1);
    CHECK(!store->append_chunk(id, 0, "x"));
    must(store->begin_object(id, t0));
    CHECK(!store->append_chunk(id, 1, "x"));
    CHECK(!store->append_chunk(id, 0, std::string(chunk_size + 1, 'x')));
    must(store->append_chunk(id, 0, "short"));
    CHECK(!store->append_chunk(id, 1, "x"));
    CHECK(!store->finish_object(id, 6));
    CHECK(error_of(store->read_object(id, 0, 5)) == ErrorKind::internal);
    CHECK(!store->add_reference(id, {}));
    // Begun again, from the start.
    must(store->begin_object(id, t0));
    must(store->append_chunk(id, 0, "other"));
    must(store->finish_object(id, 5));
    CHECK(must(store->read_object(id, 0, 5)) == "other");
    check(*store);
}

TEST_CASE("a body lives as long as one hold on it, however often holds are taken and released") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    auto id = id_of<ObjectId>(1);
    auto account = id_of<AccountId>(1);
    auto a = id_of<HoldId>(1), b = id_of<HoldId>(2);
    must(store->put_object(id, "octets", t0));
    must(store->add_references(account, {{id, a}, {id, b}, {id, a}}));
    CHECK(must(store->find_object(id))->references == 2);
    must(store->release_references(account, {{id, a}, {id, a}}));
    CHECK(must(store->find_object(id))->references == 1);
    CHECK(must(store->object_complete(id)));
    CHECK(!must(store->object_complete(id_of<ObjectId>(2))));
    must(store->release_reference(id, {account, b}));
    CHECK(!must(store->find_object(id)));
    must(store->release_reference(id, {account, b}));
}

TEST_CASE("garbage is collected, and references that a crash left behind") {
    TempDir dir;
    auto store = must(SystemStore::open(dir.path));
    auto account = id_of<AccountId>(1);
    auto kept = id_of<ObjectId>(1), loose = id_of<ObjectId>(2), young = id_of<ObjectId>(3),
         begun = id_of<ObjectId>(4);
    must(store->put_object(kept, "kept", t0));
    must(store->add_reference(kept, {account, id_of<HoldId>(1)}));
    must(store->put_object(loose, "loose", t0));
    must(store->put_object(young, "young", at(100)));
    must(store->begin_object(begun, t0));
    must(store->append_chunk(begun, 0, "never finished"));
    store::GarbageAge age{at(50), at(-1)};
    auto found = must(store->find_garbage(age));
    CHECK(found.size() == 2);
    // Held meanwhile.
    must(store->add_reference(loose, {account, id_of<HoldId>(7)}));
    CHECK(must(store->delete_garbage(found, age)) == 1);
    must(store->release_reference(loose, {account, id_of<HoldId>(7)}));
    CHECK(must(store->find_object(kept)));
    CHECK(must(store->find_object(young)));
    CHECK(!must(store->find_object(begun)));

    must(store->add_reference(young, {account, id_of<HoldId>(9)}));
    auto problems = must(store->check({{account, {{kept, id_of<HoldId>(1)}}, {}}}));
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].find(young.hex()) != std::string::npos);
    CHECK(must(store->reconcile_references(account, {{kept, id_of<HoldId>(1)}})) == 1);
    CHECK(!must(store->find_object(young)));
    check(*store, {{account, {{kept, id_of<HoldId>(1)}}, {}}});
    // The other way round: the account names what it does not hold.
    CHECK(must(store->check({{account, {{kept, id_of<HoldId>(1)}, {kept, id_of<HoldId>(2)}}, {}}})).size() ==
          1);
    // What is being released may be held or not.
    check(*store, {{account, {{kept, id_of<HoldId>(1)}}, {{loose, id_of<HoldId>(3)}}}});
    check(*store, {{account, {}, {{kept, id_of<HoldId>(1)}}}});
}
