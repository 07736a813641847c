#include "store/stated.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "store/account_rows.hpp"
#include "store/epochs.hpp"
#include "store/outside_expunges.hpp"

namespace fwmail::store {
namespace {

constexpr std::uint32_t compared_columns =
    column_identity | column_flags | column_registers | column_seal | column_date;

constexpr std::uint32_t furthest_floor = 1 << 27;  // above core's own numbers: a year's leap

UidSet stretch_of(Uid first, Uid last) {
    UidSet uids;
    uids.add(first.value, last.value);
    return uids;
}

std::string_view view_of(const sync::Sha256& hash) {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// Whether a message of this id is known here, or what is left of one that was expunged outside.
Result<bool> has_body_of(Database& db, EmailId email) {
    auto q = TRY(
        db.query("SELECT EXISTS(SELECT 1 FROM messages WHERE email=?1) OR EXISTS(SELECT 1 FROM hidden WHERE "
                 "email=?1)",
                 email));
    TRY(q.next());
    return q.boolean(0);
}

Result<UidSet> held(AccountStore& account, MailboxId mailbox) {
    UidSet uids;
    for (const auto& one : TRY(load_held_expunges(account)))
        if (one.mailbox == mailbox) uids.add(one.uids);
    return uids;
}

// What core has told to be elsewhere, moves here followed, and is not here under a number that core has
// confirmed: nothing is known of it here.
Result<bool> is_lost_sight_of(Database& db, std::int64_t mailbox, Uid uid, EmailId email) {
    constexpr int most_steps = 1000;  // each number is used once, so there is an end anyway
    for (int step = 0; step < most_steps; ++step) {
        auto q = TRY(db.query("SELECT became_mailbox,became_uid FROM expunged WHERE mailbox=? AND uid=?",
                              mailbox, uid));
        if (!TRY(q.next()) || q.natural(1) == 0) return false;
        mailbox = q.integer(0);
        uid = q.uid(1);
        if (mailbox) continue;
        auto here = TRY(db.query(
            "SELECT 1 FROM messages m JOIN mailboxes b ON b.id=m.mailbox WHERE m.email=? AND NOT EXISTS "
            "(SELECT 1 FROM provisional p WHERE p.mailbox=b.mailbox AND p.uid=m.uid AND "
            "p.now_mailbox=zeroblob(16)) LIMIT 1",
            email));
        return !TRY(here.next());
    }
    return false;
}

class Comparison {
  public:
    Comparison(AccountStore& account, NodeId peer, const sync::StateEntry& entry, UnixMillis now)
        : account_(account), db_(account.database()), peer_(peer), entry_(entry), now_(now) {}

    Result<Differences> run(UnixMillis since) {
        auto row = TRY(any_mailbox_row(db_, entry_.mailbox));
        row_ = row.row;
        if (!row.mailbox.deleted) TRY(load_mine(row.mailbox));
        for (const auto& theirs : entry_.there) TRY(compare(theirs));
        for (const auto& theirs : entry_.gone) TRY(compare(theirs));
        auto planned = TRY(account_.planned(peer_, entry_.mailbox));
        bool awaited = TRY(awaited_state(account_, peer_)) > 0, settled = entry_.settled && !awaited;
        UidSet lost;  // they were sent, and have not come
        for (const auto& [uid, message] : mine_) {
            if (told_.contains(uid.value) || message.seal.state == SealState::withheld) continue;
            if (uid > entry_.visible ? uid <= entry_.floor : message.date >= since)
                renumbered_.add(uid.value);
            else if (settled && uid > entry_.visible && uid <= planned.last &&
                     message.seal.state == SealState::sealed)
                lost.add(uid.value);
        }
        renumbered_.add(lost);
        out_.leave.add(lost);
        UidSet moving;
        for (const auto& [uid, message] : mine_)
            if (renumbered_.contains(uid.value) && !is_hidden(uid)) moving.add(uid.value);
        if (!moving.empty()) {
            TRY(account_.move(entry_.mailbox, moving, entry_.mailbox, now_));
            out_.changed = true;
        }
        if (entry_.last.value != UINT32_MAX) return std::move(out_);
        // What was planned in this epoch already is on its way, whatever the peer has told since. Where that
        // is not so the next message must not wait for what does not come.
        if (awaited || planned.last <= entry_.floor || !lost.empty())
            planned = {entry_.floor, entry_.floor};
        else if (settled)
            planned.chained = std::min(planned.chained, entry_.floor);
        TRY(account_.set_planned(peer_, entry_.mailbox, planned));
        return std::move(out_);
    }

  private:
    Result<> load_mine(const Mailbox& mailbox) {
        // What the peer has shown must not be given once more. It cannot have shown so much that there would
        // be no numbers left.
        if (mailbox.uidnext <= entry_.floor && entry_.floor.value - mailbox.uidnext.value < furthest_floor)
            TRY(db_.run("UPDATE mailboxes SET uidnext=? WHERE id=?", Uid{entry_.floor.value + 1}, row_));
        TRY(account_.visit_messages(entry_.mailbox, stretch_of(entry_.first, entry_.last), compared_columns,
                                    Uid{}, [&](Message& message) -> Result<bool> {
                                        Uid uid = message.uid;
                                        mine_.emplace(uid, std::move(message));
                                        return true;
                                    }));
        held_ = TRY(held(account_, entry_.mailbox));
        return {};
    }

    Result<> compare(const sync::StateEntry::There& theirs) {
        told_.add(theirs.uid.value);
        Place called{entry_.mailbox, theirs.uid};
        sync::FlagState state{theirs.flags, theirs.registers};
        out_.ahead |= sync::drop_ahead(state, now_);
        auto mine = mine_.find(theirs.uid);
        if (mine != mine_.end() && mine->second.email_id == theirs.email)
            return compare_same(mine->second, theirs, state);
        auto place = TRY(where_now(account_, peer_, called));
        if (place != called && TRY(is_of(db_, place, theirs.email))) return leave(theirs.uid, place, state);
        if (mine != mine_.end()) renumbered_.add(theirs.uid.value);
        bool stub = theirs.sealed_sha256 == sync::Sha256{};
        if (stub || TRY(was_expunged(theirs.uid, theirs.email))) {
            if (mine != mine_.end()) TRY(note_unknown(account_, peer_, called, {}));
            out_.leave.add(theirs.uid.value);
            return {};
        }
        if (TRY(is_gone_for_good(account_, peer_, called, theirs.email))) {
            out_.nowhere.push_back(theirs.uid);
            return {};
        }
        place = {entry_.mailbox, TRY(find_unheard(theirs.email))};
        if (place.uid.value) {
            TRY(note_known(account_, peer_, called, place));
            if (place.uid <= entry_.floor) renumbered_.add(place.uid.value);  // whatever its date: it is told
            return leave(theirs.uid, place, state);
        }
        TRY(note_unknown(account_, peer_, called, theirs.email));
        (TRY(has_body_of(db_, theirs.email)) ? out_.copies : out_.bodies).add(theirs.uid.value);
        return {};
    }

    // The number goes at the peer: the message is in that place.
    Result<> leave(Uid uid, const Place& place, const sync::FlagState& state) {
        out_.changed |=
            TRY(account_.merge_flags(NodeId{}, place.mailbox, place.uid, state)) == Merged::changed;
        out_.leave.add(uid.value);
        return {};
    }

    Result<> compare_same(const Message& mine, const sync::StateEntry::There& theirs,
                          const sync::FlagState& state) {
        // What a stub stands for does not come any more; and of other octets nobody knows. It is all sent
        // under another number.
        if (mine.seal.state != SealState::sealed || mine.seal.sha256 != view_of(theirs.sealed_sha256)) {
            TRY(account_.merge_flags(NodeId{}, entry_.mailbox, mine.uid, state));
            renumbered_.add(mine.uid.value);
            out_.leave.add(mine.uid.value);
            return {};
        }
        sync::FlagState own{mine.flags, mine.registers}, merged = sync::merge_flags(own, state);
        if (merged != own)
            out_.changed |=
                TRY(account_.merge_flags(peer_, entry_.mailbox, mine.uid, state)) == Merged::changed;
        if (merged != state) out_.flags.push_back(mine.uid);
        return {};
    }

    Result<> compare(const sync::StateEntry::Gone& theirs) {
        told_.add(theirs.uid.value);
        using Gone = sync::StateEntry::Gone;
        auto mine = mine_.find(theirs.uid);
        if (mine != mine_.end() && mine->second.email_id == theirs.email) {
            if (theirs.why != Gone::moving && !held_.contains(theirs.uid.value))
                out_.hide.here.add(theirs.uid.value);
            return {};
        }
        if (mine != mine_.end() && !held_.contains(theirs.uid.value)) renumbered_.add(theirs.uid.value);
        if (mine == mine_.end() && TRY(was_expunged(theirs.uid, theirs.email, true))) return {};
        Place called{entry_.mailbox, theirs.uid}, place = TRY(where_expunged(account_, peer_, called));
        if (place.uid.value && !TRY(is_of(db_, place, theirs.email)))
            return note_unknown(account_, peer_, called, theirs.email);
        if (theirs.why != Gone::expunged) return {};
        if (place.uid == Uid{} && !TRY(was_known(called, theirs.email))) {
            place = TRY(note_expunged_unknown(account_, called, theirs.email));
            if (place.uid == Uid{}) place.uid = TRY(find_unheard(theirs.email));
        }
        if (place.uid.value && !TRY(held(account_, place.mailbox)).contains(place.uid.value))
            out_.hide.elsewhere[place.mailbox].add(place.uid.value);
        return {};
    }

    // What the peer has filed itself it has expunged under another number too, where it has had one.
    Result<bool> was_known(const Place& called, EmailId email) {
        return TRY(is_noted(account_, peer_, called)) || TRY(was_expunged(called.uid, email)) ||
               TRY(is_expunged_unknown(account_, called, email));
    }

    // The message under a number of which the peer has not heard, where the mailbox has it once. It had the
    // other one before that was lost.
    Result<Uid> find_unheard(EmailId email) {
        auto q =
            TRY(db_.query("SELECT min(uid),count(*) FROM messages WHERE mailbox=? AND email=?", row_, email));
        if (!TRY(q.next()) || q.natural(1) != 1) return Uid{};
        Uid uid = q.uid(0);
        if (uid > entry_.floor) return uid;
        if (uid < entry_.first || uid > entry_.last) return Uid{};
        auto is_told = [&](const auto& messages) {
            auto found = std::ranges::lower_bound(messages, uid, {}, [](const auto& m) { return m.uid; });
            return found != messages.end() && found->uid == uid && found->email == email;
        };
        return is_told(entry_.there) || is_told(entry_.gone) ? Uid{} : uid;
    }

    bool is_hidden(Uid uid) const {
        auto found = out_.hide.elsewhere.find(entry_.mailbox);
        return found != out_.hide.elsewhere.end() && found->second.contains(uid.value);
    }

    // `for_good`: and was not moved, and did not get another number.
    Result<bool> was_expunged(Uid uid, EmailId email, bool for_good = false) {
        auto q = TRY(db_.query("SELECT became_uid FROM expunged WHERE mailbox=? AND uid=? AND email=?", row_,
                               uid, email));
        return TRY(q.next()) && (!for_good || q.natural(0) == 0);
    }

    AccountStore& account_;
    Database& db_;
    NodeId peer_;
    const sync::StateEntry& entry_;
    UnixMillis now_;
    std::int64_t row_ = 0;
    std::map<Uid, Message> mine_;
    UidSet held_, told_, renumbered_;
    Differences out_;
};

}  // namespace

Result<void> let_pass(AccountStore& account) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        TRY(db.run("DELETE FROM pending WHERE state IN (?,?)", BodyState::missing, BodyState::gone));
        return db.run("UPDATE pending SET prev_uid=0");
    });
}

