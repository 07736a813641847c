#include "store/outside_numbers.hpp"

#include <set>

#include "store/account_rows.hpp"
#include "sync/numbers.hpp"

namespace fwmail::store {
namespace {

constexpr int most_steps = 1000;  // from number to number; each is used once, so there is an end anyway

enum class Follow { all, numbers };

// Where the message of this number is now: moves and renumberings followed, or renumberings alone.
Result<Place> follow(Database& db, Place place, Follow what = Follow::all) {
    for (int step = 0; step < most_steps && place.uid.value; ++step) {
        auto row = TRY(find_mailbox_row(db, place.mailbox));
        if (!row) break;
        auto q = TRY(db.query("SELECT 1 FROM messages WHERE mailbox=? AND uid=?", row->row, place.uid));
        if (TRY(q.next())) return place;
        auto e =
            TRY(db.query("SELECT b.mailbox,e.became_uid FROM expunged e JOIN mailboxes b ON "
                         "b.id=e.became_mailbox WHERE e.mailbox=? AND e.uid=?",
                         row->row, place.uid));
        if (!TRY(e.next()) || (what == Follow::numbers && e.id<MailboxId>(0) != place.mailbox)) break;
        place = {e.id<MailboxId>(0), e.uid(1)};
    }
    return Place{place.mailbox, Uid{}};
}

Result<std::optional<Place>> noted(Database& db, NodeId peer, const Place& called) {
    auto q =
        TRY(db.query("SELECT now_mailbox,now_uid FROM outside_numbers WHERE peer=(SELECT id FROM peers "
                     "WHERE peer=?) AND mailbox=? AND uid=?",
                     peer, called.mailbox, called.uid));
    if (!TRY(q.next())) return std::nullopt;
    return Place{q.id<MailboxId>(0), q.uid(1)};
}

// `asked`: of this message nothing was known here, and the peer is asked for it.
Result<void> note(AccountStore& account, NodeId peer, const Place& called, const Place& now,
                  EmailId asked = {}) {
    Database& db = account.database();
    std::int64_t id = TRY(peer_row(db, peer));
    return db.run("INSERT INTO outside_numbers VALUES(?,?,?,?,?,0,?)", id, called.mailbox, called.uid,
                  now.mailbox, now.uid, Blob{asked.is_zero() ? std::string_view() : asked.octets()});
}

// The mailbox in which mail for this one is filed: itself, or what it has become part of, or one of its name.
// Nothing: it is not known yet.
Result<std::optional<MailboxRow>> find_target(AccountStore& account, MailboxId id, UnixMillis now) {
    Database& db = account.database();
    for (int step = 0; step < most_steps; ++step) {
        auto row = TRY(find_mailbox_row(db, id));
        if (!row) return std::nullopt;
        if (!row->mailbox.deleted) return *row;
        if (row->mailbox.became.is_zero()) break;
        id = row->mailbox.became;
    }
    return TRY(mailbox_or_its_like(db, account, id, now));
}

// The remote has used this number: what it names here gets another one.
Result<void> give_up(AccountStore& account, const Place& called, UnixMillis now) {
    Database& db = account.database();
    auto row = TRY(find_mailbox_row(db, called.mailbox));
    if (!row || row->mailbox.deleted) return {};
    switch (sync::judge_number(row->mailbox.uidnext, called.uid)) {
        case sync::Number::adopt:
            // Nothing is filed under it, and nothing ever must be.
            return db.run("UPDATE mailboxes SET uidnext=? WHERE id=?", Uid{called.uid.value + 1}, row->row);
        case sync::Number::give_up: {
            UidSet one;
            one.add(called.uid.value);
            TRY(account.move(called.mailbox, one, called.mailbox, now));
            return {};
        }
        case sync::Number::ignore:
            return {};
    }
    return {};
}

// Sees to it that the next number of the target is the one that the message is to get.
Result<void> make_room(AccountStore& account, const Place& called, const MailboxRow& target, UnixMillis now) {
    bool own = target.mailbox.id == called.mailbox;
    if (!own || sync::judge_number(target.mailbox.uidnext, called.uid) != sync::Number::adopt)
        return give_up(account, called, now);
    return account.database().run("UPDATE mailboxes SET uidnext=? WHERE id=?", called.uid, target.row);
}

struct Original {
    NewMessage message;
    Seal seal;
};

#define ORIGINAL_COLUMNS                                                                                   \
    "m.email,m.object,m.size,m.date,m.zone,m.seal_seed,m.seal_size,m.seal_sha256,m.seal_state,"            \
    "m.seal_reason,t.envelope,t.body,t.bodystructure,t.parts,k.keys,ifnull(h.header,x'') FROM messages m " \
    "JOIN message_texts t ON t.id=m.id JOIN message_keys k ON k.id=m.id LEFT JOIN message_headers h ON "   \
    "h.id=m.id "

Result<std::optional<Original>> read_original(Query q) {
    if (!TRY(q.next())) return std::nullopt;
    Original o;
    o.message.email_id = q.id<EmailId>(0);
    o.message.object = q.id<ObjectId>(1);
    o.message.size = q.natural(2);
    o.message.date = q.time(3);
    o.message.zone_minutes = static_cast<int>(q.integer(4));
    o.seal = {q.text(5), q.natural(6), q.text(7), q.enumerator<SealState>(8), q.text(9)};
    o.message.texts = {q.text(10), q.text(11), q.text(12), q.text(13), q.text(14), q.text(15)};
    return o;
}

// The copied message: where it is, or another copy of it, or what is left of it after it was expunged
// outside.
Result<std::optional<Original>> find_original(Database& db, const Place& from, EmailId email) {
    if (auto row = TRY(find_mailbox_row(db, from.mailbox)))
        if (auto found = TRY(read_original(
                TRY(db.query("SELECT " ORIGINAL_COLUMNS "WHERE m.mailbox=? AND m.uid=? AND m.email=?",
                             row->row, from.uid, email)))))
            return found;
    if (auto found = TRY(read_original(
            TRY(db.query("SELECT " ORIGINAL_COLUMNS "WHERE m.email=? ORDER BY m.id LIMIT 1", email)))))
        return found;
    return read_original(TRY(
        db.query("SELECT email,object,size,date,zone,x'',0,x'',0,'',envelope,body,bodystructure,parts,keys,"
                 "header FROM hidden WHERE email=? ORDER BY id LIMIT 1",
                 email)));
}

// What core has asked for is filed, though nothing was before.
Result<std::optional<Place>> unless_nowhere(AccountStore& account, NodeId peer, const Place& called,
                                            const Place& before) {
    if (before.uid.value) return before;
    TRY(forget_number(account, peer, called));
    return std::nullopt;
}

// Whether what is known here is less than what was: the peer was told of this message under this number, and
// here it never had that.
Result<bool> is_forgotten(Database& db, const Place& called, EmailId email) {
    auto row = TRY(find_mailbox_row(db, called.mailbox));
    if (!row) return true;
    auto q = TRY(db.query(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE mailbox=?1 AND uid=?2 AND email=?3) OR EXISTS (SELECT 1 "
        "FROM expunged WHERE mailbox=?1 AND uid=?2 AND email=?3)",
        row->row, called.uid, email));
    TRY(q.next());
    return !q.boolean(0);
}

Result<std::optional<Place>> find_by_email(Database& db, EmailId email) {
    auto q = TRY(
        db.query("SELECT b.mailbox,m.uid FROM messages m JOIN mailboxes b ON b.id=m.mailbox WHERE m.email=? "
                 "ORDER BY m.id LIMIT 1",
                 email));
    if (!TRY(q.next())) return std::nullopt;
    return Place{q.id<MailboxId>(0), q.uid(1)};
}

// The message itself, where the mailbox has it: what comes home may have come by another way.
Result<std::optional<Place>> take_same(AccountStore& account, const Place& called, const MailboxRow& target,
                                       EmailId email, const sync::FlagState& flags, UnixMillis now) {
    Database& db = account.database();
    Place same{target.mailbox.id, {}};
    {
        auto q = TRY(db.query("SELECT uid FROM messages WHERE mailbox=? AND email=? ORDER BY uid LIMIT 1",
                              target.row, email));
        if (!TRY(q.next())) return std::nullopt;
        same.uid = q.uid(0);
    }
    TRY(account.merge_flags(NodeId{}, same.mailbox, same.uid, flags));
    TRY(give_up(account, called, now));
    return TRY(follow(db, same));  // it may have had that number
}

// Than what the peer shows under the number: a UID stands for the same octets for ever, so that another
// number is needed. Empty: how it was sealed is not known any more.
bool is_sealed_otherwise(const CopyWord& word, std::string_view sha256) {
    const auto& shown = word.sealed_sha256;
    return shown != sync::Sha256{} &&
           sha256 != std::string_view(reinterpret_cast<const char*>(shown.data()), shown.size());
}

Result<Place> file_new(AccountStore& account, const Place& called, const MailboxRow& target,
                       NewMessage message, const Seal& seal, UnixMillis now) {
    Database& db = account.database();
    TRY(make_room(account, called, target, now));
    Uid next = TRY(get_mailbox_row(db, target.mailbox.id)).mailbox.uidnext;
    message.uid = TRY(take_uid(next));
    auto change = TRY(AccountChange::begin(db));
    TRY(insert_message(db, change, target.row, message, seal));
    TRY(change.save());
    return Place{target.mailbox.id, message.uid};
}

Result<Place> file_move(AccountStore& account, const CopyWord& word, const Place& from,
                        const MailboxRow& target, UnixMillis now) {
    Database& db = account.database();
    UidSet one;
    one.add(from.uid.value);
    auto stamp = sync::placed_by(TRY(account.placed(from)), word.moved);
    auto pairs = TRY(account.move(from.mailbox, one, target.mailbox.id, now));
    if (pairs.empty()) return fail(ErrorKind::internal, "a message that is to be moved has vanished");
    TRY(set_placed(db, target.row, pairs[0].to, stamp));
    TRY(account.merge_flags(NodeId{}, target.mailbox.id, pairs[0].to, word.flags));
    return Place{target.mailbox.id, pairs[0].to};
}

}  // namespace

Result<bool> is_of(Database& db, const Place& place, EmailId email) {
    auto row = TRY(find_mailbox_row(db, place.mailbox));
    if (!row) return false;
    auto q = TRY(db.query("SELECT email FROM messages WHERE mailbox=? AND uid=?", row->row, place.uid));
    return TRY(q.next()) && q.id<EmailId>(0) == email;
}

Result<std::optional<Place>> find_place(AccountStore& account, NodeId peer, const Place& called) {
    Database& db = account.database();
    if (auto own = TRY(noted(db, peer, called))) return TRY(follow(db, *own));
    if (!TRY(find_mailbox_row(db, called.mailbox)) ||
        called.uid > TRY(account.planned(peer, called.mailbox)).last)
        return std::nullopt;
    return TRY(follow(db, called));
}

Result<Place> where_now(AccountStore& account, NodeId peer, const Place& called) {
    Database& db = account.database();
    return TRY(follow(db, TRY(noted(db, peer, called)).value_or(called)));
}

Result<Place> where_expunged(AccountStore& account, NodeId peer, const Place& called) {
    Database& db = account.database();
    if (auto own = TRY(noted(db, peer, called))) return TRY(follow(db, *own));
    return TRY(follow(db, called, Follow::numbers));
}

Result<bool> is_gone_for_good(AccountStore& account, NodeId peer, const Place& called, EmailId email) {
    Database& db = account.database();
    auto place = TRY(noted(db, peer, called));
    for (int step = 0; step < most_steps && place && place->uid.value; ++step) {
        auto e = TRY(db.query(
            "SELECT b.mailbox,e.became_uid,e.email FROM expunged e JOIN mailboxes m ON m.id=e.mailbox "
            "LEFT JOIN mailboxes b ON b.id=e.became_mailbox WHERE m.mailbox=? AND e.uid=?",
            place->mailbox, place->uid));
        if (!TRY(e.next())) return false;
        if (e.null(0)) return e.id<EmailId>(2) == email;
        place = Place{e.id<MailboxId>(0), e.uid(1)};
    }
    return false;
}

Result<void> forget_number(AccountStore& account, NodeId peer, const Place& called) {
    return account.database().run(
        "DELETE FROM outside_numbers WHERE peer=(SELECT id FROM peers WHERE peer=?) AND mailbox=? AND uid=?",
        peer, called.mailbox, called.uid);
}

Result<UidSet> unheard_numbers(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids) {
    UidSet unheard = uids;
    unheard.remove(1, TRY(account.planned(peer, mailbox)).last.value);
    if (unheard.empty()) return unheard;
    auto q = TRY(account.database().query(
        "SELECT uid FROM outside_numbers WHERE peer=(SELECT id FROM peers WHERE peer=?) AND mailbox=?", peer,
        mailbox));
    while (TRY(q.next())) unheard.remove(q.natural(0), q.natural(0));
    return unheard;
}

Result<void> note_unknown(AccountStore& account, NodeId peer, const Place& called, EmailId asked) {
    TRY(forget_number(account, peer, called));
    return note(account, peer, called, {called.mailbox, Uid{}}, asked);
}

Result<void> note_known(AccountStore& account, NodeId peer, const Place& called, const Place& now) {
    TRY(forget_number(account, peer, called));
    return note(account, peer, called, now);
}

Result<Place> note_expunged_unknown(AccountStore& account, const Place& called, EmailId email) {
    Database& db = account.database();
    TRY(db.run("INSERT OR IGNORE INTO expunged_unknown VALUES(?,?,?)", called.mailbox, called.uid, email));
    std::vector<Place> filed;
    {
        auto q =
            TRY(db.query("SELECT o.now_mailbox,o.now_uid FROM peers p CROSS JOIN outside_numbers o ON "
                         "o.peer=p.id AND o.mailbox=? AND o.uid=? AND o.now_uid<>0",
                         called.mailbox, called.uid));
        while (TRY(q.next())) filed.push_back({q.id<MailboxId>(0), q.uid(1)});
    }
    for (const auto& one : filed) {
        auto place = TRY(follow(db, one));
        if (TRY(is_of(db, place, email))) return place;
    }
    return Place{called.mailbox, Uid{}};
}

Result<bool> is_expunged_unknown(AccountStore& account, const Place& called, EmailId email) {
    auto q =
        TRY(account.database().query("SELECT 1 FROM expunged_unknown WHERE mailbox=? AND uid=? AND email=?",
                                     called.mailbox, called.uid, email));
    return q.next();
}

Result<bool> is_noted(AccountStore& account, NodeId peer, const Place& called) {
    return TRY(noted(account.database(), peer, called)).has_value();
}

Result<bool> is_asked_for(AccountStore& account, NodeId peer, const Place& called) {
    auto q = TRY(account.database().query(
        "SELECT 1 FROM outside_numbers WHERE peer=(SELECT id FROM peers WHERE peer=?) AND mailbox=? "
        "AND uid=? AND asked<>x''",
        peer, called.mailbox, called.uid));
    return q.next();
}

Result<OwnPlaces> own_places(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids) {
    Database& db = account.database();
    struct Own {
        Uid uid;
        Place filed;
        std::optional<EmailId> asked;
    };
    std::vector<Own> own;
    std::set<Uid> renumbered;
    {
        auto q = TRY(
            db.query("SELECT uid,now_mailbox,now_uid,asked FROM outside_numbers WHERE peer=(SELECT id FROM "
                     "peers WHERE peer=?) AND mailbox=?",
                     peer, mailbox));
        while (TRY(q.next()))
            if (uids.contains(q.natural(0))) {
                own.push_back({q.uid(0), {q.id<MailboxId>(1), q.uid(2)}, {}});
                if (!q.view(3).empty()) own.back().asked = q.id<EmailId>(3);
            }
    }
    for (const auto& i : uids.list()) {
        auto q =
            TRY(db.query("SELECT uid FROM expunged WHERE mailbox=(SELECT id FROM mailboxes WHERE "
                         "mailbox=?) AND uid BETWEEN ? AND ? AND became_mailbox=mailbox",
                         mailbox, i.first, i.last));
        while (TRY(q.next())) renumbered.insert(q.uid(0));
    }
    OwnPlaces places{uids, {}};
    auto add = [&](Uid uid, const Place& place) {
        if (place == Place{mailbox, uid}) return;
        places.here.remove(uid.value, uid.value);
        if (place.uid.value) places.elsewhere[place.mailbox].add(place.uid.value);
    };
    for (const auto& [uid, filed, asked] : own) {
        renumbered.erase(uid);
        bool unknown = filed.uid == Uid{} && asked;
        add(uid,
            unknown ? TRY(note_expunged_unknown(account, {mailbox, uid}, *asked)) : TRY(follow(db, filed)));
    }
    for (auto uid : renumbered) add(uid, TRY(follow(db, {mailbox, uid}, Follow::numbers)));
    return places;
}

Result<bool> is_adopted(AccountStore& account, NodeId peer, const Place& place) {
    auto q = TRY(account.database().query(
        "SELECT 1 FROM outside_numbers WHERE peer=(SELECT id FROM peers WHERE peer=?1) AND mailbox=?2 AND "
        "uid=?3 AND now_mailbox=?2 AND now_uid=?3 AND stale=0",
        peer, place.mailbox, place.uid));
    return TRY(q.next());
}

Result<ObjectId> find_copied_body(AccountStore& account, NodeId peer, const CopyWord& word) {
    auto from = TRY(find_place(account, peer, word.from)).value_or(Place{});
    auto original = TRY(find_original(account.database(), from, word.email));
    return original ? original->message.object : ObjectId{};
}

Result<Filed> file_copy(AccountStore& account, NodeId peer, const CopyWord& word, UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<Filed> {
        Filed filed;
        bool used = false;
        auto give_back = [&]() -> Result<Filed> {
            if (!used) TRY(journal_release(db, word.body.object, word.body.hold));
            return filed;
        };
        {
            auto change = TRY(AccountChange::begin(db));
            change.see_stamp(std::max(word.moved.time, sync::latest_time(word.flags.registers)));
            TRY(change.save());
        }
        auto before = TRY(noted(db, peer, word.to));
        if (before && word.from == word.to) before = TRY(unless_nowhere(account, peer, word.to, *before));
        if (before) {
            filed.repeat = true;
            filed.now = TRY(follow(db, *before));
            filed.unknown = filed.now.uid == Uid{} && TRY(is_asked_for(account, peer, word.to));
            return give_back();
        }
        // What is copied from itself is known by its EmailId alone.
        std::optional<Place> from = Place{word.from.mailbox, Uid{}};
        if (word.from != word.to) from = TRY(find_place(account, peer, word.from));
        if (!from || !TRY(find_mailbox_row(db, word.to.mailbox))) {
            filed.waits = true;
            return give_back();
        }
        filed.now = {word.to.mailbox, Uid{}};
        auto is_lost = [&]() -> Result<bool> {
            if (word.from == word.to) return false;
            // It may have gone on at the peer before that has heard that it is asked for.
            if (TRY(noted(db, peer, word.from))) return TRY(is_asked_for(account, peer, word.from));
            return TRY(is_forgotten(db, word.from, word.email));
        };
        if (!word.moved.is_zero()) {
            bool lost = !TRY(is_of(db, *from, word.email)) && TRY(is_lost());
            if (lost) from = TRY(find_by_email(db, word.email)).value_or(*from);
            if (!TRY(is_of(db, *from, word.email))) {
                filed.unknown = lost;
                TRY(give_up(account, word.to, now));  // it was expunged, which is final
            } else if (!sync::move_holds(from->mailbox == word.from.mailbox, TRY(account.placed(*from)),
                                         word.moved)) {
                TRY(give_up(account, word.to, now));
                filed.now = TRY(follow(db, *from));  // which may have had that number
                TRY(account.merge_flags(NodeId{}, filed.now.mailbox, filed.now.uid, word.flags));
            } else {
                auto target = TRY(find_target(account, word.to.mailbox, now));
                UidSet uid;
                uid.add(from->uid.value);
                auto rows = TRY(account.load_messages(from->mailbox, uid, column_seal, 1));
                if (!rows.empty() && is_sealed_otherwise(word, rows[0].seal.sha256)) {
                    TRY(give_up(account, word.to, now));
                    target = TRY(find_target(account, word.to.mailbox, now));
                } else {
                    TRY(make_room(account, word.to, *target, now));
                }
                from = TRY(follow(db, *from));
                filed.now = TRY(file_move(account, word, *from, *target, now));
            }
        } else if (auto original = TRY(find_original(db, *from, word.email)); !original) {
            filed.unknown = TRY(is_lost());
            TRY(give_up(account, word.to, now));
        } else if (original->message.object != word.body.object) {
            filed.waits = true;
            return give_back();
        } else {
            auto target = TRY(find_target(account, word.to.mailbox, now));
            std::optional<Place> same;
            if (word.from == word.to)
                same = TRY(take_same(account, word.to, *target, word.email, word.flags, now));
            if (same) {
                TRY(note(account, peer, word.to, filed.now = *same));
                return give_back();
            }
            auto& copy = original->message;
            copy.mailbox = target->mailbox.id;
            copy.hold = word.body.hold;
            copy.flags = word.flags.flags;
            copy.registers = word.flags.registers;
            copy.saved_at = now;
            if (is_sealed_otherwise(word, original->seal.sha256)) {
                TRY(give_up(account, word.to, now));
                target = TRY(find_target(account, word.to.mailbox, now));
            }
            filed.now = TRY(file_new(account, word.to, *target, copy, original->seal, now));
            used = true;
            filed.expunged = word.from == word.to && TRY(is_expunged_unknown(account, word.to, word.email));
        }
        TRY(note(account, peer, word.to, filed.now, filed.unknown ? word.email : EmailId{}));
        return give_back();
    });
}

