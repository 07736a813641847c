#include "service/link_receiver.hpp"

#include <algorithm>
#include <utility>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "base/random.hpp"
#include "crypto/box.hpp"
#include "crypto/openpgp_message.hpp"
#include "service/appended.hpp"
#include "service/digests.hpp"
#include "service/epochs.hpp"
#include "service/flag_entries.hpp"
#include "service/horizon.hpp"
#include "service/poller.hpp"
#include "service/remote_entries.hpp"
#include "store/epochs.hpp"
#include "store/outside_numbers.hpp"
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
    co_return co_await take(std::move(*record), Carrier::mail, std::move(mail));
}

net::Task<Result<>> LinkReceiver::receive_frame(NodeId peer, std::string sealed) {
    auto record = table_.find(peer);
    if (!record) co_return fail(ErrorKind::refused, "the link is no longer active");
    co_return co_await take(std::move(*record), Carrier::line, std::move(sealed));
}

net::Task<Result<>> LinkReceiver::take(LinkRecord record, Carrier carrier, std::string octets) {
    auto frame = co_await open(record, carrier, std::move(octets));
    Result<> result;
    if (frame)
        result = co_await apply(record, std::move(*frame));
    else
        result = fail(frame.error());
    if (!result && result.error().kind != ErrorKind::temporary && result.error().kind != ErrorKind::internal)
        co_await note_refusal(record, result.error().text);
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

net::Task<Result<sync::Frame>> LinkReceiver::open(LinkRecord record, Carrier carrier, std::string octets) {
    auto job = [this, record, carrier,
                octets = std::move(octets)](store::SystemStore& system) mutable -> Result<sync::Frame> {
        if (carrier == Carrier::mail) octets = TRY(sync::parse_node_mail(octets)).content;
        auto opened = crypto::open(octets, {&node_.key, 1}, {&record.peer_key, 1});
        if (!opened) return fail(ErrorKind::refused, "it cannot be opened: " + opened.error().text);
        if (opened->signature != crypto::SignatureStatus::valid ||
            opened->valid_signer != record.peer_key.fingerprint)
            return fail(ErrorKind::refused, "it is not signed by the linked node");
        auto frame = TRY(sync::parse_frame(opened->plain));
        if (frame.to != node_.id || frame.from != record.link.peer)
            return fail(ErrorKind::refused, "it is for another node");
        if (TRY(system.seen_within(frame_digest(frame.id),
                                   UnixMillis{node_.clock().value - replay_window}))) {
            if (carrier == Carrier::mail) return fail(ErrorKind::refused, "it has been received before");
            frame.sections.clear();
        }
        return frame;
    };
    co_return co_await node_.read(store::system_file, std::move(job));
}

net::Task<Result<>> LinkReceiver::apply(LinkRecord record, sync::Frame frame) {
    for (auto& section : frame.sections) {
        // A remote speaks of the accounts that it was given, or is out of its mind.
        if (node_.is_core() && !CO_TRY(co_await is_known(section.account)))
            co_return fail(ErrorKind::refused, "it speaks of an account that is not here");
        if (node_.is_core() ? section.digests.has_value() : section.compared.has_value())
            co_return fail(ErrorKind::refused, "core tells digests, and a remote what came of them");
        auto verdict = CO_TRY(co_await enter_epoch(record, section));
        auto digests = std::exchange(section.digests, std::nullopt);
        if (digests && verdict.entries && verdict.acks)
            CO_TRY(co_await compare(record, section.account, std::move(*digests)));
        if (section.compared && verdict.entries && verdict.acks)
            CO_TRY(co_await take_compared(record.link.peer, section.account, *section.compared));
        if (!verdict.entries || (section.ack_only() && section.voids.empty())) continue;
        if (node_.is_core())
            CO_TRY(co_await apply_at_core(record.link.peer, section));
        else
            CO_TRY(co_await replica_.apply(record.link.peer, section));
        std::lock_guard lock(mutex_);
        auto& timer = answers_[{record.link.peer, section.account}].timer;
        timer.on_section(section, node_.clock());
        if (section.entries.empty()) timer.ask(node_.clock());  // numbers that are void want one as well
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

net::Task<Result<sync::SectionVerdict>> LinkReceiver::enter_epoch(const LinkRecord& record,
                                                                  sync::AccountSection& section) {
    AccountId account = section.account;
    // What may be megabytes is not looked at here.
    auto entries = std::exchange(section.entries, {});
    auto digests = std::exchange(section.digests, std::nullopt);
    auto take = [turn = epoch_turn(record, node_.is_core(), node_.config, node_.clock()),
                 section](store::AccountStore& store) { return take_epochs(store, turn, section); };
    section.entries = std::move(entries);
    section.digests = std::move(digests);
    auto verdict = CO_TRY(co_await node_.write(account, std::move(take)));
    if (!verdict.reason.empty()) {
        node_.log.warning("link", record.link.name + ", " + node_.directory.name_of(account) + ": " +
                                      verdict.reason +
                                      (verdict.begun ? "; all is told anew and compared" : "; left alone"));
    }
    if (verdict.acks && !section.acks.empty()) node_.link_wake.notify();
    if (verdict.reason.empty()) co_return verdict;
    if (verdict.begun) {
        crash_point("link.epoch-begun");
        node_.hub.changed(account);
        node_.hub.outbox_changed(account);
    }
    // The peer is to hear in which epoch we are, whatever there is to send: it may know of none of this.
    std::lock_guard lock(mutex_);
    answers_[{record.link.peer, account}].timer.ask(node_.clock());
    co_return verdict;
}

// At a remote. The long part of the work changes nothing, and holds nobody up.
net::Task<Result<>> LinkReceiver::compare(LinkRecord record, AccountId account, sync::Digests digests) {
    if (!node_.directory.find(account)) co_return Result<>();  // removed: nothing of it is kept here
    auto turn = epoch_turn(record, false, node_.config, node_.clock());
    auto look = [turn, digests](store::AccountStore& store) { return find_difference(store, turn, digests); };
    auto found = CO_TRY(co_await node_.read(account, std::move(look)));
    if (!found) co_return Result<>();
    if (found->outcome.differing) {
        node_.log.warning("link", record.link.name + ", " + node_.directory.name_of(account) + ": " +
                                      std::to_string(found->outcome.differing) +
                                      " mailboxes are not as at core; " +
                                      (found->lost ? "all is" : "what is in them is") + " told and compared");
    }
    // Only the cut is looked at again.
    digests.list.clear();
    auto outcome = found->outcome;
    auto tell = [turn, digests = std::move(digests), found = std::move(*found)](store::AccountStore& store) {
        return tell_difference(store, turn, digests, found);
    };
    if (!CO_TRY(co_await node_.write(account, std::move(tell)))) co_return Result<>();
    crash_point("link.compared");
    node_.hub.changed(account);
    node_.hub.outbox_changed(account);
    std::lock_guard lock(mutex_);
    auto& answer = answers_[{record.link.peer, account}];
    answer.compared = outcome;
    answer.timer.ask(node_.clock());
    co_return Result<>();
}

net::Task<Result<>> LinkReceiver::take_compared(NodeId peer, AccountId account, sync::Compared compared) {
    auto take = [peer, compared, now = node_.clock()](store::AccountStore& store) {
        return take_outcome(store, peer, compared, now);
    };
    bool wanted = CO_TRY(co_await node_.write(account, std::move(take)));
    if (!wanted || compared.differing == 0) co_return Result<>();
    node_.hub.changed(account);
    node_.log.warning("link", "the mailboxes of " + node_.directory.name_of(account) +
                                  " are not as here at the other side: " +
                                  std::to_string(compared.differing) + " are told and compared");
    co_return Result<>();
}

net::Task<Result<bool>> LinkReceiver::is_known(AccountId account) {
    auto job = [account](store::SystemStore& system) -> Result<bool> {
        return TRY(system.find_user(account)).has_value();
    };
    co_return co_await node_.read(store::system_file, job);
}

// Bodies lie in the other file, so they are stored and held first. What is not used in the end is given back.
net::Task<Result<LinkReceiver::Prepared>> LinkReceiver::prepare(NodeId peer, sync::AccountSection section) {
    AccountId id = section.account;
    Prepared prepared;
    auto wants = [](const sync::Numbered& numbered) {
        return std::holds_alternative<sync::CopyRequestEntry>(numbered.entry) ||
               std::holds_alternative<sync::AppendRequestEntry>(numbered.entry) ||
               std::holds_alternative<sync::ChunkEntry>(numbered.entry);
    };
    std::erase_if(section.entries, [&](const auto& numbered) { return !wants(numbered); });
    if (section.entries.empty()) co_return prepared;
    auto keep = [peer, section](store::AccountStore& account) { return keep_chunks(account, peer, section); };
    CO_TRY(co_await node_.write(id, std::move(keep)));
    crash_point("home.chunks");
    auto load = [peer](store::AccountStore& account) { return account.load_applied(peer); };
    sync::Incoming incoming{CO_TRY(co_await node_.read(id, load))};
    std::erase_if(section.entries, [&](const auto& numbered) {
        return incoming.classify(numbered.number) != sync::Arrival::fresh;
    });
    std::map<EmailId, ObjectId> objects;  // that come with this section
    for (const auto& [number, entry] : section.entries) {
        const auto* append = std::get_if<sync::AppendRequestEntry>(&entry);
        if (!append || append->kind == sync::AppendRequestEntry::gone) continue;
        CO_TRY(co_await prepare_append(id, number, *append, prepared));
        if (auto mail = prepared.appended.find(number); mail != prepared.appended.end())
            objects[append->email] = mail->second.message.object;
    }
    auto look = [peer, section, objects, now = node_.clock()](
                    store::AccountStore& account) -> Result<std::map<EntryNumber, store::Reference>> {
        std::map<EntryNumber, store::Reference> bodies;
        for (const auto& [number, entry] : section.entries) {
            const auto* copy = std::get_if<sync::CopyRequestEntry>(&entry);
            if (!copy || !copy->moved.is_zero()) continue;
            auto object = TRY(store::find_copied_body(account, peer, copy_word(*copy)));
            if (auto coming = objects.find(copy->email); object.is_zero() && coming != objects.end())
                object = coming->second;
            if (!object.is_zero()) bodies[number] = {object, make_id<store::HoldIdTag>(now)};
        }
        return bodies;
    };
    prepared.bodies = CO_TRY(co_await node_.read(id, std::move(look)));
    if (prepared.bodies.empty()) co_return prepared;
    std::vector<store::Reference> references;
    for (const auto& [number, body] : prepared.bodies) references.push_back(body);
    auto hold = [id, references = std::move(references)](store::SystemStore& system) {
        return system.add_references(id, references);
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(hold)));
    crash_point("home.referenced");
    co_return prepared;
}

net::Task<Result<>> LinkReceiver::prepare_append(AccountId account, EntryNumber number,
                                                 sync::AppendRequestEntry request, Prepared& prepared) {
    auto read = [request](store::AccountStore& store) { return read_pieces(store, request); };
    auto packed = CO_TRY(co_await node_.read(account, std::move(read)));
    if (!packed) co_return Result<>();
    auto known = [email = request.email](store::AccountStore& store) {
        return store.find_by_email_id(email);
    };
    bool returned = request.kind == sync::AppendRequestEntry::returned;
    bool taken = !returned && !CO_TRY(co_await node_.read(account, known)).empty();
    auto user = node_.directory.find(account);
    auto open = [this, account, user, request, packed = std::move(*packed)](store::SystemStore&) {
        return open_appended(request, packed, allowed_keys(node_, account),
                             user ? std::span(user->seal_keys) : std::span<const crypto::PublicKey>(),
                             node_.key);
    };
    auto opened = co_await node_.read(store::system_file, std::move(open));
    if (!opened && opened.error().kind != ErrorKind::refused) co_return std::unexpected(opened.error());
    if (!opened) {
        node_.log.warning("link", "what was appended at a remote is not taken: " + opened.error().text);
        prepared.refused.insert(number);
        co_return Result<>();
    }
    UnixMillis now = node_.clock();
    if (returned && user) CO_TRY(co_await reopen(account, user->seal_keys, request, *opened));
    AppendedMail mail{{}, std::move(opened->seal), opened->as_shown};
    auto& message = mail.message;
    message.hold = make_id<store::HoldIdTag>(now);
    message.email_id = request.email;
    message.object = make_object_id(now);
    message.size = opened->octets.size();
    message.date = request.internal_date;
    message.zone_minutes = request.zone_minutes;
    message.texts = std::move(opened->texts);
    message.saved_at = now;
    if (taken) {  // an id that another message has: nothing may depend on it
        message.email_id = make_email_id(now);
        mail.seal = {};
        mail.as_shown = false;
    }
    std::size_t size = opened->octets.size();
    auto keep = [account, object = message.object, hold = message.hold, octets = std::move(opened->octets),
                 now](store::SystemStore& system) -> Result<> {
        TRY(system.put_object(object, octets, now));
        return system.add_reference(object, {account, hold});
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(keep), size));
    crash_point("home.body-stored");
    prepared.appended.emplace(number, std::move(mail));
    co_return Result<>();
}

// Where the user's secret key is here, what core had sealed becomes again what it was.
net::Task<Result<>> LinkReceiver::reopen(AccountId account, std::vector<crypto::PublicKey> user_keys,
                                         sync::AppendRequestEntry request, OpenedAppend& mail) {
    auto secret = CO_TRY(co_await seal_secret(node_, account));
    auto style =
        node_.config.text("replicate.outer") == "minimal" ? OuterHeader::minimal : OuterHeader::ordinary;
    auto job = [this, account, user_keys = std::move(user_keys), request, style, secret,
                mail = std::move(mail)](store::SystemStore& system) mutable -> Result<OpenedAppend> {
        std::vector<crypto::SecretKey> keys;
        for (const auto& key : TRY(system.load_keys(account))) {
            if (key.secret.empty()) continue;
            auto octets = TRY(crypto::box_open(node_.master_key, key.secret,
                                               "user-key:" + account.hex() + ":" + key.fingerprint));
            keys.push_back(TRY(crypto::parse_secret_key(octets.view(), std::nullopt)));
        }
        store::Message message;
        message.email_id = request.email;
        message.date = request.internal_date;
        std::vector<std::string> recipes;
        for (const auto& key : user_keys)
            recipes.push_back(seal_recipe(seal_seed(secret, request.email, key), style, key));
        TRY(restore_returned(mail, message, keys, recipes, user_keys));
        return std::move(mail);
    };
    mail = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    co_return Result<>();
}

net::Task<Result<>> LinkReceiver::apply_at_core(NodeId peer, sync::AccountSection section) {
    for (const auto& numbered : section.entries)
        if (!may_come_from_remote(numbered.entry))
            co_return fail(
                ErrorKind::refused,
                "a remote may not send " + std::string(sync::entry_name(numbered.entry)) + " entries");
    AccountId id = section.account;
    auto prepared = CO_TRY(co_await prepare(peer, section));
    struct Outcome {
        bool changed, ahead, held, too_many;
    };
    store::OutsideLimits limits{node_.config.count("limits.account-mailboxes"),
                                node_.config.count("replicate.max-expunges-per-day")};
    std::size_t octets = 0;
    for (const auto& numbered : section.entries)
        octets += sync::count_messages(numbered.entry) * store::octets_a_message;
    auto job = [peer, section = std::move(section), author = store::Author{node_.id, node_.clock()}, limits,
                since = horizon(node_.config, node_.clock()),
                prepared = std::move(prepared)](store::AccountStore& account) -> Result<Outcome> {
        AtCore to{account,         peer, author.now, author, limits, prepared.bodies, prepared.appended,
                  prepared.refused};
        to.since = since;
        TRY(apply_remote_entries(to, section));
        return Outcome{to.changed, to.ahead, to.held, to.too_many};
    };
    auto outcome = CO_TRY(co_await node_.write(id, std::move(job), octets));
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
                                                              const std::set<AccountId>& at_once,
                                                              std::optional<UnixMillis>& next) {
    std::vector<AckDue> due;
    std::lock_guard lock(mutex_);
    for (auto it = answers_.begin(); it != answers_.end();) {
        auto when = it->second.timer.due();
        if (when && *when > now && !at_once.contains(it->first.second)) {
            if (!next || *when < *next) next = *when;
            ++it;
            continue;
        }
        if (when) {
            auto row = std::ranges::find(due, it->first.first, &AckDue::peer);
            if (row == due.end()) row = due.insert(due.end(), AckDue{it->first.first, {}});
            row->accounts.emplace_back(it->first.second, it->second.compared);
        }
        it = answers_.erase(it);
    }
    return due;
}

}  // namespace fwmail::service
