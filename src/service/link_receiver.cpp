#include "service/link_receiver.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "crypto/openpgp_message.hpp"
#include "imap/parser.hpp"
#include "service/flag_entries.hpp"
#include "store/outside_expunges.hpp"
#include "store/outside_mailboxes.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::service {
namespace {

constexpr std::int64_t replay_window = 7 * 86'400'000ll;

std::string frame_digest(const sync::FrameId& id) {
    auto digest = crypto::sha256("frame:" + std::string(id.octets()));
    return std::string(crypto::view_of(digest));
}

}  // namespace

net::Task<Result<>> LinkReceiver::receive(NodeId peer, bool from_nobody, std::string mail) {
    auto record = table_.find(peer);
    if (!record) co_return fail(ErrorKind::refused, "the link is no longer active");
    if (node_.is_core() && from_nobody && !sync::looks_like_node_mail(mail)) {
        // A notification about a mail of ours. A hint at most, never an acknowledgement: what was lost is
        // sent again.
        node_.log.warning("link", "a delivery notification came for link " + record->link.name);
        co_return Result<>();
    }
    auto frame = co_await open(*record, std::move(mail));
    Result<> result;
    if (frame)
        result = co_await apply(*record, std::move(*frame));
    else
        result = fail(frame.error());
    if (!result && result.error().kind != ErrorKind::temporary && result.error().kind != ErrorKind::internal)
        co_await note_refusal(*record, result.error().text);
    if (!result && result.error().kind == ErrorKind::internal)
        node_.log.error("link", "a frame could not be applied: " + result.error().text);
    co_return result;
}

net::Task<> LinkReceiver::note_refusal(LinkRecord record, std::string reason) {
    node_.log.warning("link", "mail to link " + record.link.name + " is refused: " + reason);
    auto job = [record, reason, now = node_.clock()](store::SystemStore& system) -> Result<> {
        TRY(system.add_refusal(now, "link " + record.link.name, reason));
        return system.note_link_mail(record.link.peer, store::LinkEvent::refused, now, reason);
    };
    auto noted = co_await node_.write(store::system_file, std::move(job));
    if (!noted) node_.log.error("link", noted.error().text);
}

net::Task<Result<sync::Frame>> LinkReceiver::open(LinkRecord record, std::string mail) {
    auto job = [this, record, mail = std::move(mail)](store::SystemStore& system) -> Result<sync::Frame> {
        auto envelope = TRY(sync::parse_node_mail(mail));
        auto opened = crypto::open(envelope.content, {&node_.key, 1}, {&record.peer_key, 1});
        if (!opened) return fail(ErrorKind::refused, "it cannot be opened: " + opened.error().text);
        if (opened->signature != crypto::SignatureStatus::valid ||
            opened->valid_signer != record.peer_key.fingerprint)
            return fail(ErrorKind::refused, "it is not signed by the linked node");
        auto frame = TRY(sync::parse_frame(opened->plain));
        if (frame.to != node_.id || frame.from != record.link.peer)
            return fail(ErrorKind::refused, "it is for another node");
        if (TRY(system.seen_within(frame_digest(frame.id), UnixMillis{node_.clock().value - replay_window})))
            return fail(ErrorKind::refused, "it has been received before");
        return frame;
    };
    co_return co_await node_.read(store::system_file, std::move(job));
}