Result<Filed> file_append(AccountStore& account, NodeId peer, const AppendWord& word, UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<Filed> {
        Filed filed;
        auto before = TRY(noted(db, peer, word.to));
        if (before && word.message && (word.returned || TRY(is_asked_for(account, peer, word.to))))
            before = TRY(unless_nowhere(account, peer, word.to, *before));
        if (before) {
            filed.repeat = true;
            filed.now = TRY(follow(db, *before));
        }
        filed.waits = !filed.repeat && !TRY(find_mailbox_row(db, word.to.mailbox));
        if (filed.repeat || filed.waits) {
            if (word.message) TRY(journal_release(db, word.message->object, word.message->hold));
            return filed;
        }
        filed.now = {word.to.mailbox, Uid{}};
        if (!word.message) {
            TRY(give_up(account, word.to, now));
        } else {
            if (!word.as_shown) TRY(give_up(account, word.to, now));
            auto target = TRY(find_target(account, word.to.mailbox, now));
            auto message = *word.message;
            std::optional<Place> same;
            if (word.returned)
                same = TRY(take_same(account, word.to, *target, message.email_id,
                                     {message.flags, message.registers}, now));
            if (same) {
                TRY(journal_release(db, message.object, message.hold));
                TRY(note(account, peer, word.to, filed.now = *same));
                return filed;
            }
            message.mailbox = target->mailbox.id;
            filed.now = TRY(file_new(account, word.to, *target, message, word.seal, now));
            filed.expunged = word.returned && TRY(is_expunged_unknown(account, word.to, message.email_id));
        }
        TRY(note(account, peer, word.to, filed.now));
        return filed;
    });
}

}  // namespace fwmail::store
