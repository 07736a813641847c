#include "store/database.hpp"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "base/hooks.hpp"

namespace fwmail::store {

Query::~Query() {
    if (!stmt_) return;
    if (!busy_) {
        sqlite3_finalize(stmt_);
        return;
    }
    sqlite3_reset(stmt_);
    sqlite3_clear_bindings(stmt_);
    *busy_ = false;
}

Result<bool> Query::next() {
    int code = sqlite3_step(stmt_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return db_->error(code);
}

Result<void> Query::finish() {
    while (TRY(next())) {
    }
    return {};
}

std::unexpected<Error> Database::error(int code) {
    int system_errno = sqlite3_system_errno(db_);
    int extended = sqlite3_extended_errcode(db_);
    std::string name = path_.filename().string();
    switch (code & 0xff) {
        case SQLITE_FULL:
            return fail(ErrorKind::temporary, "the disk is full, writing " + name + ": free some space");
        case SQLITE_IOERR:
            if (system_errno == ENOSPC || system_errno == EDQUOT)
                return fail(ErrorKind::temporary, "the disk is full, writing " + name + ": free some space");
            return fail(ErrorKind::temporary,
                        "reading or writing " + name +
                            " failed: " + (system_errno ? strerror(system_errno) : sqlite3_errmsg(db_)));
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return fail(ErrorKind::temporary, name + " is locked by another process");
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return fail(ErrorKind::internal,
                        name + " is damaged (" + sqlite3_errmsg(db_) + "): restore it from a backup");
        case SQLITE_CONSTRAINT:
            if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
                return fail(ErrorKind::refused,
                            std::string("it exists already (") + sqlite3_errmsg(db_) + ")");
            break;
    }
    return fail(ErrorKind::internal,
                name + ": " + sqlite3_errmsg(db_) + " (SQLite error " + std::to_string(extended) + ")");
}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path, Access access,
                                                 const Schema& schema) {
    if (access == Access::read_write) {
        // SQLite would make it by the umask; its -wal and -shm files take over this mode. One that is there
        // is not touched: closing any descriptor of it drops the process's locks (fcntl(2)).
        int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return fail(ErrorKind::internal, "opening " + path.string() + " failed: " + strerror(errno));
        if (fd >= 0) ::close(fd);
    }
    sqlite3* handle = nullptr;
    int flags =
        (access == Access::read_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    if (!handle) throw std::bad_alloc();
    std::unique_ptr<Database> db(new Database(handle, path));
    if (code != SQLITE_OK) return db->error(code);
    sqlite3_extended_result_codes(handle, 0);
    TRY(db->configure(access));
    if (schema.prepare) TRY(schema.prepare(*db));
    TRY(db->migrate(access, schema));
    return db;
}

Database::~Database() {
    for (auto& [sql, cached] : statements_) sqlite3_finalize(cached.stmt);
    sqlite3_close_v2(db_);
}

Result<void> Database::configure(Access access) {
    sqlite3_busy_timeout(db_, 10'000);
    // Temporary tables in memory: there may be no /tmp to write to.
    TRY(
        execute("PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON; PRAGMA mmap_size=67108864; "
                "PRAGMA cache_size=-4096; PRAGMA trusted_schema=OFF"));
    if (access == Access::read_only) return {};
    TRY(execute("PRAGMA page_size=4096"));
    {
        // Where it cannot be had the old mode is the answer, and no error (sqlite.org/wal.html).
        auto q = TRY(query("PRAGMA journal_mode=WAL"));
        if (!TRY(q.next()) || q.view(0) != "wal")
            return fail(ErrorKind::usage, path_.string() +
                                              ": this file system cannot share memory between "
                                              "connections (SQLite's WAL mode): put data-dir on a local one");
    }
    return execute("PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864");
}

Result<void> Database::migrate(Access access, const Schema& schema) {
    auto version = [&]() -> Result<int> {
        auto q = TRY(query("PRAGMA user_version"));
        TRY(q.next());
        return static_cast<int>(q.integer(0));
    };
    int found = TRY(version());
    if (found > schema.count)
        return fail(ErrorKind::usage, path_.filename().string() + " has schema version " +
                                          std::to_string(found) + ", this program knows " +
                                          std::to_string(schema.count) + ": run a newer fwmail");
    if (found < schema.count && access == Access::read_only)
        return fail(ErrorKind::temporary, path_.filename().string() + " has not been migrated yet");
    for (int i = found; i < schema.count; ++i) {
        auto transaction = TRY(Transaction::begin(*this));
        TRY(execute(schema.migrations[i]));
        TRY(execute(("PRAGMA user_version=" + std::to_string(i + 1)).c_str()));
        TRY(transaction.commit());
    }
    return {};
}

Result<void> Database::execute(const char* script) {
    int code = sqlite3_exec(db_, script, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return error(code);
    return {};
}

Result<Query> Database::prepare(std::string_view sql) {
    auto it = statements_.find(sql);
    if (it != statements_.end() && !it->second.busy) {
        it->second.busy = true;
        return Query(this, it->second.stmt, &it->second.busy);
    }
    sqlite3_stmt* stmt = nullptr;
    int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                  &stmt, nullptr);
    if (code != SQLITE_OK) return error(code);
    if (it != statements_.end()) return Query(this, stmt, nullptr);  // the cached one is at work further up
    auto& cached = statements_.emplace(std::string(sql), Cached{stmt, true}).first->second;
    return Query(this, cached.stmt, &cached.busy);
}

Result<Transaction> Transaction::begin(Database& db, Level within) {
    Level level = db.in_transaction() ? within : Level::whole;
    if (level == Level::whole) {
        TRY(db.run("BEGIN IMMEDIATE"));
        db.part_failed_ = false;
    } else if (level == Level::step) {
        TRY(db.run("SAVEPOINT step"));
    }
    return Transaction(&db, level);
}

Result<Transaction> Transaction::begin(Database& db) { return begin(db, Level::part); }
Result<Transaction> Transaction::begin_step(Database& db) { return begin(db, Level::step); }

Result<Transaction> Transaction::begin_reading(Database& db) {
    TRY(db.run("BEGIN"));
    db.part_failed_ = false;
    return Transaction(&db, Level::whole);
}

void Transaction::undo() {
    Database& db = *std::exchange(db_, nullptr);
    db.part_failed_ = level_ == Level::part;
    // Some errors (no space, I/O) make SQLite roll back by itself; then there is nothing left to undo.
    if (!db.in_transaction()) return;
    if (level_ == Level::whole)
        (void)db.run("ROLLBACK");
    else if (level_ == Level::step && db.run("ROLLBACK TO step"))
        (void)db.run("RELEASE step");
}

Transaction::~Transaction() {
    if (db_) undo();
}

Result<void> Transaction::commit() {
    Result<void> done;
    if (db_->part_failed_)
        done = fail(ErrorKind::internal, "a part of the transaction has failed, and nobody has said so");
    else if (level_ == Level::whole)
        crash_point("store.before-commit");
    if (done && level_ != Level::part) done = db_->run(level_ == Level::whole ? "COMMIT" : "RELEASE step");
    if (!done) {
        undo();
        return done;
    }
    if (level_ == Level::whole) crash_point("store.after-commit");
    db_ = nullptr;
    return done;
}

}  // namespace fwmail::store
