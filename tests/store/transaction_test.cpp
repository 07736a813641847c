// Transactions in transactions.
#include "store/database.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

struct Settings {
    TempDir dir;
    std::unique_ptr<SystemStore> store = must(SystemStore::open(dir.path));
    Database& db = store->database();

    Result<void> fails(const std::string& name) {
        return atomically(db, [&]() -> Result<void> {
            TRY(store->set_setting(name, "x"));
            return fail(ErrorKind::refused, "on purpose");
        });
    }
    bool has(const std::string& name) { return must(store->setting(name)).has_value(); }
};

}  // namespace

TEST_CASE("a part that fails takes the whole transaction with it, whoever passes over its error") {
    Settings settings;
    auto whole = atomically(settings.db, [&]() -> Result<void> {
        TRY(settings.store->set_setting("before", "x"));
        CHECK_FALSE(settings.fails("part"));
        return settings.store->set_setting("behind", "x");
    });
    CHECK(error_of(whole) == ErrorKind::internal);
    CHECK_FALSE(settings.db.in_transaction());
    for (const char* name : {"before", "part", "behind"}) CHECK_FALSE(settings.has(name));
    must(atomically(settings.db, [&] { return settings.store->set_setting("later", "x"); }));
    CHECK(settings.has("later"));
}

TEST_CASE("a part in a part that fails takes both with it") {
    Settings settings;
    auto whole = atomically(settings.db, [&]() -> Result<void> {
        return atomically(settings.db, [&]() -> Result<void> {
            CHECK_FALSE(settings.fails("part"));
            return settings.store->set_setting("behind", "x");
        });
    });
    CHECK(error_of(whole) == ErrorKind::internal);
    CHECK_FALSE(settings.has("behind"));
}

TEST_CASE("a step that fails is undone alone, with what is part of it") {
    Settings settings;
    must(atomically(settings.db, [&]() -> Result<void> {
        TRY(settings.store->set_setting("before", "x"));
        {
            auto step = TRY(Transaction::begin_step(settings.db));
            TRY(settings.store->set_setting("step", "x"));
            CHECK_FALSE(settings.fails("part"));
            CHECK(error_of(step.commit()) == ErrorKind::internal);
        }
        {
            auto step = TRY(Transaction::begin_step(settings.db));
            TRY(settings.store->set_setting("kept", "x"));
            TRY(step.commit());
        }
        return settings.store->set_setting("behind", "x");
    }));
    for (const char* name : {"before", "kept", "behind"}) CHECK(settings.has(name));
    for (const char* name : {"step", "part"}) CHECK_FALSE(settings.has(name));
}

TEST_CASE("what one reads is undone without a trace for the next") {
    Settings settings;
    {
        auto reading = must(Transaction::begin_reading(settings.db));
        CHECK_FALSE(settings.fails("part"));
    }
    CHECK_FALSE(settings.db.in_transaction());
    auto again = must(Transaction::begin_reading(settings.db));
    must(atomically(settings.db, [&]() -> Result<void> { return {}; }));
}
