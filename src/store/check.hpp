// Collects what a check finds. Private to store.
#pragma once

#include <string>
#include <vector>

#include "store/database.hpp"

namespace fwmail::store {

class Problems {
  public:
    void add(std::string text) {
        if (list_.size() < most)
            list_.push_back(std::move(text));
        else if (list_.size() == most)
            list_.push_back("and more");
    }
    // One problem a row: `text` and the row's first column.
    Result<void> each(Database& db, std::string_view sql, std::string_view text) {
        auto q = TRY(db.query(sql));
        while (TRY(q.next())) add(std::string(text) + q.text(0));
        return {};
    }
    // SQLite's own checks.
    Result<void> integrity(Database& db) {
        auto q = TRY(db.query("PRAGMA integrity_check"));
        while (TRY(q.next()))
            if (q.view(0) != "ok") add("integrity: " + q.text(0));
        return each(db, "PRAGMA foreign_key_check", "a row refers to nothing in table ");
    }
    std::vector<std::string> take() { return std::move(list_); }

  private:
    static constexpr std::size_t most = 200;
    std::vector<std::string> list_;
};

}  // namespace fwmail::store
