#include "store/elsewhere.hpp"

#include <ranges>

#include "store/account_rows.hpp"
#include "store/outside_numbers.hpp"
#include "sync/entries.hpp"

namespace fwmail::store {
namespace {

// Of `o` in the mailbox `b`: whoever looks for the message finds it there, whole, and core knows it there.
#define IS_SEEN                                                                             \
    "o.seal_state=1 AND o.elsewhere_since=0 AND b.deleted=0 AND NOT EXISTS (SELECT 1 FROM " \
    "provisional p WHERE p.mailbox=b.mailbox AND p.uid=o.uid)"

Result<bool> is_seen(Database& db, EmailId email) {
    auto q = TRY(db.query(
        "SELECT 1 FROM messages o JOIN mailboxes b ON b.id=o.mailbox WHERE o.email=? AND " IS_SEEN " LIMIT 1",
        email));
    return q.next();
}

Result<bool> any_kept(Database& db) {
    auto q = TRY(db.query("SELECT EXISTS (SELECT 1 FROM messages WHERE elsewhere_since>0)"));
    TRY(q.next());
    return q.boolean(0);
}

struct Expunge {
    bool final = false;  // the message is not under another number
    bool said = false;   // by the peer itself
};
Result<Expunge> load_expunge(Database& db, NodeId peer, const Place& place) {
    auto q =
        TRY(db.query("SELECT became_mailbox=0,told_by=ifnull((SELECT id FROM peers WHERE peer=?),-1) FROM "
                     "expunged WHERE mailbox=(SELECT id FROM mailboxes WHERE mailbox=?) AND uid=?",
                     peer, place.mailbox, place.uid));
    return TRY(q.next()) ? Expunge{q.boolean(0), q.boolean(1)} : Expunge{};
}

// The numbers of core's that have become this one, the last first, and itself before them.
Result<std::vector<Place>> with_earlier(Database& db, const Place& place) {
    constexpr std::size_t most = 1000;  // what is longer ago has been seen elsewhere
    std::vector<Place> all{place};
    while (all.size() < most) {
        auto q = TRY(
            db.query("SELECT b.mailbox,e.uid FROM expunged e JOIN mailboxes b ON b.id=e.mailbox WHERE "
                     "e.became_mailbox<>0 AND e.became_mailbox=(SELECT id FROM mailboxes WHERE mailbox=?) "
                     "AND e.became_uid=? LIMIT 1",
                     all.back().mailbox, all.back().uid));
        if (!TRY(q.next())) break;
        all.push_back({q.id<MailboxId>(0), q.uid(1)});
    }
    return all;
}

// The numbers that the peer has given to it.
Result<std::vector<Place>> given_to(Database& db, NodeId peer, const Place& place) {
    auto q =
        TRY(db.query("SELECT mailbox,uid FROM outside_numbers WHERE peer=(SELECT id FROM peers WHERE peer=?) "
                     "AND now_mailbox=? AND now_uid=?",
                     peer, place.mailbox, place.uid));
    std::vector<Place> given;
    while (TRY(q.next())) given.push_back({q.id<MailboxId>(0), q.uid(1)});
    return given;
}

Result<bool> will_be_told(Database& db, const Place& place) {
    if (place.uid == Uid{}) return false;
    auto q = TRY(
        db.query("SELECT seal_state FROM messages WHERE mailbox=(SELECT id FROM mailboxes WHERE mailbox=?) "
                 "AND uid=?",
                 place.mailbox, place.uid));
    return TRY(q.next()) && q.enumerator<SealState>(0) != SealState::withheld;
}

}  // namespace

Result<UidSet> keep_unseen(AccountStore& account, MailboxId mailbox, const UidSet& uids, UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<UidSet> {
        auto row = TRY(any_mailbox_row(db, mailbox));
        std::vector<std::pair<Uid, EmailId>> all;
        for (const auto& i : uids.list()) {
            auto q = TRY(db.query("SELECT uid,email FROM messages WHERE mailbox=? AND uid BETWEEN ? AND ?",
                                  row.row, i.first, i.last));
            while (TRY(q.next())) all.emplace_back(q.uid(0), q.id<EmailId>(1));
        }
        // First, so that of copies of one message that go together none stands for another.
        for (const auto& i : uids.list())
            TRY(
                db.run("UPDATE messages SET elsewhere_since=? WHERE mailbox=? AND uid BETWEEN ? AND ? AND "
                       "elsewhere_since=0",
                       now, row.row, i.first, i.last));
        UidSet kept;
        for (const auto& [uid, email] : all)
            if (!TRY(is_seen(db, email))) kept.add(uid.value);
        return kept;
    });
}

