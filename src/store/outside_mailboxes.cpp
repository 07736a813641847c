#include "store/outside_mailboxes.hpp"

#include <algorithm>

#include "store/account_rows.hpp"
#include "store/elsewhere.hpp"
#include "store/outside_expunges.hpp"

namespace fwmail::store {
namespace {

constexpr std::int64_t day = 86'400'000;
// UIDVALIDITYs are seconds at first, and rise: one that is further ahead than half a year is not a node's.
constexpr std::uint64_t furthest_uidvalidity = 1 << 24;

bool is_stand_in(const Mailbox& mailbox) { return mailbox.wanted == mailbox.id.hex(); }

// A name that no live mailbox has but this one.
Result<std::string> free_name(AccountStore& account, std::string_view wanted, MailboxId id) {
    std::string name(wanted);
    for (unsigned again = 0;; ++again) {
        auto other = TRY(account.find_mailbox(name));
        if (!other || other->id == id) return name;
        name = sync::name_beside(wanted, id, again);
    }
}

Result<void> set_told(Database& db, NodeId peer, MailboxId id) {
    return db.run("UPDATE mailboxes SET told_by=? WHERE mailbox=?", TRY(peer_row(db, peer)), id);
}

// Another node's UIDVALIDITY is taken, so that its clients need not begin anew.
Result<UidValidity> taken_uidvalidity(AccountStore& account, UidValidity given, UnixMillis now) {
    if (given.value == 0 || given.value > static_cast<std::uint64_t>(now.value / 1000) + furthest_uidvalidity)
        return account.next_uidvalidity();
    TRY(account.database().run("UPDATE meta SET uidvalidity=max(uidvalidity,?)", given));
    return given;
}

Result<OutsideTaken> remove(AccountStore& account, NodeId peer, const Mailbox& mailbox, Uid last,
                            UnixMillis now, const OutsideLimits& limits) {
    OutsideTaken taken;
    UidSet uids;  // nobody deletes a mailbox of a special use: it is made again with all that it has
    if (mailbox.special_use.empty()) uids = TRY(told_up_to(account, peer, mailbox.id, last));
    std::uint64_t hidden = TRY(count_hidden(account, UnixMillis{now.value - day}));
    if (std::uint64_t count = uids.count(); count > 0 && hidden + count > limits.expunges) {
        auto held = TRY(load_held_expunges(account));
        auto same = [&](const auto& h) { return h.deletes && h.mailbox == mailbox.id; };
        if (std::ranges::none_of(held, same))
            TRY(hold_expunge(account, {0, peer, mailbox.id, uids, count, now, true}));
        taken.held = true;
        return taken;
    }
    TRY(delete_outside(account, peer, mailbox.id, uids, now));
    taken.changed = true;
    return taken;
}

// The remote's mailbox is one with core's of the same name: its id is kept as that of a deleted one.
Result<void> join(AccountStore& account, const MailboxWord& word, Mailbox mine, bool use_taken,
                  sync::Stamp stamp) {
    Mailbox theirs;
    theirs.id = word.id;
    theirs.name = theirs.wanted = word.state.name;
    theirs.deleted = true;
    theirs.became = mine.id;
    theirs.sealed_uidvalidity = theirs.uidvalidity = word.sealed_uidvalidity;
    TRY(account.upsert_mailbox(theirs));
    if (mine.special_use.empty() && !use_taken && mine.name != "INBOX" && !word.state.special_use.empty()) {
        mine.special_use = word.state.special_use;
        mine.used = stamp;
    }
    // A client that knows the remote's must not take core's for it.
    if (mine.sealed_uidvalidity <= word.sealed_uidvalidity)
        mine.sealed_uidvalidity = TRY(account.next_uidvalidity());
    TRY(account.upsert_mailbox(mine));
    return {};
}

// One that was made and has gone before it was heard of here, or that was forgotten here: another remote may
// have it still, and no mailbox of that id must live again.
Result<void> bury(AccountStore& account, const MailboxWord& word) {
    Mailbox gone;
    gone.id = word.id;
    gone.name = gone.wanted = word.state.name;
    gone.deleted = true;
    TRY(account.upsert_mailbox(gone));
    return {};
}

}  // namespace

Result<OutsideTaken> take_from_remote(AccountStore& account, NodeId peer, const MailboxWord& word,
                                      const Author& core, const OutsideLimits& limits) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<OutsideTaken> {
        auto change = TRY(AccountChange::begin(db));
        change.see_stamp(std::max(word.state.named.time, word.state.used.time));
        auto stamp = change.stamp(core);
        TRY(change.save());
        auto known = TRY(account.find_mailbox(word.id));
        auto same_name = TRY(account.find_mailbox(word.state.name));
        auto live = TRY(account.load_mailboxes());
        sync::AtCore here;
        if (known) here.known = known->state();
        if (same_name && same_name->id != word.id) here.same_name = same_name->id;
        here.use_taken = std::ranges::any_of(live, [&](const Mailbox& m) {
            return m.id != word.id && m.special_use == word.state.special_use;
        });
        here.is_inbox = known && known->name == "INBOX";
        auto verdict = sync::judge_at_core(here, word.id, word.state, stamp);
        switch (verdict.act) {
            case sync::MailboxVerdict::nothing:
                if (!known && word.state.deleted && account.check_mailbox_count(limits.mailboxes))
                    TRY(bury(account, word));
                return OutsideTaken{};
            case sync::MailboxVerdict::remove:
                return remove(account, peer, *known, word.last_uid, core.now, limits);
            case sync::MailboxVerdict::join:
                if (!account.check_mailbox_count(limits.mailboxes)) return OutsideTaken{false, false, true};
                TRY(join(account, word, *same_name, here.use_taken, stamp));
                return OutsideTaken{true};
            case sync::MailboxVerdict::add:
                if (!account.check_mailbox_count(limits.mailboxes)) return OutsideTaken{false, false, true};
                break;
            case sync::MailboxVerdict::update:
                break;
        }
        Mailbox mailbox = known ? *known : Mailbox{};
        if (!known) {
            mailbox.id = word.id;
            mailbox.created = core.now;
            mailbox.sealed_uidvalidity = TRY(taken_uidvalidity(account, word.sealed_uidvalidity, core.now));
            mailbox.uidvalidity = TRY(account.next_uidvalidity());
        }
        std::string name = TRY(free_name(account, verdict.state.name, word.id));
        if (name != verdict.state.name) {
            verdict.state.named = stamp;
            verdict.own = true;
        }
        mailbox.name = mailbox.wanted = name;
        mailbox.named = verdict.state.named;
        mailbox.special_use = verdict.state.special_use;
        mailbox.used = verdict.state.used;
        TRY(account.upsert_mailbox(mailbox));
        // It knows what it has said; unless there is more to say.
        if (!verdict.own && mailbox.sealed_uidvalidity == word.sealed_uidvalidity)
            TRY(set_told(db, peer, word.id));
        return OutsideTaken{true};
    });
}

