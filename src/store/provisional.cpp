#include "store/provisional.hpp"

#include <set>

#include "store/account_rows.hpp"
#include "store/elsewhere.hpp"

namespace fwmail::store {

Result<void> note_provisional(AccountStore& account, const Place& place, EmailId email, Reference body,
                              UnixMillis now) {
    return account.database().run("INSERT INTO provisional VALUES(?,?,?,?,?,?,zeroblob(16),0,0,x'',0,x'')",
                                  place.mailbox, place.uid, email, body.object, body.hold, now);
}

Result<std::optional<Reference>> find_home_body(AccountStore& account, const Place& place) {
    auto q = TRY(account.database().query(
        "SELECT object,hold FROM provisional WHERE mailbox=? AND uid=? AND now_mailbox=zeroblob(16)",
        place.mailbox, place.uid));
    if (!TRY(q.next())) return std::nullopt;
    return Reference{q.id<ObjectId>(0), q.id<HoldId>(1)};
}

Result<void> drop_unwanted_bodies(AccountStore& account, MailboxId mailbox, const UidSet& uids) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        std::set<EmailId> emails;
        {
            auto q = TRY(db.query(
                "SELECT uid,email FROM provisional WHERE mailbox=? AND now_mailbox=zeroblob(16)", mailbox));
            while (TRY(q.next()))
                if (uids.contains(q.natural(0))) emails.insert(q.id<EmailId>(1));
        }
        for (auto email : emails) {
            constexpr std::string_view unwanted =
                "email=?1 AND object<>zeroblob(16) AND NOT EXISTS (SELECT 1 FROM messages WHERE email=?1)";
            TRY(db.run(
                "INSERT OR IGNORE INTO released(object,hold) SELECT object,hold FROM provisional WHERE " +
                    std::string(unwanted),
                email));
            TRY(db.run(
                "UPDATE provisional SET object=zeroblob(16),hold=zeroblob(16) WHERE " + std::string(unwanted),
                email));
        }
        return {};
    });
}

Result<void> note_expunged(AccountStore& account, MailboxId mailbox, const UidSet& uids) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        for (const auto& i : uids.list())
            TRY(
                db.run("UPDATE provisional SET expunged=1 WHERE mailbox=? AND uid BETWEEN ? AND ? AND "
                       "now_mailbox=zeroblob(16)",
                       mailbox, i.first, i.last));
        return {};
    });
}

Result<void> hold_request(AccountStore& account, const Place& place, const Place& from,
                          std::string_view request) {
    return account.database().run(
        "UPDATE provisional SET from_mailbox=?,from_uid=?,request=? WHERE mailbox=? AND uid=?", from.mailbox,
        from.uid, Blob{request}, place.mailbox, place.uid);
}

Result<UidSet> unconfirmed(AccountStore& account, MailboxId mailbox, const UidSet& among) {
    UidSet uids;
    auto q = TRY(account.database().query(
        "SELECT uid FROM provisional WHERE mailbox=? AND now_mailbox=zeroblob(16)", mailbox));
    while (TRY(q.next()))
        if (among.contains(q.natural(0))) uids.add(q.natural(0));
    return uids;
}

Result<Waiting> summarize_waiting(AccountStore& account) {
    auto q = TRY(account.database().query(
        "SELECT (SELECT count(*) FROM pending WHERE state<>?),(SELECT count(*) FROM provisional WHERE "
        "now_mailbox=zeroblob(16))",
        BodyState::gone));
    TRY(q.next());
    Waiting waiting{q.natural(0), q.natural(1), std::nullopt};
    auto latest = TRY(account.database().query(
        "SELECT max(t) FROM (SELECT max(arrived) AS t FROM pending WHERE state<>? UNION ALL SELECT "
        "max(elsewhere_since) FROM messages WHERE elsewhere_since>0)",
        BodyState::gone));
    TRY(latest.next());
    waiting.latest = latest.optional_time(0);
    return waiting;
}

Result<std::optional<Confirmed>> confirm(AccountStore& account, const Place& place, const Place& now_at,
                                         UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<std::optional<Confirmed>> {
        Confirmed confirmed;
        Reference body;
        EmailId email;
        {
            auto q = TRY(
                db.query("SELECT object,hold,expunged,email FROM provisional WHERE mailbox=? AND uid=? AND "
                         "now_mailbox=zeroblob(16)",
                         place.mailbox, place.uid));
            if (!TRY(q.next())) return std::nullopt;
            body = {q.id<ObjectId>(0), q.id<HoldId>(1)};
            confirmed.expunged = q.boolean(2) && now_at.uid.value;
            email = q.id<EmailId>(3);
        }
        {
            auto q =
                TRY(db.query("SELECT mailbox,uid,request FROM provisional WHERE from_mailbox=? AND "
                             "from_uid=? AND from_uid>0 ORDER BY mailbox,uid",
                             place.mailbox, place.uid));
            while (TRY(q.next())) confirmed.requests.push_back({{q.id<MailboxId>(0), q.uid(1)}, q.text(2)});
        }
        TRY(
            db.run("UPDATE provisional SET from_mailbox=x'',from_uid=0,request=x'' WHERE from_mailbox=? AND "
                   "from_uid=? AND from_uid>0",
                   place.mailbox, place.uid));
        TRY(journal_release(db, body.object, body.hold));
        TRY(db.run("DELETE FROM provisional WHERE mailbox=? AND uid=?", place.mailbox, place.uid));
        auto mailbox = TRY(account.find_mailbox(place.mailbox));
        UidSet one;
        one.add(place.uid.value);
        bool same = now_at.uid.value && now_at.mailbox == place.mailbox;
        if (mailbox && now_at.uid == Uid{}) TRY(account.expunge_any(place.mailbox, one));
        if (mailbox && mailbox->deleted) TRY(keep_all(account, place.mailbox, now));
        confirmed.leaves = mailbox && now_at.uid.value && !same;
        if (now_at == place) return confirmed;
        if (now_at.uid.value)
            TRY(db.run("INSERT INTO provisional VALUES(?,?,?,zeroblob(16),zeroblob(16),?,?,?,?,x'',0,x'')",
                       place.mailbox, place.uid, email, now, now_at.mailbox, now_at.uid, confirmed.expunged));
        return confirmed;
    });
}

