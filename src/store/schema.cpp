// The schemas and their migrations, compiled in. A released migration is never changed: add the next one.
#include "store/database.hpp"
#include "store/grams.hpp"

namespace fwmail::store {
namespace {

constexpr const char* system_migrations[] = {
#include "store/schema_system.sql"
};
constexpr const char* account_migrations[] = {
#include "store/schema_account.sql"
};
constexpr const char* search_migrations[] = {
#include "store/schema_search.sql"
};

}  // namespace

const Schema& system_schema() {
    static constexpr Schema schema{system_migrations, std::size(system_migrations)};
    return schema;
}
const Schema& account_schema() {
    static constexpr Schema schema{account_migrations, std::size(account_migrations)};
    return schema;
}
const Schema& search_schema() {
    static constexpr Schema schema{search_migrations, std::size(search_migrations), register_grams};
    return schema;
}

}  // namespace fwmail::store
