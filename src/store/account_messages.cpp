// Messages: deliver, append, copy, move, flags, expunge.
#include <algorithm>
#include <map>

#include "base/random.hpp"
#include "store/account_rows.hpp"
#include "sync/entries.hpp"

namespace fwmail::store {
namespace {

struct MessageRow {
    Uid uid;
    ModSeq modseq, created;
    std::int64_t id = 0;
    std::uint32_t system = 0;
    std::string keywords;
    ObjectId object;
    HoldId hold;
    std::uint64_t size = 0;
    std::string stamps;
    EmailId email;
};

Result<std::vector<MessageRow>> load_rows(Database& db, std::int64_t mailbox, const UidSet& uids) {
    std::vector<MessageRow> rows;
    for (const auto& i : uids.list()) {
        auto q = TRY(db.query(
            "SELECT uid,modseq,created_modseq,id,flags,keywords,object,hold,size,stamps,email FROM messages "
            "WHERE mailbox=? AND uid BETWEEN ? AND ? ORDER BY uid",
            mailbox, i.first, i.last));
        while (TRY(q.next()))
            rows.push_back({q.uid(0), q.modseq(1), q.modseq(2), q.integer(3), q.natural32(4), q.text(5),
                            q.id<ObjectId>(6), q.id<HoldId>(7), q.natural(8), q.text(9), q.id<EmailId>(10)});
    }
    return rows;
}

// Mailboxes as one call sees them: row numbers and the UIDs that it has given out.
class Targets {
  public:
    explicit Targets(Database& db) : db_(db) {}
    Result<MailboxRow*> get(MailboxId id) {
        auto it = rows_.find(id);
        if (it == rows_.end()) it = rows_.emplace(id, TRY(get_mailbox_row(db_, id))).first;
        return &it->second;
    }