Result<void> keep_all(AccountStore& account, MailboxId mailbox, UnixMillis now) {
    return account.database().run(
        "UPDATE messages SET elsewhere_since=?1 WHERE mailbox=(SELECT id FROM mailboxes WHERE mailbox=?2) "
        "AND "
        "elsewhere_since=0 AND NOT EXISTS (SELECT 1 FROM provisional p WHERE p.mailbox=?2 AND "
        "p.uid=messages.uid AND p.now_mailbox=zeroblob(16))",
        now, mailbox);
}

Result<std::map<MailboxId, UidSet>> seen_elsewhere(AccountStore& account, MailboxId mailbox,
                                                   const std::vector<Uid>& shown) {
    Database& db = account.database();
    std::map<MailboxId, UidSet> seen;
    if (shown.empty() || !TRY(any_kept(db))) return seen;
    for (auto uid : shown) {
        auto q = TRY(db.query(
            "SELECT c.mailbox,k.uid FROM mailboxes b JOIN messages o ON o.mailbox=b.id JOIN messages "
            "k ON k.email=o.email AND k.elsewhere_since>0 JOIN mailboxes c ON c.id=k.mailbox WHERE "
            "b.mailbox=? AND o.uid=? AND " IS_SEEN,
            mailbox, uid));
        while (TRY(q.next())) seen[q.id<MailboxId>(0)].add(q.natural32(1));
    }
    return seen;
}

Result<void> forget_kept(AccountStore& account) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        TRY(db.run("UPDATE messages SET elsewhere_since=0 WHERE elsewhere_since>0"));
        return db.run(
            "DELETE FROM provisional WHERE now_mailbox<>zeroblob(16) AND EXISTS (SELECT 1 FROM messages m "
            "JOIN mailboxes b ON b.id=m.mailbox WHERE b.mailbox=provisional.mailbox AND "
            "m.uid=provisional.uid)");
    });
}

Result<std::vector<MailboxId>> deleted_and_kept(AccountStore& account) {
    auto q = TRY(account.database().query("SELECT mailbox FROM mailboxes WHERE deleted<>0 AND messages>0"));
    std::vector<MailboxId> all;
    while (TRY(q.next())) all.push_back(q.id<MailboxId>(0));
    return all;
}

Result<Gone> gone_at(AccountStore& account, NodeId peer, const std::vector<ExpungedMessage>& expunged) {
    Database& db = account.database();
    Gone gone;
    std::map<MailboxId, Uid> planned;
    auto is_planned = [&](const Place& place) -> Result<bool> {
        auto last = planned.find(place.mailbox);
        if (last == planned.end())
            last = planned.emplace(place.mailbox, TRY(account.planned(peer, place.mailbox)).last).first;
        return place.uid <= last->second;
    };
    for (const auto& change : expunged) {
        Place place{change.mailbox, change.uid};
        auto expunge = TRY(load_expunge(db, peer, place));
        auto all = TRY(with_earlier(db, place));
        // From the first on: of what it has given itself a confirmation may have named each number since.
        bool given = false;
        for (const auto& one : all | std::views::reverse) {
            bool last = one == place;
            for (const auto& called : TRY(given_to(db, peer, one))) {
                given = true;
                if (expunge.final && !(last && called == one)) gone.given.push_back(called);
            }
            if (last ? expunge.said : !expunge.final) continue;
            if (given || TRY(is_planned(one))) gone.uids[one.mailbox].add(one.uid.value);
        }
    }
    return gone;
}

Result<UidSet> moved_among(AccountStore& account, NodeId peer, MailboxId mailbox, const UidSet& uids) {
    Database& db = account.database();
    UidSet gone, moved;
    for (const auto& i : uids.list()) {
        auto q = TRY(db.query(
            "SELECT uid FROM expunged WHERE mailbox=(SELECT id FROM mailboxes WHERE mailbox=?1) AND uid "
            "BETWEEN ?2 AND ?3 AND became_mailbox<>0 UNION SELECT uid FROM outside_numbers WHERE "
            "peer=(SELECT id FROM peers WHERE peer=?4) AND mailbox=?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid",
            mailbox, i.first, i.last, peer));
        while (TRY(q.next())) gone.add(q.natural32(0));
    }
    for (const auto& i : gone.list())
        for (auto n = i.first; n <= i.last; ++n) {
            Place called{mailbox, Uid{n}}, now = TRY(where_now(account, peer, called));
            if (now != called && (TRY(will_be_told(db, now)) || TRY(is_asked_for(account, peer, called))))
                moved.add(n);
            if (moved.list().size() == sync::max_uid_intervals || n == UINT32_MAX) return moved;
        }
    return moved;
}

}  // namespace fwmail::store
