#include "service/digests.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/encoding.hpp"
#include "crypto/hash.hpp"
#include "service/outbox_kinds.hpp"
#include "store/elsewhere.hpp"
#include "store/epochs.hpp"
#include "store/outside_expunges.hpp"
#include "store/provisional.hpp"

namespace fwmail::service {
namespace {

constexpr std::int64_t ask_again = 3'600'000;  // where no outcome has come: the mail may be lost
constexpr std::int64_t patience = 30 * 60'000;
constexpr std::uint32_t columns =
    store::column_identity | store::column_flags | store::column_seal | store::column_date;

struct Cut {
    std::uint64_t sent = 0, applied = 0;
};

NumberSet all_numbers() {
    NumberSet all;
    all.add(1, sync::max_number);
    return all;
}

UidSet up_to(Uid last) {
    UidSet uids;
    if (last.value) uids.add(1, last.value);
    return uids;
}

// None: the account is not at rest towards the peer.
Result<std::optional<Cut>> find_cut(store::AccountStore& account, const EpochTurn& turn) {
    std::optional<Cut> none;
    if (TRY(store::awaited_state(account, turn.peer))) return none;
    if (turn.core && TRY(account.cursor(turn.peer)) != TRY(account.highest_modseq())) return none;
    // What has just come is about to be shown; what has been waiting for long waits for what does not come.
    if (!turn.core)
        if (auto latest = TRY(store::summarize_waiting(account)).latest;
            latest && turn.now.value - latest->value < patience)
            return none;
    if (!TRY(account.load_outbox(turn.peer, all_numbers(), 1)).empty()) return none;
    auto applied = TRY(account.load_applied(turn.peer));
    Cut cut{TRY(account.next_number(turn.peer)).value - 1, applied.contiguous_from_one()};
    if (applied.count() != cut.applied) return none;
    return cut;
}

std::string part_of(const store::Message& message) {
    sync::Writer out;
    out.varint(message.uid.value);
    out.id(message.email_id);
    out.octets(message.seal.sha256);
    out.varint(message.flags.system);
    std::vector<std::string> words;  // each side spells them as they came there first
    for (const auto& word : message.flags.keywords) words.push_back(ascii_lower(word));
    std::ranges::sort(words);
    out.varint(words.size());
    for (const auto& word : words) out.octets(word);
    return std::move(out).text();
}

// At core, of what the remote is to have: not what was expunged there and waits for the operator. What a
// remote has shows that it is to have it.
Result<sync::Sha256> digest_of(store::AccountStore& account, const EpochTurn& turn,
                               const store::Mailbox& mailbox, const UidSet& held, UnixMillis since) {
    sync::Writer head;
    head.octets(mailbox.name);
    head.octets(mailbox.special_use);
    crypto::Sha256 hash;
    hash.update(head.text());
    UidSet uids = up_to(Uid{UINT32_MAX});
    if (turn.core) {
        uids = up_to(TRY(account.planned(turn.peer, mailbox.id)).last);
        for (const auto& i : held.list()) uids.remove(i.first, i.last);
    }
    TRY(account.visit_messages(mailbox.id, uids, columns, Uid{},
                               [&](store::Message& message) -> Result<bool> {
                                   if (message.date < since) return true;
                                   if (!turn.core || message.seal.state == store::SealState::sealed)
                                       hash.update(part_of(message));
                                   return true;
                               }));
    return hash.finish();
}

Result<sync::Sha256> digest_of_names(store::AccountStore& account) {
    auto names = TRY(account.load_subscriptions());
    std::ranges::sort(names);
    sync::Writer out;
    for (const auto& name : names) out.octets(name);
    return crypto::sha256(out.text());
}

std::string asked_name(NodeId peer) { return "compare-asked:" + peer.hex(); }
std::string outcome_name(NodeId peer) { return "compared:" + peer.hex(); }

Result<std::vector<std::uint64_t>> load_numbers(store::AccountStore& account, const std::string& name) {
    std::vector<std::uint64_t> numbers;
    auto text = TRY(account.value(name));
    if (!text) return numbers;
    const char *at = text->data(), *end = at + text->size();
    for (std::uint64_t number = 0; at < end; ++at) {
        auto read = std::from_chars(at, end, number);
        if (read.ec != std::errc{}) return fail(ErrorKind::internal, name + " is not a list of numbers");
        numbers.push_back(number);
        at = read.ptr;
    }
    return numbers;
}

Result<> save_outcome(store::AccountStore& account, NodeId peer, const sync::Compared& outcome,
                      UnixMillis now) {
    auto before = TRY(last_outcome(account, peer));
    std::string text;
    for (auto number : {static_cast<std::uint64_t>(now.value), outcome.digests, outcome.differing,
                        before ? before->count + 1 : 1})
        text += std::to_string(number) + " ";
    return account.set_value(outcome_name(peer), text);
}

}  // namespace

Result<std::optional<sync::Digests>> make_digests(store::AccountStore& account, const EpochTurn& turn,
                                                  UnixMillis since) {
    auto cut = TRY(find_cut(account, turn));
    if (!cut) return std::optional<sync::Digests>();
    sync::Digests digests{cut->sent, cut->applied, since, {}};
    digests.list.push_back({MailboxId{}, TRY(digest_of_names(account))});
    std::map<MailboxId, UidSet> held;
    std::set<MailboxId> going;
    if (turn.core)
        for (const auto& one : TRY(store::load_held_expunges(account))) {
            held[one.mailbox].add(one.uids);
            if (one.deletes) going.insert(one.mailbox);
        }
    for (const auto& mailbox : TRY(account.load_mailboxes()))
        if (!going.contains(mailbox.id))
            digests.list.push_back(
                {mailbox.id, TRY(digest_of(account, turn, mailbox, held[mailbox.id], since))});
    std::ranges::sort(digests.list, {}, &sync::Digests::One::mailbox);
    return digests;
}

Result<std::optional<Difference>> find_difference(store::AccountStore& account, const EpochTurn& turn,
                                                  const sync::Digests& theirs) {
    auto mine = TRY(make_digests(account, turn, theirs.since));
    if (!mine || mine->sent != theirs.applied || mine->applied != theirs.sent)
        return std::optional<Difference>();
    std::map<MailboxId, sync::Sha256> left;
    for (const auto& one : mine->list) left.emplace(one.mailbox, one.sha256);
    Difference found;
    auto differs = [&](MailboxId mailbox) {
        ++found.outcome.differing;
        if (mailbox.is_zero())
            found.names = true;
        else
            found.mailboxes.push_back(mailbox);
    };
    for (const auto& one : theirs.list) {
        ++found.outcome.digests;
        auto known = left.extract(one.mailbox);
        if (known && known.mapped() == one.sha256) continue;
        if (known || one.mailbox.is_zero() || TRY(account.find_mailbox(one.mailbox))) {
            differs(one.mailbox);
        } else {
            ++found.outcome.differing;
            found.lost = true;
        }
    }
    for (const auto& [mailbox, digest] : left) {
        ++found.outcome.digests;
        differs(mailbox);
    }
    // Core has said that these mailboxes are deleted, and not what has become of all that was in them.
    for (auto mailbox : TRY(store::deleted_and_kept(account))) {
        ++found.outcome.digests;
        differs(mailbox);
    }
    return found;
}

Result<bool> tell_difference(store::AccountStore& account, const EpochTurn& turn, const sync::Digests& theirs,
                             const Difference& difference) {
    auto cut = TRY(find_cut(account, turn));
    if (!cut || cut->sent != theirs.applied || cut->applied != theirs.sent) return false;
    TRY(save_outcome(account, turn.peer, difference.outcome, turn.now));
    // Mailboxes are not to be had but by telling everything.
    if (difference.lost) {
        TRY(begin_after_loss(account, {turn}));
        return true;
    }
    store::OutboxPlan plan;
    plan.cursor = TRY(account.cursor(turn.peer));
    TRY(add_state_rows(account, difference.mailboxes, difference.names, turn.now, plan.rows));
    if (!plan.rows.empty()) TRY(account.append_outbox(turn.peer, plan));
    return true;
}

Result<bool> take_outcome(store::AccountStore& account, NodeId peer, const sync::Compared& outcome,
                          UnixMillis now) {
    if (TRY(load_numbers(account, asked_name(peer))).empty()) return false;
    TRY(account.set_value(asked_name(peer), ""));
    TRY(save_outcome(account, peer, outcome, now));
    if (outcome.differing == 0) return true;
    TRY(account.set_value(mailboxes_cursor(peer), "0"));
    TRY(store::look_again(account));
    return true;
}

Result<std::optional<Outcome>> last_outcome(store::AccountStore& account, NodeId peer) {
    auto numbers = TRY(load_numbers(account, outcome_name(peer)));
    if (numbers.size() != 4) return std::optional<Outcome>();
    return Outcome{UnixMillis{static_cast<std::int64_t>(numbers[0])}, {numbers[1], numbers[2]}, numbers[3]};
}

Result<> note_asked(store::AccountStore& account, NodeId peer, UnixMillis now) {
    return account.set_value(asked_name(peer), std::to_string(now.value));
}

Result<bool> comparison_due(store::AccountStore& account, NodeId peer, std::int64_t interval,
                            UnixMillis now) {
    // A clock that stood wrong must not put it off for ever.
    auto passed = [now](std::int64_t then, std::int64_t time) {
        return then > now.value || now.value - then >= time;
    };
    auto last = TRY(last_outcome(account, peer));
    if (last && !passed(last->when.value, interval)) return false;
    auto asked = TRY(load_numbers(account, asked_name(peer)));
    return asked.empty() || passed(static_cast<std::int64_t>(asked[0]), std::min(ask_again, interval));
}

}  // namespace fwmail::service