net::Task<Result<>> LinkReceiver::apply(LinkRecord record, sync::Frame frame) {
    for (auto& section : frame.sections) {
        // A remote speaks of the accounts that it was given, or is out of its mind.
        if (node_.is_core() && !CO_TRY(co_await is_known(section.account)))
            co_return fail(ErrorKind::refused, "it speaks of an account that is not here");
        auto check = sync::check_epochs(record.own_epoch, record.peer_epoch, section);
        if (check.first) {
            auto remember = [this, record, epoch = section.epoch](store::SystemStore& system) -> Result<> {
                auto link = TRY(system.find_link(record.link.peer));
                if (!link) return fail(ErrorKind::refused, "the link is gone");
                link->peer_epoch = epoch_octets(epoch);
                TRY(system.save_link(*link));
                return table_.reload(system);
            };
            CO_TRY(co_await node_.write(store::system_file, std::move(remember)));
            record.peer_epoch = section.epoch;
        }
        if (!check.reason.empty() && !check.entries) co_return fail(ErrorKind::refused, check.reason);
        if (!check.reason.empty()) node_.log.warning("link", record.link.name + ": " + check.reason);
        if (check.acks && !section.acks.empty()) {
            auto settle = [peer = record.link.peer, acks = section.acks](store::AccountStore& account) {
                return account.acknowledge(peer, acks);
            };
            CO_TRY(co_await node_.write(section.account, std::move(settle)));
            node_.link_wake.notify();
        }
        if (!section.ack_only() || !section.voids.empty()) {
            if (node_.is_core())
                CO_TRY(co_await apply_at_core(record.link.peer, section));
            else
                CO_TRY(co_await replica_.apply(record.link.peer, section));
            std::lock_guard lock(mutex_);
            auto& timer = acks_[{record.link.peer, section.account}];
            timer.on_section(section, node_.clock());
            if (section.entries.empty()) {  // numbers that are void want an acknowledgement as well
                if (!timer.waiting) timer.first = node_.clock();
                timer.last = node_.clock();
                ++timer.waiting;
            }
        }
    }
    crash_point("link.applied");
    auto note = [peer = record.link.peer, id = frame.id,
                 now = node_.clock()](store::SystemStore& system) -> Result<> {
        store::SpoolRequest seen;
        seen.digest = frame_digest(id);
        seen.now = now;
        seen.repeat_since = UnixMillis{now.value - replay_window};
        TRY(system.spool_message(seen));
        return system.note_link_mail(peer, store::LinkEvent::received, now);
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(note)));
    node_.link_wake.notify();
    co_return Result<>();
}

net::Task<Result<bool>> LinkReceiver::is_known(AccountId account) {
    auto job = [account](store::SystemStore& system) -> Result<bool> {
        return TRY(system.find_user(account)).has_value();
    };
    co_return co_await node_.read(store::system_file, job);
}

namespace {

// What entries of a remote are applied to.
struct AtCore {
    store::AccountStore& account;
    NodeId peer;
    UnixMillis now;
    store::Author author;
    store::OutsideLimits limits;
    bool changed = false, ahead = false, held = false, too_many = false;
};

bool may_come_from_remote(const sync::Entry& entry) {
    if (const auto* expunge = std::get_if<sync::ExpungeEntry>(&entry)) return expunge->prev_uid == Uid{};
    return std::holds_alternative<sync::StubbedEntry>(entry) ||
           std::holds_alternative<sync::FlagsEntry>(entry) ||
           std::holds_alternative<sync::MailboxEntry>(entry) ||
           std::holds_alternative<sync::SubscriptionEntry>(entry) ||
           std::holds_alternative<sync::UnknownEntry>(entry);
}

// False: the mailbox has gone, and what is said of it is past; or the remote was never told of this message.
Result<bool> was_told(AtCore& to, MailboxId mailbox, Uid uid) {
    auto known = TRY(to.account.find_mailbox(mailbox));
    return known && !known->deleted && uid <= TRY(to.account.planned(to.peer, mailbox)).last;
}

// A stub stands where the body has come after all: the message gets a new number.
Result<bool> apply_stubbed(AtCore& to, const sync::StubbedEntry& entry) {
    if (!TRY(was_told(to, entry.mailbox, entry.uid))) return true;
    UidSet uid;
    uid.add(entry.uid.value);
    to.changed |= !TRY(to.account.move(entry.mailbox, uid, entry.mailbox, to.now)).empty();
    return true;
}

Result<bool> apply_flags_entry(AtCore& to, const sync::FlagsEntry& entry) {
    if (!TRY(was_told(to, entry.mailbox, entry.uid))) return true;
    auto applied = TRY(
        apply_flags(to.account, to.peer, entry.mailbox, entry.uid, {entry.flags, entry.registers}, to.now));
    to.changed |= applied.merged == store::Merged::changed;
    to.ahead |= applied.ahead;
    return !applied.ahead;
}

// A stolen remote must not empty the house: what goes can be put back for a while, and what is more than a
// day's measure waits for the operator.
Result<bool> apply_expunge(AtCore& to, const sync::ExpungeEntry& entry) {
    constexpr std::int64_t day = 86'400'000;
    auto known = TRY(to.account.find_mailbox(entry.mailbox));
    if (!known || known->deleted) return true;
    UidSet uids = entry.uids;
    if (Uid last = TRY(to.account.planned(to.peer, entry.mailbox)).last; last.value != UINT32_MAX)
        uids.remove(last.value + 1, UINT32_MAX);  // of which the remote was never told
    std::uint64_t count = TRY(store::count_messages(to.account, entry.mailbox, uids));
    if (count == 0) return true;
    if (TRY(store::count_hidden(to.account, UnixMillis{to.now.value - day})) + count > to.limits.expunges) {
        TRY(store::hold_expunge(to.account, {0, to.peer, entry.mailbox, uids, count, to.now}));
        to.held = true;
        return true;
    }
    TRY(store::hide_messages(to.account, to.peer, entry.mailbox, uids, to.now));
    to.changed = true;
    return true;
}

Result<bool> apply_mailbox(AtCore& to, const sync::MailboxEntry& entry) {
    if (!entry.deleted && !imap::fault_of_new_name(entry.name).empty())
        return true;  // no client of a remote gives such a name
    if (sync::is_ahead(entry.named, to.now) || sync::is_ahead(entry.used, to.now)) {
        to.ahead = true;
        return false;
    }
    auto taken = TRY(store::take_from_remote(to.account, to.peer, mailbox_word(entry), to.author, to.limits));
    to.changed |= taken.changed;
    to.held |= taken.held;
    to.too_many |= taken.refused;
    return true;
}

Result<bool> apply_subscription(AtCore& to, const sync::SubscriptionEntry& entry) {
    auto applied = TRY(apply_subscription_entry(to.account, to.peer, entry, to.now));
    to.changed |= applied.merged == store::Merged::changed;
    to.ahead |= applied.ahead;
    return !applied.ahead;
}

// False: it must come again.
Result<bool> apply_entry(AtCore& to, const sync::Entry& entry) {
    if (const auto* stubbed = std::get_if<sync::StubbedEntry>(&entry)) return apply_stubbed(to, *stubbed);
    if (const auto* flags = std::get_if<sync::FlagsEntry>(&entry)) return apply_flags_entry(to, *flags);
    if (const auto* expunge = std::get_if<sync::ExpungeEntry>(&entry)) return apply_expunge(to, *expunge);
    if (const auto* mailbox = std::get_if<sync::MailboxEntry>(&entry)) return apply_mailbox(to, *mailbox);
    if (const auto* name = std::get_if<sync::SubscriptionEntry>(&entry)) return apply_subscription(to, *name);
    return true;
}

}  // namespace