  private:
    Database& db_;
    std::map<MailboxId, MailboxRow> rows_;
};

Result<Uid> insert_new(Database& db, AccountChange& change, MailboxRow& target, NewMessage message) {
    Uid& uidnext = target.mailbox.uidnext;
    if (message.uid != Uid{}) {
        if (message.uid < uidnext) return fail(ErrorKind::refused, "the UID is in use or has been used");
        uidnext = message.uid;
    }
    message.uid = TRY(take_uid(uidnext));
    TRY(insert_message(db, change, target.row, message));
    return message.uid;
}

Result<std::optional<Delivered>> find_applied(Database& db, HoldId hold) {
    auto q = TRY(db.query("SELECT mailbox,uid FROM applied_deliveries WHERE delivery=?", hold));
    if (!TRY(q.next())) return std::nullopt;
    return Delivered{hold, q.id<MailboxId>(0), q.uid(1), true};
}

Result<void> insert_expunged(Database& db, AccountChange& change, std::int64_t mailbox, const MessageRow& row,
                             ModSeq& modseq) {
    modseq = change.next_modseq(mailbox);
    change.count(mailbox, row.system, row.size, -1);
    return db.run("INSERT OR REPLACE INTO expunged VALUES(?,?,?,?,0,0,0,?)", mailbox, row.uid, modseq,
                  row.created, row.email);
}

constexpr std::uint64_t most_words = 2000;  // of an account

// What a message may have is what can be told of it to a remote.
Result<void> check_keywords(const FlagSet& flags, std::size_t before = 0) {
    if (flags.keywords.size() > std::max(sync::max_keywords, before))
        return fail(ErrorKind::refused, "[LIMIT] a message has at most 100 keywords");
    for (const auto& word : flags.keywords)
        if (word.size() > sync::max_keyword_octets)
            return fail(ErrorKind::refused, "[LIMIT] a keyword has at most 100 octets");
    return {};
}

// Notes those that are new in this account.
Result<void> learn_keywords(Database& db, const FlagSet& flags) {
    for (const auto& word : flags.keywords) {
        TRY(db.run("INSERT OR IGNORE INTO keywords SELECT ? WHERE (SELECT count(*) FROM keywords)<?", word,
                   most_words));
        auto q = TRY(db.query("SELECT 1 FROM keywords WHERE word=?", word));
        if (!TRY(q.next()))
            return fail(ErrorKind::refused, "[LIMIT] this account has used too many different keywords");
    }
    return {};
}

FlagSet changed_flags(const FlagSet& old, StoreMode mode, const FlagSet& flags) {
    FlagSet out = old;
    switch (mode) {
        case StoreMode::set:
            return flags;
        case StoreMode::add:
            out.add(flags);
            return out;
        case StoreMode::remove:
            out.remove(flags);
            return out;
    }
    return out;
}

// Below sync::max_registers, so that what two nodes have let their clients do can be merged.
Result<void> check_registers(const sync::Registers& registers) {
    if (registers.size() > sync::max_registers / 2)
        return fail(ErrorKind::refused, "[LIMIT] a message has had too many keywords");
    return {};
}

Result<sync::FlagState> flag_state(const MessageRow& row) {
    return sync::FlagState{flags_from(row.system, row.keywords), TRY(sync::decode_registers(row.stamps))};
}

constexpr std::int64_t no_peer = 0;

Result<ModSeq> save_flags(Database& db, AccountChange& change, std::int64_t mailbox, const MessageRow& row,
                          const sync::FlagState& state, std::int64_t told_by) {
    ModSeq modseq = change.next_modseq(mailbox);
    TRY(db.run("UPDATE messages SET flags=?,keywords=?,modseq=?,stamps=?,told_by=? WHERE mailbox=? AND uid=?",
               state.flags.system, keywords_text(state.flags), modseq,
               Blob{sync::encode_registers(state.registers)}, told_by, mailbox, row.uid));
    change.count(mailbox, row.system, row.size, -1);
    change.count(mailbox, state.flags.system, row.size, +1);
    return modseq;
}

}  // namespace

std::string keywords_text(const FlagSet& flags) {
    std::string out;
    for (const auto& k : flags.keywords) {
        if (!out.empty()) out += ' ';
        out += k;
    }
    return out;
}

FlagSet flags_from(std::uint32_t system, std::string_view keywords) {
    FlagSet flags = FlagSet::from_text(keywords);
    flags.system = system;
    return flags;
}

Result<void> set_placed(Database& db, std::int64_t mailbox, Uid uid, const sync::Stamp& stamp) {
    return db.run("UPDATE messages SET placed_time=?,placed_origin=? WHERE mailbox=? AND uid=?", stamp.time,
                  stamp.origin, mailbox, uid);
}

Result<Uid> take_uid(Uid& uidnext) {
    if (uidnext.value == 0xffffffffu) return fail(ErrorKind::refused, "the mailbox has used up its UIDs");
    Uid uid = uidnext;
    ++uidnext.value;
    return uid;
}

Result<void> insert_message(Database& db, AccountChange& change, std::int64_t mailbox, const NewMessage& m,
                            const Seal& seal) {
    ModSeq modseq = change.next_modseq(mailbox);
    std::int64_t id = change.next_storage_id();
    TRY(db.run("INSERT INTO messages VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,0,0,0)", mailbox, m.uid,
               m.flags.system, keywords_text(m.flags), modseq, modseq, id, m.email_id, m.object, m.hold,
               m.size, m.date, m.zone_minutes, m.saved_at, seal.state, Blob{seal.seed}, seal.size,
               Blob{seal.sha256}, seal.reason, Blob{sync::encode_registers(m.registers)}));
    TRY(db.run("INSERT INTO message_texts VALUES(?,?,?,?,?)", id, m.texts.envelope, m.texts.body,
               m.texts.bodystructure, Blob{m.texts.parts}));
    TRY(db.run("INSERT INTO message_keys VALUES(?,?)", id, Blob{m.texts.keys}));
    if (!m.texts.header.empty())
        TRY(db.run("INSERT INTO message_headers VALUES(?,?)", id, Blob{m.texts.header}));
    change.count(mailbox, m.flags.system, m.size, +1);
    change.use_uid(mailbox, m.uid);
    return {};
}

Result<std::vector<Delivered>> AccountStore::deliver(const std::vector<NewMessage>& messages) {
    return atomically(*db_, [&]() -> Result<std::vector<Delivered>> {
        Targets targets(*db_);
        auto change = TRY(AccountChange::begin(*db_));
        std::vector<Delivered> out;
        for (const auto& m : messages) {
            if (auto before = TRY(find_applied(*db_, m.hold))) {
                out.push_back(*before);
                continue;
            }
            auto* target = TRY(targets.get(m.mailbox));
            Uid uid = TRY(insert_new(*db_, change, *target, m));
            TRY(db_->run("INSERT INTO applied_deliveries VALUES(?,?,?)", m.hold, m.mailbox, uid));
            out.push_back({m.hold, m.mailbox, uid, false});
        }
        TRY(change.save());
        return out;
    });
}

Result<void> AccountStore::forget_deliveries(const std::vector<DeliveryId>& ids) {
    return atomically(*db_, [&]() -> Result<void> {
        for (const auto& id : ids) TRY(db_->run("DELETE FROM applied_deliveries WHERE delivery=?", id));
        return {};
    });
}

Result<Uid> AccountStore::append(const NewMessage& message) {
    return TRY(append(std::vector{message})).front();
}

Result<std::vector<Uid>> AccountStore::append(const std::vector<NewMessage>& messages) {
    for (const auto& m : messages) TRY(check_keywords(m.flags));
    return atomically(*db_, [&]() -> Result<std::vector<Uid>> {
        Targets targets(*db_);
        auto change = TRY(AccountChange::begin(*db_));
        std::vector<Uid> uids;
        for (const auto& m : messages) {
            TRY(learn_keywords(*db_, m.flags));
            auto* target = TRY(targets.get(m.mailbox));
            uids.push_back(TRY(insert_new(*db_, change, *target, m)));
        }
        TRY(change.save());
        return uids;
    });
}

Result<std::optional<Uid>> AccountStore::append_transferred(const NewMessage& message, std::string_view key) {
    return atomically(*db_, [&]() -> Result<std::optional<Uid>> {
        if (TRY(is_transferred(key))) return std::nullopt;
        Uid uid = TRY(append(message));
        TRY(note_transferred(key));
        return uid;
    });
}

Result<bool> AccountStore::is_transferred(std::string_view key) {
    auto q = TRY(db_->query("SELECT 1 FROM transferred WHERE key=?", Blob{key}));
    return q.next();
}

Result<void> AccountStore::note_transferred(std::string_view key) {
    return db_->run("INSERT OR IGNORE INTO transferred VALUES(?)", Blob{key});
}

Result<std::vector<CopyItem>> AccountStore::plan_copy(MailboxId from, const UidSet& uids, UnixMillis now) {
    auto mailbox = TRY(get_mailbox_row(*db_, from));
    std::vector<CopyItem> items;
    for (const auto& row : TRY(load_rows(*db_, mailbox.row, uids)))
        items.push_back({row.uid, row.object, make_id<HoldIdTag>(now), row.size});
    return items;
}

Result<std::vector<UidPair>> AccountStore::copy(MailboxId from, const std::vector<CopyItem>& items,
                                                MailboxId to, UnixMillis now) {
    return atomically(*db_, [&]() -> Result<std::vector<UidPair>> {
        auto source = TRY(get_mailbox_row(*db_, from));
        auto target = TRY(get_mailbox_row(*db_, to));
        auto change = TRY(AccountChange::begin(*db_));
        std::vector<UidPair> pairs;
        for (const auto& item : items) {
            UidSet one;
            one.add(item.uid.value);
            auto rows = TRY(load_rows(*db_, source.row, one));
            if (rows.empty() || rows[0].object != item.object) {
                TRY(journal_release(*db_, item.object, item.hold));
                continue;
            }
            Uid uid = TRY(take_uid(target.mailbox.uidnext));
            ModSeq modseq = change.next_modseq(target.row);
            std::int64_t id = change.next_storage_id();
            TRY(db_->run(
                "INSERT INTO messages SELECT ?1,?2,flags,keywords,?3,?3,?4,email,object,?5,size,date,zone,?6,"
                "seal_state,seal_seed,seal_size,seal_sha256,seal_reason,x'',0,0,0,0 FROM messages WHERE "
                "mailbox=?7 "
                "AND "
                "uid=?8",
                target.row, uid, modseq, id, item.hold, now, source.row, item.uid));
            // OR FAIL: a single row leaves nothing half done, so SQLite keeps no journal of the statement.
            for (const char* copy_texts :
                 {"INSERT OR FAIL INTO message_texts "
                  "SELECT ?,envelope,body,bodystructure,parts FROM message_texts WHERE id=?",
                  "INSERT OR FAIL INTO message_keys SELECT ?,keys FROM message_keys WHERE id=?",
                  "INSERT OR FAIL INTO message_headers SELECT ?,header FROM message_headers WHERE id=?"})
                TRY(db_->run(copy_texts, id, rows[0].id));
            change.count(target.row, rows[0].system, rows[0].size, +1);
            change.use_uid(target.row, uid);
            pairs.push_back({item.uid, uid});
        }
        TRY(change.save());
        return pairs;
    });
}

Result<std::vector<UidPair>> AccountStore::move(MailboxId from, const UidSet& uids, MailboxId to,
                                                UnixMillis now, std::optional<Author> author) {
    return atomically(*db_, [&]() -> Result<std::vector<UidPair>> {
        auto source = TRY(get_mailbox_row(*db_, from));
        auto target = TRY(get_mailbox_row(*db_, to));
        auto change = TRY(AccountChange::begin(*db_));
        std::vector<UidPair> pairs;
        for (const auto& row : TRY(load_rows(*db_, source.row, uids))) {
            Uid uid = TRY(take_uid(target.mailbox.uidnext));
            ModSeq modseq;
            TRY(insert_expunged(*db_, change, source.row, row, modseq));
            TRY(db_->run("UPDATE expunged SET became_mailbox=?,became_uid=? WHERE mailbox=? AND uid=?",
                         target.row, uid, source.row, row.uid));
            TRY(db_->run(
                "UPDATE messages SET mailbox=?1,uid=?2,modseq=?3,created_modseq=?3,saved_at=?4,told_by=0,"
                "elsewhere_since=0 WHERE mailbox=?5 AND uid=?6",
                target.row, uid, change.next_modseq(target.row), now, source.row, row.uid));
            if (author) TRY(set_placed(*db_, target.row, uid, change.stamp(*author)));
            change.count(target.row, row.system, row.size, +1);
            change.use_uid(target.row, uid);
            pairs.push_back({row.uid, uid});
        }
        TRY(change.save());
        return pairs;
    });
}

Result<sync::Stamp> AccountStore::placed(const Place& place) {
    auto row = TRY(get_mailbox_row(*db_, place.mailbox));
    auto q = TRY(db_->query("SELECT placed_time,placed_origin FROM messages WHERE mailbox=? AND uid=?",
                            row.row, place.uid));
    if (!TRY(q.next())) return sync::Stamp{};
    return sync::Stamp{q.natural(0), q.natural32(1)};
}

Result<StoreResult> AccountStore::store_flags(MailboxId mailbox, const UidSet& uids, StoreMode mode,
                                              const FlagSet& flags, const Author& author,
                                              std::optional<ModSeq> unchanged_since) {
    return atomically(*db_, [&]() -> Result<StoreResult> {
        auto target = TRY(get_mailbox_row(*db_, mailbox));
        if (mode != StoreMode::remove) TRY(learn_keywords(*db_, flags));
        auto change = TRY(AccountChange::begin(*db_));
        StoreResult out;
        for (const auto& row : TRY(load_rows(*db_, target.row, uids))) {
            if (unchanged_since && row.modseq > *unchanged_since) {
                out.modified.add(row.uid.value);
                continue;
            }
            auto old = TRY(flag_state(row));
            FlagRow after{row.uid, row.modseq, changed_flags(old.flags, mode, flags), false};
            if (after.flags != old.flags) {
                TRY(check_keywords(after.flags, old.flags.keywords.size()));
                auto state = sync::change_flags(old, after.flags, change.stamp(author));
                TRY(check_registers(state.registers));
                after.changed = true;
                after.modseq = TRY(save_flags(*db_, change, target.row, row, state, no_peer));
            }
            out.rows.push_back(std::move(after));
        }
        TRY(change.save());
        return out;
    });
}

Result<Merged> AccountStore::merge_flags(NodeId peer, MailboxId mailbox, Uid uid,
                                         const sync::FlagState& theirs) {
    return atomically(*db_, [&]() -> Result<Merged> {
        auto target = TRY(get_mailbox_row(*db_, mailbox));
        auto change = TRY(AccountChange::begin(*db_));
        change.see_stamp(sync::latest_time(theirs.registers));
        TRY(change.save());
        UidSet one;
        one.add(uid.value);
        auto rows = TRY(load_rows(*db_, target.row, one));
        if (rows.empty()) return merge_pending_flags(*db_, target.row, uid, theirs);
        auto old = TRY(flag_state(rows[0]));
        auto state = sync::merge_flags(old, theirs);
        if (state == old) return Merged::same;
        if (state.registers.size() > sync::max_registers) return Merged::same;
        // Told to the others. To the peer only what it may not know: not when its word holds all, nor when
        // the rest has been planned for it.
        bool knows = !peer.is_zero() && (state == theirs || rows[0].modseq <= TRY(cursor(peer)));
        TRY(save_flags(*db_, change, target.row, rows[0], state,
                       knows ? TRY(peer_row(*db_, peer)) : no_peer));
        TRY(change.save());
        return Merged::changed;
    });
}

Result<ExpungeResult> expunge_rows(Database& db, AccountChange& change, std::int64_t mailbox,
                                   const UidSet& uids, Which which) {
    ExpungeResult out;
    for (const auto& row : TRY(load_rows(db, mailbox, uids))) {
        if (which == Which::deleted_only && !(row.system & FlagSet::deleted)) continue;
        TRY(insert_expunged(db, change, mailbox, row, out.modseq));
        TRY(db.run("DELETE FROM messages WHERE mailbox=? AND uid=?", mailbox, row.uid));
        TRY(db.run("DELETE FROM message_texts WHERE id=?", row.id));
        TRY(db.run("DELETE FROM message_keys WHERE id=?", row.id));
        TRY(db.run("DELETE FROM message_headers WHERE id=?", row.id));
        TRY(journal_release(db, row.object, row.hold));
        out.uids.push_back(row.uid);
    }
    return out;
}

Result<ExpungeResult> AccountStore::expunge(MailboxId mailbox, std::optional<UidSet> uids) {
    return atomically(*db_, [&]() -> Result<ExpungeResult> {
        auto target = TRY(get_mailbox_row(*db_, mailbox));
        if (target.deleted == 0) return ExpungeResult{};
        auto change = TRY(AccountChange::begin(*db_));
        auto out =
            TRY(expunge_rows(*db_, change, target.row, uids ? *uids : every_uid(), Which::deleted_only));
        TRY(change.save());
        return out;
    });
}

Result<ExpungeResult> AccountStore::expunge_any(MailboxId mailbox, const UidSet& uids) {
    return atomically(*db_, [&]() -> Result<ExpungeResult> {
        auto target = TRY(any_mailbox_row(*db_, mailbox));
        auto change = TRY(AccountChange::begin(*db_));
        auto out = TRY(expunge_rows(*db_, change, target.row, uids, Which::all));
        TRY(change.save());
        return out;
    });
}

}  // namespace fwmail::store
