// A thin hand on one SQLite connection: cached statements, typed binding, errors as values. Private to store.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {

// Bound as BLOB, where a plain string is bound as TEXT.
struct Blob {
    std::string_view octets;
};

class Database;

// One run of a prepared statement, which goes back to the cache at the end.
class Query {
  public:
    Query(Database* db, sqlite3_stmt* stmt, bool* busy) : db_(db), stmt_(stmt), busy_(busy) {}
    Query(Query&& other) noexcept : db_(other.db_), stmt_(other.stmt_), busy_(other.busy_) {
        other.stmt_ = nullptr;
    }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    ~Query();

    Result<bool> next();  // true: a row is there
    Result<void> finish();

    bool null(int column) const { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }
    std::int64_t integer(int column) const { return sqlite3_column_int64(stmt_, column); }
    std::uint64_t natural(int column) const { return static_cast<std::uint64_t>(integer(column)); }
    std::uint32_t natural32(int column) const { return static_cast<std::uint32_t>(integer(column)); }
    bool boolean(int column) const { return integer(column) != 0; }
    // Text or blob; good until the next step.
    std::string_view view(int column) const {
        const void* data = sqlite3_column_blob(stmt_, column);
        auto size = static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column));
        return data ? std::string_view(static_cast<const char*>(data), size) : std::string_view();
    }
    std::string text(int column) const { return std::string(view(column)); }
    template <class Id>
    Id id(int column) const {
        return Id::from_octets(view(column)).value_or(Id{});
    }
    UnixMillis time(int column) const { return UnixMillis{integer(column)}; }
    std::optional<std::uint64_t> optional_natural(int column) const {
        return null(column) ? std::nullopt : std::optional(natural(column));
    }
    std::optional<UnixMillis> optional_time(int column) const {
        return null(column) ? std::nullopt : std::optional(time(column));
    }
    Uid uid(int column) const { return Uid{natural32(column)}; }
    ModSeq modseq(int column) const { return ModSeq{natural(column)}; }
    template <class Enum>
    Enum enumerator(int column) const {
        return static_cast<Enum>(integer(column));
    }

    // Copies of text are made when `keep` is set; else it must live until the last step.
    template <class T>
    void bind(int index, const T& value, bool keep) {
        if constexpr (std::is_same_v<T, std::nullopt_t>)
            sqlite3_bind_null(stmt_, index);
        else if constexpr (std::is_same_v<T, Blob>)
            bind_blob(index, value.octets, keep);
        else if constexpr (std::is_integral_v<T>)
            sqlite3_bind_int64(stmt_, index, static_cast<std::int64_t>(value));
        else if constexpr (std::is_enum_v<T>)
            sqlite3_bind_int64(stmt_, index, static_cast<std::int64_t>(value));
        else if constexpr (std::is_convertible_v<T, std::string_view>)
            bind_text(index, value, keep);
        else if constexpr (requires { value.octets(); })
            bind_blob(index, value.octets(), keep);
        else if constexpr (requires { value.has_value(); }) {
            if (value)
                bind(index, *value, keep);
            else
                sqlite3_bind_null(stmt_, index);
        } else
            sqlite3_bind_int64(stmt_, index, static_cast<std::int64_t>(value.value));
    }

  private:
    void bind_text(int index, std::string_view value, bool keep) {
        sqlite3_bind_text64(stmt_, index, value.data() ? value.data() : "", value.size(),
                            keep ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8);
    }
    void bind_blob(int index, std::string_view value, bool keep) {
        if (value.empty())
            sqlite3_bind_zeroblob(stmt_, index, 0);
        else
            sqlite3_bind_blob64(stmt_, index, value.data(), value.size(),
                                keep ? SQLITE_TRANSIENT : SQLITE_STATIC);
    }

    Database* db_;
    sqlite3_stmt* stmt_;
    bool* busy_;  // of the cache's entry; null: the statement is ours alone
};

// What a schema is made of: migrations[i] leads from user_version i to i + 1.
struct Schema {
    const char* const* migrations;
    int count;
    Result<void> (*prepare)(Database&) = nullptr;  // what every connection must know first
};
const Schema& system_schema();
const Schema& account_schema();
const Schema& search_schema();

class Database {
  public:
    // Read-write makes the file (0600), sets WAL and synchronous=FULL, and migrates.
    static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path, Access access,
                                                  const Schema& schema);
    ~Database();

    // `sql` names a cached statement. The arguments are copied.
    template <class... Args>
    Result<Query> query(std::string_view sql, const Args&... args) {
        auto q = TRY(prepare(sql));
        int index = 0;
        (q.bind(++index, args, true), ...);
        return q;
    }
    // A statement without rows, run to its end.
    template <class... Args>
    Result<void> run(std::string_view sql, const Args&... args) {
        auto q = TRY(prepare(sql));
        int index = 0;
        (q.bind(++index, args, false), ...);
        return q.finish();
    }
    Result<void> execute(const char* script);  // several statements, not cached
    std::size_t changes() const { return static_cast<std::size_t>(sqlite3_changes64(db_)); }
    std::int64_t last_rowid() const { return sqlite3_last_insert_rowid(db_); }
    bool in_transaction() const { return !sqlite3_get_autocommit(db_); }
    sqlite3* handle() { return db_; }
    // The error of the last call that failed, as a value.
    std::unexpected<Error> error(int code);

  private:
    friend class Query;
    friend class Transaction;
    Database(sqlite3* db, std::filesystem::path path) : db_(db), path_(std::move(path)) {}
    Result<Query> prepare(std::string_view sql);
    Result<void> configure(Access access);
    Result<void> migrate(Access access, const Schema& schema);

    struct Cached {
        sqlite3_stmt* stmt = nullptr;
        bool busy = false;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    sqlite3* db_;
    bool part_failed_ = false;  // of the transaction that is open
    std::filesystem::path path_;
    std::unordered_map<std::string, Cached, Hash, std::equal_to<>> statements_;
};

// All or nothing; undone unless committed. Where a transaction is open already this is a part of it: when it
// is undone, the whole cannot be committed any more. (A savepoint could be undone alone. But SQLite keeps
// each page that is changed in one, and walks what it keeps after every statement: the time of a long
// transaction would grow with its square.)
class Transaction {
  public:
    static Result<Transaction> begin(Database& db);
    // Where one is open already this is undone alone: a savepoint.
    static Result<Transaction> begin_step(Database& db);
    // Sees one state of the file, and is not committed. None is open.
    static Result<Transaction> begin_reading(Database& db);
    Transaction(Transaction&& other) noexcept : db_(other.db_), level_(other.level_) { other.db_ = nullptr; }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    Result<void> commit();

  private:
    enum class Level { whole, step, part };
    Transaction(Database* db, Level level) : db_(db), level_(level) {}
    static Result<Transaction> begin(Database& db, Level within);
    void undo();
    Database* db_;
    Level level_;
};

// Runs `work` as one transaction, or as a part of the one that is open; its failure undoes that.
template <class Work>
auto atomically(Database& db, Work work) -> decltype(work()) {
    auto transaction = TRY(Transaction::begin(db));
    auto result = work();
    if (!result) return result;
    TRY(transaction.commit());
    return result;
}

}  // namespace fwmail::store
