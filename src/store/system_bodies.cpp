// Bodies: immutable octets under an id, in compressed chunks, alive while someone holds them.
#include <algorithm>
#include <set>

#include "base/compress.hpp"
#include "store/database.hpp"
#include "store/system_store.hpp"

namespace fwmail::store {
namespace {

// chunks.id = objects.id * 2^20 + index.
constexpr std::int64_t chunk_bits = 20;
constexpr std::uint32_t most_chunks = 1u << chunk_bits;
std::int64_t chunk_id(std::int64_t object, std::uint64_t index) {
    return object << chunk_bits | static_cast<std::int64_t>(index);
}

enum class Codec { raw, zstd };

struct ObjectRow {
    std::int64_t id = 0;
    std::uint64_t size = 0;
    std::uint32_t chunks = 0;
    Codec codec = Codec::raw;
    bool complete = false;
};

Result<std::optional<ObjectRow>> find_row(Database& db, ObjectId id) {
    auto q = TRY(db.query("SELECT id,size,chunks,codec,complete FROM objects WHERE object=?", id));
    if (!TRY(q.next())) return std::nullopt;
    return ObjectRow{q.integer(0), q.natural(1), q.natural32(2), q.enumerator<Codec>(3), q.boolean(4)};
}

Result<ObjectRow> get_row(Database& db, ObjectId id) {
    auto row = TRY(find_row(db, id));
    if (!row) return fail(ErrorKind::internal, "the body " + id.hex() + " is not in the store");
    return *row;
}

Result<void> delete_chunks(Database& db, std::int64_t object) {
    return db.run("DELETE FROM chunks WHERE id>=? AND id<?", chunk_id(object, 0), chunk_id(object + 1, 0));
}

Result<void> delete_unless_held(Database& db, ObjectId id) {
    {
        auto q = TRY(db.query("SELECT 1 FROM object_refs WHERE object=? LIMIT 1", id));
        if (TRY(q.next())) return {};
    }
    auto row = TRY(find_row(db, id));
    if (!row) return {};
    TRY(delete_chunks(db, row->id));
    return db.run("DELETE FROM objects WHERE id=?", row->id);
}

// The octets as stored. Chunk 0 decides for the whole object: it must shrink by a tenth.
std::string encode_chunk(std::uint32_t index, std::string_view octets, Packing packing, Codec& codec) {
    if (packing == Packing::none || (index > 0 && codec == Codec::raw)) return std::string(octets);
    std::string packed = zstd_compress(octets);
    if (index == 0)
        codec = packed.size() <= octets.size() - octets.size() / 10 - 1 ? Codec::zstd : Codec::raw;
    return codec == Codec::zstd ? packed : std::string(octets);
}

}  // namespace

Result<bool> SystemStore::begin_object(ObjectId id, UnixMillis now) {
    return atomically(*db_, [&]() -> Result<bool> {
        auto row = TRY(find_row(*db_, id));
        if (!row) {
            TRY(db_->run("INSERT INTO objects(object,size,chunks,codec,complete,created) VALUES(?,0,0,0,0,?)",
                         id, now));
            return true;
        }
        if (row->complete) return false;
        TRY(delete_chunks(*db_, row->id));
        TRY(db_->run("UPDATE objects SET size=0,chunks=0,codec=0,created=? WHERE id=?", now, row->id));
        return true;
    });
}

Result<void> SystemStore::append_chunk(ObjectId id, std::uint32_t index, std::string_view octets,
                                       Packing packing) {
    if (octets.empty() || octets.size() > chunk_size || index >= most_chunks)
        return fail(ErrorKind::internal, "a chunk of a body has a wrong size or index");
    return atomically(*db_, [&]() -> Result<void> {
        auto row = TRY(get_row(*db_, id));
        if (row.complete || index < row.chunks) return {};
        if (index > row.chunks || row.size != std::uint64_t{row.chunks} * chunk_size)
            return fail(ErrorKind::internal, "a chunk of a body came out of order");
        std::string stored = encode_chunk(index, octets, packing, row.codec);
        TRY(db_->run("INSERT INTO chunks VALUES(?,?)", chunk_id(row.id, index), Blob{stored}));
        return db_->run("UPDATE objects SET size=size+?,chunks=chunks+1,codec=? WHERE id=?", octets.size(),
                        row.codec, row.id);
    });
}

Result<void> SystemStore::finish_object(ObjectId id, std::uint64_t size) {
    auto row = TRY(get_row(*db_, id));
    if (row.size != size) return fail(ErrorKind::internal, "a body has not the size that was announced");
    return db_->run("UPDATE objects SET complete=1 WHERE id=?", row.id);
}

Result<void> SystemStore::put_object(ObjectId id, std::string_view octets, UnixMillis now, Packing packing) {
    if (octets.size() > chunk_size) {
        return atomically(*db_, [&]() -> Result<void> {
            if (!TRY(begin_object(id, now))) return {};
            for (std::uint32_t i = 0; i * chunk_size < octets.size(); ++i)
                TRY(append_chunk(id, i, octets.substr(i * chunk_size, chunk_size), packing));
            return finish_object(id, octets.size());
        });
    }
    return atomically(*db_, [&]() -> Result<void> {
        if (auto row = TRY(find_row(*db_, id))) {
            if (row->complete) return {};
            TRY(delete_chunks(*db_, row->id));
            TRY(db_->run("DELETE FROM objects WHERE id=?", row->id));
        }
        Codec codec = Codec::raw;
        std::string stored = octets.empty() ? std::string() : encode_chunk(0, octets, packing, codec);
        TRY(db_->run("INSERT INTO objects(object,size,chunks,codec,complete,created) VALUES(?,?,?,?,1,?)", id,
                     octets.size(), octets.empty() ? 0 : 1, codec, now));
        if (octets.empty()) return {};
        return db_->run("INSERT INTO chunks VALUES(?,?)", chunk_id(db_->last_rowid(), 0), Blob{stored});
    });
}

Result<std::optional<ObjectInfo>> SystemStore::find_object(ObjectId id) {
    auto q = TRY(db_->query(
        "SELECT size,complete,created,(SELECT count(*) FROM object_refs r WHERE r.object=o.object) "
        "FROM objects o WHERE object=?",
        id));
    if (!TRY(q.next())) return std::nullopt;
    return ObjectInfo{q.natural(0), q.boolean(1), q.time(2), q.natural(3)};
}

Result<std::string> SystemStore::read_object(ObjectId id, std::uint64_t offset, std::uint64_t length) {
    auto row = TRY(get_row(*db_, id));
    if (!row.complete) return fail(ErrorKind::internal, "the body " + id.hex() + " is not complete");
    std::string out;
    if (offset >= row.size || length == 0) return out;
    std::uint64_t end = offset + std::min(length, row.size - offset);
    std::uint64_t index = offset / chunk_size;
    auto q = TRY(db_->query("SELECT data FROM chunks WHERE id>=? AND id<=? ORDER BY id",
                            chunk_id(row.id, index), chunk_id(row.id, (end - 1) / chunk_size)));
    for (; TRY(q.next()); ++index) {
        std::string unpacked;
        std::string_view data = q.view(0);
        if (row.codec == Codec::zstd) {
            auto result = zstd_decompress(data, chunk_size);
            if (!result)
                return fail(ErrorKind::internal, "the body " + id.hex() + " is damaged: restore a backup");
            unpacked = std::move(*result);
            data = unpacked;
        }
        std::uint64_t start = index * chunk_size;
        std::uint64_t from = std::max(offset, start) - start;
        std::uint64_t to = std::min(end - start, std::uint64_t{chunk_size});
        if (to > data.size()) return fail(ErrorKind::internal, "the body " + id.hex() + " is cut short");
        if (out.empty() && from == 0 && to == unpacked.size()) {
            out = std::move(unpacked);
            continue;
        }
        if (out.empty()) out.reserve(end - offset);
        out.append(data.substr(from, to - from));
    }
    if (out.size() != end - offset)
        return fail(ErrorKind::internal, "the body " + id.hex() + " lacks a chunk");
    return out;
}

Result<void> SystemStore::add_reference(ObjectId id, const Holder& holder) {
    auto row = TRY(get_row(*db_, id));
    if (!row.complete) return fail(ErrorKind::internal, "the body " + id.hex() + " is not complete");
    return db_->run("INSERT OR IGNORE INTO object_refs VALUES(?,?,?)", id, holder.account, holder.hold);
}

Result<void> SystemStore::add_references(AccountId account, const std::vector<Reference>& references) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& r : references) TRY(add_reference(r.object, {account, r.hold}));
        return {};
    });
}

