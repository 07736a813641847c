// accounts/<hex>.search.db: which messages of an account may contain a text. Kept beside the account's file,
// never in one transaction with it, and always allowed to be behind, missing or of another time: a row counts
// only for the body whose ObjectId it has, and bodies never change.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/system_store.hpp"
#include "store/types.hpp"

namespace fwmail::store {

// A message as the index knows it: `id` is Message::storage_id.
struct SearchDoc {
    std::int64_t id = 0;
    ObjectId object;
    std::optional<std::int64_t> day;  // of the Date field
    std::optional<std::string> text;  // folded, with what parts it; absent: not kept, the body must be asked
    std::size_t head = 0;             // so much of the front of `text` can be read by itself
};
// Up to which message the index had come. Of another epoch nothing is known.
struct SearchMark {
    std::string epoch;
    std::int64_t last = 0;
};

class SearchStore {
  public:
    // Read-write makes the file; one that is damaged, or was written by other rules, is replaced.
    static Result<std::unique_ptr<SearchStore>> open(const std::filesystem::path& data_dir, AccountId account,
                                                     Access access = Access::read_write);
    static std::filesystem::path path_of(const std::filesystem::path& data_dir, AccountId account);
    ~SearchStore();

    Result<SearchMark> mark();
    Result<std::uint64_t> count();
    // One that is there already is replaced. `last`: everything up to there is in now, or is gone.
    Result<void> add(const std::vector<SearchDoc>& docs, std::int64_t last);
    // Of the ids in (after, up_to], takes out those that are not in `present` (ascending), at most `limit` of
    // them; returns how many.
    Result<std::size_t> keep_only(std::int64_t after, std::int64_t up_to,
                                  const std::vector<std::pair<std::int64_t, ObjectId>>& present,
                                  std::size_t limit);
    Result<void> clear();

    // Ids of all whole docs that contain the folded text, and perhaps of some that do not; ascending. Absent:
    // the index cannot tell them.
    Result<std::optional<std::vector<std::int64_t>>> candidates(std::string_view folded_needle);
    struct Known {
        std::int64_t id = 0;
        ObjectId object;
        bool whole = false;
        std::optional<std::int64_t> day;
    };
    // What is there with ids from `first` to `last`, ascending.
    Result<std::vector<Known>> find_between(std::int64_t first, std::int64_t last);
    // Of a whole doc.
    Result<std::string> text(std::int64_t id);
    Result<std::string> head(std::int64_t id);

    // One sentence a problem.
    Result<std::vector<std::string>> check();

    Database& database() { return *db_; }  // the executor's

  private:
    explicit SearchStore(std::unique_ptr<Database> db);
    static Result<std::unique_ptr<SearchStore>> open_once(const std::filesystem::path& path, Access access);
    Result<void> remove(std::int64_t id);
    std::unique_ptr<Database> db_;
};

}  // namespace fwmail::store
