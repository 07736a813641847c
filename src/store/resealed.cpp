#include "store/resealed.hpp"

#include "store/account_rows.hpp"

namespace fwmail::store {
namespace {

std::string partly_name(MailboxId mailbox) { return "partly-resealed:" + mailbox.hex(); }

std::string_view view_of(const sync::Sha256& hash) {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

UidSet only(Uid uid) {
    UidSet uids;
    uids.add(uid.value);
    return uids;
}

Result<void> drop_expected(Database& db, std::int64_t mailbox, const PendingMessage& expected) {
    TRY(journal_release(db, expected.object, expected.hold));
    return db.run("DELETE FROM pending WHERE mailbox=? AND uid=?", mailbox, expected.uid);
}

// What was expected for messages that have gone, or are elsewhere: core does not send it any more.
Result<void> drop_vain(AccountStore& account, MailboxId mailbox, std::int64_t row) {
    Database& db = account.database();
    UidSet vain;
    {
        auto q = TRY(db.query(
            "SELECT p.uid FROM pending p WHERE p.mailbox=? AND p.reseals=1 AND NOT EXISTS (SELECT 1 FROM "
            "messages m WHERE m.mailbox=p.mailbox AND m.uid=p.uid AND m.email=p.email AND "
            "m.elsewhere_since=0)",
            row));
        while (TRY(q.next())) vain.add(q.natural32(0));
    }
    for (const auto& run : vain.list())
        for (std::uint64_t uid = run.first; uid <= run.last; ++uid)
            if (auto old = TRY(account.find_pending(mailbox, Uid{static_cast<std::uint32_t>(uid)})))
                TRY(drop_expected(db, row, *old));
    return {};
}

// The message gets the octets that have come for it; it keeps all else.
Result<void> take_octets(Database& db, AccountChange& change, std::int64_t mailbox,
                         const PendingMessage& fresh) {
    std::int64_t id = 0;
    {
        auto q = TRY(
            db.query("SELECT id,flags,size,object,hold FROM messages WHERE mailbox=? AND uid=? AND email=?",
                     mailbox, fresh.uid, fresh.email_id));
        if (!TRY(q.next())) return drop_expected(db, mailbox, fresh);
        id = q.integer(0);
        change.count(mailbox, q.natural32(1), q.natural(2), -1);
        change.count(mailbox, q.natural32(1), fresh.size, +1);
        TRY(journal_release(db, q.id<ObjectId>(3), q.id<HoldId>(4)));
    }
    TRY(
        db.run("UPDATE messages SET object=?,hold=?,size=?,seal_state=?,seal_seed=x'',seal_size=?,"
               "seal_sha256=? WHERE mailbox=? AND uid=?",
               fresh.object, fresh.hold, fresh.size, SealState::sealed, fresh.size, Blob{fresh.sha256},
               mailbox, fresh.uid));
    const auto& texts = fresh.texts;
    TRY(db.run("UPDATE message_texts SET envelope=?,body=?,bodystructure=?,parts=? WHERE id=?",
               texts.envelope, texts.body, texts.bodystructure, Blob{texts.parts}, id));
    TRY(db.run("UPDATE message_keys SET keys=? WHERE id=?", Blob{texts.keys}, id));
    TRY(db.run("DELETE FROM message_headers WHERE id=?", id));
    if (!texts.header.empty()) TRY(db.run("INSERT INTO message_headers VALUES(?,?)", id, Blob{texts.header}));
    return db.run("DELETE FROM pending WHERE mailbox=? AND uid=?", mailbox, fresh.uid);
}

}  // namespace

Result<UidSet> sealed_otherwise(AccountStore& account, MailboxId mailbox, std::string_view recipe_end,
                                Uid after, std::size_t limit) {
    auto q = TRY(account.database().query(
        "SELECT uid FROM messages WHERE mailbox=(SELECT id FROM mailboxes WHERE mailbox=?) AND uid>? AND "
        "seal_state=? AND length(seal_seed)=? AND substr(seal_seed,?)<>? ORDER BY uid LIMIT ?",
        mailbox, after, SealState::sealed, sync::recipe_octets, sync::recipe_octets - recipe_end.size() + 1,
        Blob{recipe_end}, limit));
    UidSet uids;
    while (TRY(q.next())) uids.add(q.natural32(0));
    return uids;
}

Result<bool> is_partly_resealed(AccountStore& account, MailboxId mailbox) {
    return !TRY(account.value(partly_name(mailbox))).value_or("").empty();
}

Result<void> set_partly_resealed(AccountStore& account, MailboxId mailbox, bool partly) {
    if (TRY(is_partly_resealed(account, mailbox)) == partly) return {};
    return account.set_value(partly_name(mailbox), partly ? "1" : "");
}

Result<bool> expect_resealed(AccountStore& account, const sync::ResealedEntry& entry, UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<bool> {
        auto row = TRY(get_mailbox_row(db, entry.mailbox));
        auto sha256 = view_of(entry.sealed_sha256);
        auto old = TRY(account.find_pending(entry.mailbox, entry.uid));
        if (old && !old->reseals) {
            if (old->state == BodyState::gone) return true;
            if (old->state != BodyState::missing) return false;
            // Nobody has seen its first octets, so nobody misses them.
            if (old->email_id != entry.email || old->sha256 == sha256) return true;
            TRY(account.delete_chunks(entry.email, old->sha256));
            TRY(db.run("UPDATE pending SET size=?,sha256=? WHERE mailbox=? AND uid=?", entry.sealed_size,
                       Blob{sha256}, row.row, entry.uid));
            return true;
        }
        if (entry.uid > row.mailbox.visible) return false;
        if (old && old->sha256 == sha256) return true;
        auto shown =
            TRY(account.load_messages(entry.mailbox, only(entry.uid), column_identity | column_seal, 1));
        bool wanted = !shown.empty() && shown[0].email_id == entry.email && shown[0].seal.sha256 != sha256;
        if (old) TRY(drop_expected(db, row.row, *old));
        if (wanted)
            TRY(db.run(
                "INSERT INTO pending VALUES(?,?,0,?,?,?,0,0,'',x'',?,?,zeroblob(16),zeroblob(16),'','',"
                "'',x'',x'',x'',1)",
                row.row, entry.uid, entry.email, entry.sealed_size, Blob{sha256}, now, BodyState::missing));
        return true;
    });
}

Result<void> expect_uidvalidity(AccountStore& account, MailboxId mailbox, UidValidity next) {
    TRY(account.database().run("UPDATE mailboxes SET next_validity=max(next_validity,?) WHERE mailbox=?",
                               next, mailbox));
    TRY(show_resealed(account, mailbox));
    return {};
}

Result<bool> show_resealed(AccountStore& account, MailboxId mailbox) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<bool> {
        auto known = TRY(find_mailbox_row(db, mailbox));
        if (!known || known->mailbox.deleted) return false;
        std::int64_t row = known->row;
        TRY(drop_vain(account, mailbox, row));
        UidValidity next;
        {
            auto q = TRY(
                db.query("SELECT b.next_validity FROM mailboxes b WHERE b.id=? AND "
                         "b.next_validity>b.sealed_uidvalidity AND NOT EXISTS (SELECT 1 FROM pending p JOIN "
                         "messages m ON "
                         "m.mailbox=p.mailbox AND m.uid=p.uid AND m.email=p.email WHERE p.mailbox=b.id AND "
                         "p.reseals=1 AND p.state=?)",
                         row, BodyState::missing));
            if (!TRY(q.next())) return false;
            next = UidValidity{q.natural32(0)};
        }
        UidSet expected;
        {
            auto q = TRY(db.query("SELECT uid FROM pending WHERE mailbox=? AND reseals=1", row));
            while (TRY(q.next())) expected.add(q.natural32(0));
        }
        auto change = TRY(AccountChange::begin(db));
        for (const auto& run : expected.list())
            for (std::uint64_t uid = run.first; uid <= run.last; ++uid) {
                auto fresh = TRY(account.find_pending(mailbox, Uid{static_cast<std::uint32_t>(uid)}));
                if (fresh && fresh->state == BodyState::ready)
                    TRY(take_octets(db, change, row, *fresh));
                else if (fresh)
                    TRY(drop_expected(db, row, *fresh));
            }
        TRY(change.save());
        TRY(account.set_uid_state(mailbox, next, next, Uid{}));
        return true;
    });
}

Result<std::uint64_t> count_resealed(AccountStore& account) {
    auto q = TRY(account.database().query("SELECT count(*) FROM pending WHERE reseals=1"));
    TRY(q.next());
    return q.natural(0);
}

}  // namespace fwmail::store