Result<void> SystemStore::release_reference(ObjectId id, const Holder& holder) {
    return atomically(*db_, [&]() -> Result<void> {
        TRY(db_->run("DELETE FROM object_refs WHERE object=? AND account=? AND hold=?", id, holder.account,
                     holder.hold));
        // Without a row taken away nothing can have become free; what never had a holder is the garbage
        // collector's.
        if (db_->changes() == 0) return {};
        return delete_unless_held(*db_, id);
    });
}

Result<void> SystemStore::release_references(AccountId account, const std::vector<Reference>& references) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& r : references) TRY(release_reference(r.object, {account, r.hold}));
        return {};
    });
}

Result<std::vector<ObjectId>> SystemStore::find_garbage(const GarbageAge& age, std::size_t limit) {
    auto q = TRY(
        db_->query("SELECT object FROM objects o WHERE (created<?1 OR (created<?2 AND complete=0)) AND NOT "
                   "EXISTS (SELECT 1 FROM object_refs r WHERE r.object=o.object) LIMIT ?3",
                   age.older_than, age.unfinished_before, limit));
    std::vector<ObjectId> garbage;
    while (TRY(q.next())) garbage.push_back(q.id<ObjectId>(0));
    return garbage;
}

Result<std::size_t> SystemStore::delete_garbage(const std::vector<ObjectId>& found, const GarbageAge& age) {
    return atomically(*db_, [&]() -> Result<std::size_t> {
        std::size_t count = 0;
        for (const auto& id : found) {
            auto info = TRY(find_object(id));
            if (!info || info->references > 0) continue;
            if (info->created >= age.older_than && (info->complete || info->created >= age.unfinished_before))
                continue;
            TRY(delete_unless_held(*db_, id));
            ++count;
        }
        return count;
    });
}

