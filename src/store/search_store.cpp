#include "store/search_store.hpp"

#include <algorithm>

#include "base/compress.hpp"
#include "base/hooks.hpp"
#include "base/random.hpp"
#include "store/database.hpp"
#include "store/grams.hpp"

namespace fwmail::store {
namespace {

// Raise it when texts are read, folded or cut otherwise than before.
constexpr int rules = 2;
constexpr std::size_t largest_text = 32 << 20;

std::string new_epoch() {
    HoldId random;
    fill_random(random.bytes);
    return std::string(random.octets());
}

Result<std::string> unpacked(std::string_view stored) {
    auto text = zstd_decompress(stored, largest_text);
    if (!text) return fail(ErrorKind::internal, "the search index has a damaged text");
    return text;
}

}  // namespace

SearchStore::SearchStore(std::unique_ptr<Database> db) : db_(std::move(db)) {}
SearchStore::~SearchStore() = default;

std::filesystem::path SearchStore::path_of(const std::filesystem::path& data_dir, AccountId account) {
    return data_dir / "accounts" / (account.hex() + ".search.db");
}

Result<std::unique_ptr<SearchStore>> SearchStore::open_once(const std::filesystem::path& path,
                                                            Access access) {
    auto db = TRY(Database::open(path, access, search_schema()));
    // What the last commits before a loss of power said can be read from the mail again.
    if (access == Access::read_write) {
        TRY(db->execute("PRAGMA synchronous=NORMAL"));
        TRY(db->run("INSERT OR IGNORE INTO meta VALUES(1,?,?,0)", rules, Blob{new_epoch()}));
    }
    {
        auto q = TRY(db->query("SELECT rules FROM meta"));
        if (!TRY(q.next()) || q.integer(0) != rules)
            return fail(ErrorKind::internal, path.filename().string() + " was written by other rules");
    }
    return std::unique_ptr<SearchStore>(new SearchStore(std::move(db)));
}

Result<std::unique_ptr<SearchStore>> SearchStore::open(const std::filesystem::path& data_dir,
                                                       AccountId account, Access access) {
    auto path = path_of(data_dir, account);
    auto store = open_once(path, access);
    if (store || access == Access::read_only || store.error().kind == ErrorKind::temporary) return store;
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::error_code ignored;
        std::filesystem::remove(path.string() + suffix, ignored);
    }
    return open_once(path, access);
}

Result<SearchMark> SearchStore::mark() {
    auto q = TRY(db_->query("SELECT epoch,last FROM meta"));
    TRY(q.next());
    return SearchMark{q.text(0), q.integer(1)};
}

Result<std::uint64_t> SearchStore::count() {
    auto q = TRY(db_->query("SELECT count(*) FROM docs"));
    TRY(q.next());
    return q.natural(0);
}

Result<void> SearchStore::remove(std::int64_t id) {
    bool whole = false;
    {
        auto q = TRY(db_->query("SELECT whole FROM docs WHERE id=?", id));
        if (!TRY(q.next())) return {};
        whole = q.boolean(0);
    }
    if (whole) {
        // A table without content is told what it had.
        std::string text = TRY(this->text(id));
        TRY(db_->run("INSERT INTO grams(grams,rowid,text) VALUES('delete',?,?)", id, text));
        TRY(db_->run("DELETE FROM texts WHERE id=?", id));
    }
    return db_->run("DELETE FROM docs WHERE id=?", id);
}

Result<void> SearchStore::add(const std::vector<SearchDoc>& docs, std::int64_t last) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& doc : docs) {
            TRY(remove(doc.id));
            bool whole = doc.text && doc.text->size() <= largest_text;
            TRY(db_->run("INSERT INTO docs VALUES(?,?,?,?)", doc.id, doc.object, whole ? 1 : 0, doc.day));
            if (!whole) continue;
            std::string_view text = *doc.text;
            TRY(db_->run("INSERT INTO texts VALUES(?,?,?)", doc.id,
                         Blob{zstd_compress(text.substr(0, doc.head))},
                         Blob{zstd_compress(text.substr(doc.head))}));
            TRY(db_->run("INSERT INTO grams(rowid,text) VALUES(?,?)", doc.id, *doc.text));
        }
        return db_->run("UPDATE meta SET last=max(last,?)", last);
    });
}