Result<std::vector<std::pair<Uid, Uid>>> stretches(AccountStore& account, MailboxId mailbox) {
    auto row = TRY(any_mailbox_row(account.database(), mailbox));
    std::vector<std::pair<Uid, Uid>> out;
    Uid first{1};
    auto q = TRY(account.database().query(
        "SELECT uid FROM messages WHERE mailbox=?1 UNION ALL SELECT uid FROM expunged WHERE mailbox=?1 ORDER "
        "BY uid",
        row.row));
    std::size_t count = 0;
    while (TRY(q.next())) {
        if (++count < stated_at_once || q.natural(0) >= UINT32_MAX) continue;
        out.emplace_back(first, q.uid(0));
        first = Uid{q.natural32(0) + 1};
        count = 0;
    }
    out.emplace_back(first, Uid{UINT32_MAX});
    return out;
}

Result<sync::StateEntry> load_state(AccountStore& account, MailboxId mailbox, Uid first, Uid last) {
    Database& db = account.database();
    auto row = TRY(any_mailbox_row(db, mailbox));
    sync::StateEntry entry;
    entry.mailbox = mailbox;
    entry.first = first;
    entry.last = last;
    entry.floor = row.mailbox.visible;
    UidSet waiting;
    {
        auto q = TRY(
            db.query("SELECT uid FROM provisional WHERE mailbox=? AND now_mailbox=zeroblob(16)", mailbox));
        while (TRY(q.next())) waiting.add(q.natural(0));
    }
    std::map<Uid, std::string> resealed;  // whose new octets are here, and are shown soon
    {
        auto q = TRY(db.query("SELECT uid,sha256 FROM pending WHERE mailbox=? AND reseals=1 AND state=?",
                              row.row, BodyState::ready));
        while (TRY(q.next())) resealed.emplace(q.uid(0), q.text(1));
    }
    TRY(account.visit_messages(
        mailbox, stretch_of(first, last), compared_columns, Uid{}, [&](Message& message) -> Result<bool> {
            if (waiting.contains(message.uid.value)) return true;
            sync::StateEntry::There there{
                message.uid, message.email_id, {}, std::move(message.flags), std::move(message.registers)};
            if (auto fresh = resealed.find(message.uid); fresh != resealed.end())
                message.seal.sha256 = fresh->second;
            if (message.seal.sha256.size() == there.sealed_sha256.size())
                std::ranges::copy(message.seal.sha256, there.sealed_sha256.begin());
            entry.there.push_back(std::move(there));
            return true;
        }));
    // What was moved, and whose request is on the way, is neither there nor gone: the request moves it.
    auto q = TRY(
        db.query("SELECT e.uid,e.email,e.became_uid,EXISTS (SELECT 1 FROM provisional p JOIN mailboxes b ON "
                 "b.mailbox=p.mailbox WHERE b.id=e.became_mailbox AND p.uid=e.became_uid AND "
                 "p.now_mailbox=zeroblob(16)) FROM expunged e WHERE e.mailbox=? AND e.uid BETWEEN ? AND ? "
                 "AND length(e.email)=16 ORDER BY e.uid",
                 row.row, first, last));
    while (TRY(q.next())) {
        if (waiting.contains(q.natural(0))) continue;
        auto email = q.id<EmailId>(1);
        if (q.natural(2) && TRY(is_lost_sight_of(db, row.row, q.uid(0), email))) continue;
        using Gone = sync::StateEntry::Gone;
        auto why = q.boolean(3) ? Gone::moving : q.natural(2) ? Gone::elsewhere : Gone::expunged;
        entry.gone.push_back({q.uid(0), email, why});
    }
    return entry;
}

Result<void> note_elsewhere(AccountStore& account, MailboxId mailbox, const UidSet& uids) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        for (const auto& i : uids.list())
            TRY(
                db.run("UPDATE expunged SET became_uid=1 WHERE mailbox=(SELECT id FROM mailboxes WHERE "
                       "mailbox=?) AND uid BETWEEN ? AND ? AND became_mailbox=0",
                       mailbox, i.first, i.last));
        return {};
    });
}

Result<Differences> compare_state(AccountStore& account, NodeId peer, const sync::StateEntry& entry,
                                  UnixMillis since, UnixMillis now) {
    return Comparison(account, peer, entry, now).run(since);
}

}  // namespace fwmail::store