Result<std::vector<GivenUp>> given_up(AccountStore& account, MailboxId mailbox) {
    auto q = TRY(account.database().query(
        "SELECT p.uid,b.deleted=0 AND EXISTS (SELECT 1 FROM messages m WHERE m.mailbox=b.id AND m.uid=p.uid) "
        "AND (p.now_uid<=b.visible OR EXISTS (SELECT 1 FROM messages m WHERE m.mailbox=b.id AND "
        "m.uid=p.now_uid AND m.email=p.email) OR EXISTS (SELECT 1 FROM pending g WHERE g.mailbox=b.id AND "
        "g.uid=p.now_uid AND g.state=?2)) FROM provisional p JOIN mailboxes b ON b.mailbox=p.mailbox WHERE "
        "p.mailbox=?1 AND p.now_mailbox=?1 ORDER BY p.uid",
        mailbox, BodyState::gone));
    std::vector<GivenUp> all;
    while (TRY(q.next())) all.push_back({q.uid(0), q.boolean(1)});
    return all;
}

Result<UidSet> all_given_up(AccountStore& account, MailboxId mailbox) {
    auto q = TRY(account.database().query(
        "SELECT uid FROM provisional WHERE mailbox=? AND now_mailbox<>zeroblob(16)", mailbox));
    UidSet uids;
    while (TRY(q.next())) uids.add(q.natural32(0));
    return uids;
}

Result<std::vector<UidPair>> successors(AccountStore& account, MailboxId mailbox) {
    // Not what was given here as well: core's message of that number has another one by now.
    auto q = TRY(account.database().query(
        "SELECT p.uid,p.now_uid FROM provisional p JOIN mailboxes b ON b.mailbox=p.mailbox JOIN messages m "
        "ON m.mailbox=b.id AND m.uid=p.now_uid AND m.email=p.email WHERE p.mailbox=?1 AND p.now_mailbox=?1 "
        "AND NOT EXISTS (SELECT 1 FROM provisional o WHERE o.mailbox=?1 AND o.uid=p.now_uid) ORDER BY p.uid",
        mailbox));
    std::vector<UidPair> pairs;
    while (TRY(q.next())) pairs.push_back({q.uid(0), q.uid(1)});
    return pairs;
}

Result<UidSet> follow_successors(AccountStore& account, MailboxId mailbox, UidSet uids) {
    for (const auto& pair : TRY(successors(account, mailbox))) {
        if (!uids.contains(pair.from.value)) continue;
        UidSet given;
        given.add(pair.from.value);
        if (TRY(account.load_messages(mailbox, given, column_identity, 1)).empty()) uids.add(pair.to.value);
    }
    return uids;
}

Result<void> forget_provisional(AccountStore& account, const Place& place) {
    Database& db = account.database();
    auto body = TRY(find_home_body(account, place));
    if (body) TRY(journal_release(db, body->object, body->hold));
    return db.run("DELETE FROM provisional WHERE mailbox=? AND uid=?", place.mailbox, place.uid);
}

Result<std::vector<Place>> forget_unsettled(AccountStore& account, const std::vector<Place>& requested) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<std::vector<Place>> {
        struct Waiting {
            Place place, from;
            bool expunged;
        };
        std::vector<Waiting> all;
        {
            auto q =
                TRY(db.query("SELECT mailbox,uid,from_mailbox,from_uid,expunged FROM provisional WHERE "
                             "now_mailbox=zeroblob(16) ORDER BY mailbox,uid"));
            while (TRY(q.next()))
                all.push_back({{q.id<MailboxId>(0), q.uid(1)}, {q.id<MailboxId>(2), q.uid(3)}, q.boolean(4)});
        }
        // What was copied from a number that is requested still waits for that one.
        std::set<Place> kept(requested.begin(), requested.end());
        for (bool more = true; more;) {
            more = false;
            for (const auto& one : all)
                if (one.from.uid.value && kept.contains(one.from)) more |= kept.insert(one.place).second;
        }
        std::vector<Place> expunged;
        for (const auto& one : all) {
            if (kept.contains(one.place)) continue;
            if (one.expunged) expunged.push_back(one.place);
            TRY(forget_provisional(account, one.place));
        }
        return expunged;
    });
}

Result<void> expunge_successors(AccountStore& account) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        std::map<MailboxId, UidSet> successors;
        {
            auto q =
                TRY(db.query("SELECT p.now_mailbox,p.now_uid FROM provisional p JOIN mailboxes b ON "
                             "b.mailbox=p.now_mailbox "
                             "JOIN messages m ON m.mailbox=b.id AND m.uid=p.now_uid AND m.email=p.email "
                             "WHERE p.expunged=1"));
            while (TRY(q.next())) successors[q.id<MailboxId>(0)].add(q.natural32(1));
        }
        for (const auto& [mailbox, uids] : successors) TRY(account.expunge_any(mailbox, uids));
        return {};
    });
}

Result<void> forget_successors(AccountStore& account, UnixMillis before) {
    return account.database().run("DELETE FROM provisional WHERE now_mailbox<>zeroblob(16) AND since<?",
                                  before);
}

}  // namespace fwmail::store