Result<std::size_t> SearchStore::keep_only(std::int64_t after, std::int64_t up_to,
                                           const std::vector<std::pair<std::int64_t, ObjectId>>& present,
                                           std::size_t limit) {
    return atomically(*db_, [&]() -> Result<std::size_t> {
        std::vector<std::int64_t> gone;
        {
            auto q =
                TRY(db_->query("SELECT id,object FROM docs WHERE id>? AND id<=? ORDER BY id", after, up_to));
            auto it = present.begin();
            while (gone.size() < limit && TRY(q.next())) {
                std::int64_t id = q.integer(0);
                while (it != present.end() && it->first < id) ++it;
                if (it == present.end() || it->first != id || it->second != q.id<ObjectId>(1))
                    gone.push_back(id);
            }
        }
        for (auto id : gone) TRY(remove(id));
        return gone.size();
    });
}

Result<void> SearchStore::clear() {
    return atomically(*db_, [&]() -> Result<void> {
        TRY(db_->run("INSERT INTO grams(grams) VALUES('delete-all')"));
        TRY(db_->run("DELETE FROM texts"));
        TRY(db_->run("DELETE FROM docs"));
        return db_->run("UPDATE meta SET last=0,epoch=?", Blob{new_epoch()});
    });
}

Result<std::optional<std::vector<std::int64_t>>> SearchStore::candidates(std::string_view needle) {
    std::string query = gram_query(needle);
    if (query.empty()) return std::nullopt;
    std::vector<std::int64_t> ids;
    auto q = TRY(db_->query("SELECT rowid FROM grams WHERE grams MATCH ?", query));
    while (TRY(q.next())) ids.push_back(q.integer(0));
    std::ranges::sort(ids);
    return ids;
}

Result<std::vector<SearchStore::Known>> SearchStore::find_between(std::int64_t first, std::int64_t last) {
    std::vector<Known> found;
    auto q = TRY(
        db_->query("SELECT id,object,whole,day FROM docs WHERE id BETWEEN ? AND ? ORDER BY id", first, last));
    while (TRY(q.next())) {
        Known known{q.integer(0), q.id<ObjectId>(1), q.boolean(2), {}};
        if (!q.null(3)) known.day = q.integer(3);
        found.push_back(known);
    }
    return found;
}

Result<std::string> SearchStore::text(std::int64_t id) {
    auto q = TRY(db_->query("SELECT head,rest FROM texts WHERE id=?", id));
    if (!TRY(q.next())) return fail(ErrorKind::internal, "the search index lacks a text");
    std::string text = TRY(unpacked(q.view(0)));
    return text += TRY(unpacked(q.view(1)));
}

Result<std::string> SearchStore::head(std::int64_t id) {
    auto q = TRY(db_->query("SELECT head FROM texts WHERE id=?", id));
    if (!TRY(q.next())) return fail(ErrorKind::internal, "the search index lacks a text");
    return unpacked(q.view(0));
}

Result<std::vector<std::string>> SearchStore::check() {
    std::vector<std::string> problems;
    {
        auto q = TRY(db_->query("PRAGMA quick_check(5)"));
        while (TRY(q.next()))
            if (q.view(0) != "ok") problems.push_back("SQLite says: " + q.text(0));
    }
    auto count = [&](std::string_view sql) -> Result<std::uint64_t> {
        auto q = TRY(db_->query(sql));
        TRY(q.next());
        return q.natural(0);
    };
    if (TRY(count("SELECT count(*) FROM docs WHERE id>(SELECT last FROM meta)")))
        problems.push_back("messages are in it that it has not come to");
    if (TRY(count("SELECT count(*) FROM docs d WHERE whole<>EXISTS(SELECT 1 FROM texts t WHERE t.id=d.id)")))
        problems.push_back("messages and their texts do not agree");
    if (TRY(count("SELECT count(*) FROM texts t WHERE NOT EXISTS(SELECT 1 FROM docs d WHERE d.id=t.id)")))
        problems.push_back("texts of no message are in it");
    return problems;
}

}  // namespace fwmail::store