Result<void> take_from_core(AccountStore& account, const MailboxWord& word, UnixMillis now) {
    Database& db = account.database();
    return atomically(db, [&]() -> Result<void> {
        auto change = TRY(AccountChange::begin(db));
        change.see_stamp(std::max(word.state.named.time, word.state.used.time));
        TRY(change.save());
        auto known = TRY(account.find_mailbox(word.id));
        if (known && known->deleted) return {};
        Mailbox mailbox = known ? *known : Mailbox{};
        auto mine = mailbox.state();
        if (is_stand_in(mailbox)) mine.name.clear();
        auto state = known ? sync::merge_mailboxes(mine, word.state) : word.state;
        mailbox.id = word.id;
        if (!known) mailbox.created = now;
        mailbox.name = mailbox.wanted = state.name;
        mailbox.named = state.named;
        mailbox.special_use = state.special_use;
        mailbox.used = state.used;
        mailbox.deleted = state.deleted;
        if (word.sealed_uidvalidity.value)
            mailbox.uidvalidity = mailbox.sealed_uidvalidity = word.sealed_uidvalidity;
        if (auto other = TRY(account.find_mailbox(state.name));
            !state.deleted && other && other->id != word.id) {
            // Core has not heard of it, or will give it another name, or we have not heard of that.
            other->name = TRY(free_name(account, sync::name_beside(other->name, other->id), other->id));
            TRY(account.upsert_mailbox(*other));
        }
        if (mailbox.deleted && known) {
            TRY(keep_all(account, word.id, now));
            TRY(account.delete_mailbox(word.id, every_uid()));
        }
        TRY(account.upsert_mailbox(mailbox));
        if (mailbox.deleted)
            TRY(db.run("UPDATE mailboxes SET deleted=? WHERE mailbox=?", deleted_by_core, word.id));
        return settle_names(account);
    });
}

Result<void> settle_names(AccountStore& account) {
    return atomically(account.database(), [&]() -> Result<void> {
        for (auto& waiting : TRY(account.load_mailboxes())) {
            if (waiting.name == waiting.wanted || TRY(account.find_mailbox(waiting.wanted))) continue;
            waiting.name = waiting.wanted;
            TRY(account.upsert_mailbox(waiting));
        }
        return {};
    });
}

}  // namespace fwmail::store