net::Task<Result<>> LinkReceiver::apply_at_core(NodeId peer, sync::AccountSection section) {
    for (const auto& numbered : section.entries)
        if (!may_come_from_remote(numbered.entry))
            co_return fail(
                ErrorKind::refused,
                "a remote may not send " + std::string(sync::entry_name(numbered.entry)) + " entries");
    AccountId id = section.account;
    struct Outcome {
        bool changed, ahead, held, too_many;
    };
    store::OutsideLimits limits{node_.config.count("limits.account-mailboxes"),
                                node_.config.count("replicate.max-expunges-per-day")};
    auto job = [peer, section = std::move(section), author = store::Author{node_.id, node_.clock()},
                limits](store::AccountStore& account) -> Result<Outcome> {
        sync::Incoming incoming{TRY(account.load_applied(peer))};
        NumberSet fresh = incoming.reachable(section.voids);
        AtCore to{account, peer, author.now, author, limits};
        for (const auto& [number, entry] : section.entries)
            if (incoming.classify(number) == sync::Arrival::fresh && TRY(apply_entry(to, entry)))
                fresh.add(number.value);
        TRY(account.mark_applied(peer, fresh));
        return Outcome{to.changed, to.ahead, to.held, to.too_many};
    };
    auto outcome = CO_TRY(co_await node_.write(id, std::move(job)));
    crash_point("home.applied");
    if (outcome.changed) node_.hub.changed(id);
    if (outcome.ahead) co_await report_clock(node_, peer);
    if (outcome.held)
        node_.log.warning("link",
                          "more is deleted outside than max-expunges-per-day allows: it waits; see fwmail "
                          "expunged list");
    if (outcome.too_many)
        node_.log.warning("link",
                          "a mailbox that was made outside is not taken: account-mailboxes of them are "
                          "here already");
    co_return Result<>();
}

std::vector<LinkReceiver::AckDue> LinkReceiver::take_due_acks(UnixMillis now,
                                                              std::optional<UnixMillis>& next) {
    std::vector<AckDue> due;
    std::lock_guard lock(mutex_);
    for (auto it = acks_.begin(); it != acks_.end();) {
        auto when = it->second.due();
        if (when && *when > now) {
            if (!next || *when < *next) next = *when;
            ++it;
            continue;
        }
        if (when) {
            auto row = std::ranges::find(due, it->first.first, &AckDue::peer);
            if (row == due.end()) row = due.insert(due.end(), AckDue{it->first.first, {}});
            row->accounts.push_back(it->first.second);
        }
        it = acks_.erase(it);
    }
    return due;
}

}  // namespace fwmail::service
