#include "service/link_receiver.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "crypto/openpgp_message.hpp"
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

// What a remote may say: that a stub stands where the body has come after all. The message gets a new number.
net::Task<Result<>> LinkReceiver::apply_at_core(NodeId peer, sync::AccountSection section) {
    for (const auto& numbered : section.entries)
        if (!std::holds_alternative<sync::StubbedEntry>(numbered.entry) &&
            !std::holds_alternative<sync::UnknownEntry>(numbered.entry))
            co_return fail(ErrorKind::refused, "this core takes no changes of mailboxes from a remote yet");
    AccountId id = section.account;
    auto job = [peer, section = std::move(section),
                now = node_.clock()](store::AccountStore& account) -> Result<> {
        sync::Incoming incoming{TRY(account.load_applied(peer))};
        NumberSet fresh = incoming.reachable(section.voids);
        for (const auto& [number, entry] : section.entries) {
            if (incoming.classify(number) != sync::Arrival::fresh) continue;
            if (const auto* stubbed = std::get_if<sync::StubbedEntry>(&entry)) {
                UidSet uid;
                uid.add(stubbed->uid.value);
                auto mailbox = TRY(account.find_mailbox(stubbed->mailbox));
                if (mailbox && !mailbox->deleted)
                    TRY(account.move(stubbed->mailbox, uid, stubbed->mailbox, now));
            }
            fresh.add(number.value);
        }
        return account.mark_applied(peer, fresh);
    };
    CO_TRY(co_await node_.write(id, std::move(job)));
    node_.hub.changed(id);
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