Result<void> SystemStore::drop_object(ObjectId id) {
    return atomically(*db_, [&] { return delete_unless_held(*db_, id); });
}

Result<std::size_t> SystemStore::reconcile_references(AccountId account, const std::vector<Reference>& known,
                                                      const std::set<ObjectId>& awaited, UnixMillis since) {
    std::set<Reference> wanted(known.begin(), known.end());
    return atomically(*db_, [&]() -> Result<std::size_t> {
        std::vector<Reference> stray;
        {
            auto q =
                TRY(db_->query("SELECT object,hold FROM object_refs r WHERE account=? AND NOT EXISTS "
                               "(SELECT 1 FROM spool s WHERE s.delivery=r.hold)",
                               account));
            while (TRY(q.next())) {
                Reference r{q.id<ObjectId>(0), q.id<HoldId>(1)};
                std::int64_t made = 0;  // ids begin with the time
                for (int i = 0; i < 6; ++i) made = made << 8 | r.hold.bytes[static_cast<std::size_t>(i)];
                if (made >= since.value && !wanted.contains(r)) stray.push_back(r);
            }
        }
        for (const auto& r : stray) {
            if (awaited.contains(r.object))
                TRY(db_->run("DELETE FROM object_refs WHERE object=? AND account=? AND hold=?", r.object,
                             account, r.hold));
            else
                TRY(release_reference(r.object, {account, r.hold}));
        }
        return stray.size();
    });
}

Result<bool> SystemStore::object_complete(ObjectId id) {
    auto row = TRY(find_row(*db_, id));
    return row && row->complete;
}

}  // namespace fwmail::store
