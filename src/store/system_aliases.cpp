// Aliases: addresses that stand for others.
#include "store/database.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {

Result<void> SystemStore::add_alias(std::string_view address, const std::vector<std::string>& targets) {
    return atomically(*db_, [&]() -> Result<void> {
        if (TRY(find_user_by_address(address)))
            return fail(ErrorKind::refused, std::string(address) + " is the address of a user already");
        for (const auto& target : targets)
            TRY(db_->run("INSERT OR IGNORE INTO aliases VALUES(?,?)", address, target));
        return {};
    });
}

Result<void> SystemStore::remove_alias(std::string_view address, const std::vector<std::string>& targets) {
    return atomically(*db_, [&]() -> Result<void> {
        int removed = 0;
        if (targets.empty()) {
            TRY(db_->run("DELETE FROM aliases WHERE address=?", address));
            removed += static_cast<int>(db_->changes());
        }
        for (const auto& target : targets) {
            TRY(db_->run("DELETE FROM aliases WHERE address=? AND target=?", address, target));
            removed += static_cast<int>(db_->changes());
        }
        if (removed == 0)
            return fail(ErrorKind::refused, "there is no such alias: fwmail alias list shows them");
        return {};
    });
}

Result<std::vector<Alias>> SystemStore::load_aliases() {
    auto q = TRY(db_->query("SELECT address,target FROM aliases ORDER BY address,target"));
    std::vector<Alias> aliases;
    while (TRY(q.next())) {
        if (aliases.empty() || aliases.back().address != q.text(0)) aliases.push_back({q.text(0), {}});
        aliases.back().targets.push_back(q.text(1));
    }
    return aliases;
}

}  // namespace fwmail::store
