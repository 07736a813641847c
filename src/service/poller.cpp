#include "service/poller.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "crypto/box.hpp"
#include "service/digests.hpp"
#include "service/horizon.hpp"
#include "service/outbox_kinds.hpp"
#include "store/epochs.hpp"
#include "store/outside_numbers.hpp"
#include "store/resealed.hpp"
#include "sync/entries.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t batch = 64;            // new messages planned at a time
constexpr std::size_t changes_batch = 5000;  // flag changes and expunges planned at a time
constexpr auto longest_unlooked = std::chrono::hours(1);
constexpr std::chrono::milliseconds look_for_acks = std::chrono::seconds(1);
constexpr std::size_t cache_octets = 64 << 20;
constexpr std::size_t cache_lead = 16 << 20;  // as far as the poller runs ahead of the sender
constexpr auto cache_time = std::chrono::seconds(30);
constexpr std::size_t cache_object = 1 << 20;  // larger objects are sealed again when they are sent

std::string_view view_of(const Octets32& octets) {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// Whether what is sealed to the user's other keys is being sealed anew.
bool is_resealing(const UserRecord* user) {
    return user && user->seal_key && !user->keys.empty() && user->keys.front().reseals;
}

}  // namespace

void SealCache::put(AccountId account, std::string sha256, std::string packed) {
    if (packed.size() > cache_object) return;
    std::lock_guard lock(mutex_);
    forget_old();
    // The oldest are kept: they are sent first.
    if (octets_ + packed.size() > cache_octets) return;
    std::size_t size = packed.size();
    Key key(account, std::move(sha256));
    if (!entries_.emplace(key, std::make_shared<const std::string>(std::move(packed))).second) return;
    octets_ += size;
    order_.emplace_back(std::chrono::steady_clock::now(), key);
}

// What has gone before it was sent is never asked for.
void SealCache::forget_old() {
    auto since = std::chrono::steady_clock::now() - cache_time;
    for (; !order_.empty() && order_.front().first < since; order_.pop_front())
        if (auto it = entries_.find(order_.front().second); it != entries_.end()) {
            octets_ -= it->second->size();
            entries_.erase(it);
        }
}

SealCache::Octets SealCache::take(AccountId account, const std::string& sha256) {
    std::lock_guard lock(mutex_);
    auto it = entries_.find({account, sha256});
    if (it == entries_.end()) return nullptr;
    stuck_ = false;
    Octets found = std::move(it->second);
    octets_ -= found->size();
    entries_.erase(it);
    return found;
}

std::string recipe_end(const crypto::PublicKey& key) {
    std::string octets;
    for (int shift = 56; shift >= 0; shift -= 8)
        octets += static_cast<char>(key.encryption_key_id().value >> shift);
    return octets;
}

std::string seal_recipe(const Octets32& seed, OuterHeader outer, const crypto::PublicKey& key) {
    return std::string(view_of(seed)) + (outer == OuterHeader::minimal ? 'm' : 'o') + recipe_end(key);
}

Octets32 seal_seed(std::string_view secret, EmailId email, const crypto::PublicKey& key) {
    return crypto::hmac_sha256(secret, std::string(email.octets()) + recipe_end(key));
}

Result<SealedInfo> seal_message(const store::Message& message, std::string_view recipe,
                                std::span<const crypto::PublicKey> keys, const MessageSource& source,
                                const Sink& packed) {
    if (recipe.empty()) return pack_as_it_is(source, message.email_id, packed);
    SealOrder order;
    constexpr std::size_t seed_octets = std::tuple_size_v<Octets32>;
    if (recipe.size() != sync::recipe_octets)
        return fail(ErrorKind::refused, "a recipe for sealing has another length");
    auto key = std::ranges::find(keys, recipe.substr(seed_octets + 1), recipe_end);
    if (key == keys.end()) return fail(ErrorKind::refused, "the key to seal this message to is not here");
    order.email_id = message.email_id;
    std::copy_n(recipe.begin(), seed_octets, order.seed.begin());
    order.date = message.date;
    order.outer = recipe[seed_octets] == 'm' ? OuterHeader::minimal : OuterHeader::ordinary;
    return seal_mail(source, *key, order, packed);
}

std::size_t SealCache::octets() const {
    std::lock_guard lock(mutex_);
    return octets_;
}

bool SealCache::wait_for_sender() {
    std::lock_guard lock(mutex_);
    forget_old();
    return octets_ > cache_lead && !stuck_;
}

void SealCache::sender_is_stuck() {
    std::lock_guard lock(mutex_);
    stuck_ = true;
}

Result<std::string> account_entry_octets(store::SystemStore& system, AccountId account) {
    auto user = TRY(system.find_user(account));
    if (!user) return fail(ErrorKind::internal, "an account has no user");
    sync::AccountEntry entry;
    entry.name = user->name;
    entry.removed = user->state == store::UserState::removed;
    entry.addresses = TRY(system.load_addresses(account));
    std::ranges::sort(entry.addresses);
    if (!entry.removed)
        for (const auto& credential : TRY(system.load_credentials(account)))
            if (!credential.revoked && credential.kind == store::CredentialKind::outside)
                entry.verifiers.push_back(
                    {std::to_string(credential.id), credential.label, credential.verifier});
    // The one in use first; mail that is sealed to the others may still be to go.
    for (const auto& key : TRY(system.load_keys(account))) entry.certificates.push_back(key.certificate);
    return sync::encode_entry(entry);
}

struct Poller::Look {
    std::vector<store::Mailbox> mailboxes;  // whose attributes changed
    std::vector<store::ChangedSubscription> subscriptions;
    std::map<MailboxId, std::vector<store::Message>> added;  // to plan, by UID
    std::map<MailboxId, Uid> last;                // of each of these mailboxes: looked at up to there
    std::map<MailboxId, store::Planned> planned;  // before this round
    std::set<store::Place> adopted;               // of `added`, those that the remote has already
    std::vector<store::ChangedMessage> flags;
    store::Gone gone;
    ModSeq cursor;       // after this round
    bool moved = false;  // the cursor, with something to plan or without
    bool more = false;   // the cursor stays; there is more to plan
};

struct Poller::SealedMessage {
    Uid uid;
    EmailId email_id;
    ObjectId object;
    store::Seal seal;
    std::uint64_t packed_size = 0;
};

net::Task<Result<std::string>> seal_secret(Node& node, AccountId account) {
    auto load = [](store::AccountStore& store) { return store.value("seal-secret"); };
    auto box = CO_TRY(co_await node.read(account, load));
    std::string place = "seal-secret:" + account.hex();
    if (!box) {
        auto fresh = CO_TRY(crypto::box_seal(node.master_key, random_octets(32), place));
        auto save = [fresh](store::AccountStore& store) -> Result<std::string> {
            if (auto known = TRY(store.value("seal-secret"))) return *known;  // another was faster
            TRY(store.set_value("seal-secret", fresh));
            return fresh;
        };
        box = CO_TRY(co_await node.write(account, std::move(save)));
    }
    auto secret = CO_TRY(crypto::box_open(node.master_key, *box, place));
    co_return std::string(secret.view());
}

net::Task<> Poller::run() {
    net::Notifier wake(co_await boost::asio::this_coro::executor);
    node_.hub.attach_poller(wake);
    auto looked = std::chrono::steady_clock::now();  // at all of them
    bool all = true;
    while (!node_.stopping) {
        std::set<AccountId> accounts = node_.hub.take_dirty();
        accounts.merge(std::exchange(waiting_, {}));
        if (all) {
            looked = std::chrono::steady_clock::now();
            auto load = [](store::SystemStore& system) { return system.load_users(); };
            auto users = co_await node_.read(store::system_file, load);
            if (users)
                for (const auto& user : *users) accounts.insert(user.id);
        }
        accounts.erase(AccountId{});
        for (auto account : accounts) {
            if (node_.stopping) break;
            auto polled = co_await poll(account);
            if (!polled) {
                node_.log.error("poller", polled.error().text);
                co_await net::sleep_for(std::chrono::seconds(1));
            }
        }
        if (!accounts.empty()) node_.link_wake.notify();
        std::chrono::milliseconds interval = node_.config.duration("poll.interval");
        if (interval.count() == 0) interval = std::chrono::seconds(60);
        bool woken = co_await wake.wait(
            net::deadline_after(waiting_.empty() ? interval : std::min(interval, look_for_acks)));
        auto passed = std::chrono::steady_clock::now() - looked;
        all = (!woken && passed >= interval) || passed >= longest_unlooked;
    }
}

net::Task<Result<>> Poller::poll(AccountId account) {
    auto links = links_.all();
    for (const auto& link : *links) {
        if (link.link.role != "remote") continue;
        CO_TRY(co_await plan_account_entry(account, link));
        bool more = true;
        while (more && !node_.stopping) {
            more = CO_TRY(co_await plan(account, link));
            node_.hub.outbox_changed(account);
            node_.link_wake.notify();
        }
        CO_TRY(co_await compare_in_time(account, link));
    }
    co_return co_await reseal(account);
}

net::Task<Result<>> Poller::compare_in_time(AccountId account, LinkRecord link) {
    auto interval = std::chrono::milliseconds(node_.config.duration("replicate.compare-after")).count();
    if (interval == 0) co_return Result<>();
    auto look = [peer = link.link.peer, interval, now = node_.clock()](store::AccountStore& store) {
        return comparison_due(store, peer, interval, now);
    };
    if (CO_TRY(co_await node_.read(account, look))) node_.hub.compare(account);
    co_return Result<>();
}

net::Task<Result<>> Poller::plan_account_entry(AccountId account, LinkRecord link) {
    auto make = [account](store::SystemStore& system) { return account_entry_octets(system, account); };
    std::string octets = CO_TRY(co_await node_.read(store::system_file, make));
    auto digest = crypto::sha256(octets);
    std::string mark(crypto::view_of(digest)), name = "account-entry:" + link.link.peer.hex();
    auto known = [name](store::AccountStore& store) { return store.value(name); };
    auto before = CO_TRY(co_await node_.read(account, known));
    if (before == mark) co_return Result<>();
    auto job = [mark, name, peer = link.link.peer,
                now = node_.clock()](store::AccountStore& store) -> Result<> {
        store::OutboxPlan plan;
        store::OutboxRow row;
        row.kind = outbox_account;
        row.due = now;
        row.replaces = true;  // an earlier one that comes late must not bring revoked passwords back
        plan.rows.push_back(row);
        plan.cursor = TRY(store.cursor(peer));
        TRY(store.append_outbox(peer, plan));
        return store.set_value(name, mark);
    };
    co_return co_await node_.write(account, std::move(job));
}

// One consistent look at what the remote does not know yet.
net::Task<Result<Poller::Look>> Poller::look(AccountId account, LinkRecord link) {
    auto job = [peer = link.link.peer,
                oldest = horizon(node_.config, node_.clock())](store::AccountStore& store) -> Result<Look> {
        Look look;
        if (TRY(store::awaited_state(store, peer))) return look;
        ModSeq cursor = TRY(store.cursor(peer));
        look.cursor = TRY(store.highest_modseq());
        look.moved = look.cursor > cursor;
        if (!look.moved) return look;
        // The cursor stays while new mail is planned in batches; mailboxes have one of their own, so that
        // they are named once.
        auto named = TRY(store.value(mailboxes_cursor(peer)));
        ModSeq since = named ? ModSeq{std::stoull(*named)} : ModSeq{};
        look.mailboxes = TRY(store.mailboxes_changed_since(since, peer));
        look.subscriptions = TRY(store.subscriptions_changed_since(since, peer));
        std::size_t room = batch;
        for (const auto& mailbox : TRY(store.load_mailboxes())) {
            auto planned = TRY(store.planned(peer, mailbox.id));
            look.planned[mailbox.id] = planned;
            if (mailbox.highest_modseq <= cursor || !room) {
                look.more |= mailbox.highest_modseq > cursor;
                continue;
            }
            UidSet fresh;
            fresh.add(planned.last.value + 1, 0xffffffff);
            auto messages = TRY(store.load_messages(
                mailbox.id, fresh,
                store::column_identity | store::column_size | store::column_date | store::column_seal, room));
            if (messages.empty()) continue;
            look.more |= messages.size() == room;
            room -= messages.size();
            look.last[mailbox.id] = messages.back().uid;
            // What is older than the horizon is not replicated: to the remote those UIDs are gone.
            if (cursor.value == 0) std::erase_if(messages, [&](const auto& m) { return m.date < oldest; });
            for (const auto& message : messages)
                if (TRY(store::is_adopted(store, peer, {mailbox.id, message.uid})))
                    look.adopted.insert({mailbox.id, message.uid});
            look.added[mailbox.id] = std::move(messages);
        }
        if (look.more) {
            look.cursor = cursor;
            return look;
        }
        look.flags = TRY(store.messages_changed_since(cursor, changes_batch, peer));
        auto expunged = TRY(store.expunged_since(cursor, changes_batch));
        // A full list ends somewhere: plan up to there, and come back.
        auto end_with = [&](const auto& list) {
            if (list.size() < changes_batch || list.back().modseq >= look.cursor) return;
            look.cursor = list.back().modseq;
            look.more = true;
        };
        end_with(look.flags);
        end_with(expunged);
        std::erase_if(look.flags, [&](const auto& c) { return c.modseq > look.cursor; });
        std::erase_if(expunged, [&](const auto& c) { return c.modseq > look.cursor; });
        look.gone = TRY(store::gone_at(store, peer, expunged));
        return look;
    };
    co_return co_await node_.read(account, std::move(job));
}

net::Task<Result<std::vector<Poller::SealedMessage>>> Poller::seal_all(AccountId account, Look look) {
    std::string secret = CO_TRY(co_await seal_secret(node_, account));
    auto user = node_.directory.find(account);
    std::vector<store::Message> messages;
    for (auto& [mailbox, list] : look.added) messages.insert(messages.end(), list.begin(), list.end());
    auto style =
        node_.config.text("replicate.outer") == "minimal" ? OuterHeader::minimal : OuterHeader::ordinary;
    auto job = [this, account, secret, user, style, messages = std::move(messages)](
                   store::SystemStore& system) -> Result<std::vector<SealedMessage>> {
        std::vector<SealedMessage> all;
        for (const auto& message : messages) {
            if (!user || !user->seal_key) {
                SealedMessage sealed{message.uid, message.email_id, message.object, {}, 0};
                sealed.seal.state = store::SealState::withheld;
                sealed.seal.reason = "the user has no key to seal to";
                all.push_back(std::move(sealed));
                continue;
            }
            std::string recipe =
                seal_recipe(seal_seed(secret, message.email_id, *user->seal_key), style, *user->seal_key);
            // What was sealed before, as a copy was, stays as it is: it may be shown already.
            if (message.seal.state == store::SealState::sealed) recipe = message.seal.seed;
            all.push_back(TRY(seal_one(system, account, *user, message, recipe)));
        }
        return all;
    };
    co_return co_await node_.read(store::system_file, std::move(job));
}

Result<Poller::SealedMessage> Poller::seal_one(store::SystemStore& system, AccountId account,
                                               const UserRecord& user, const store::Message& message,
                                               std::string_view recipe) {
    SealedMessage sealed{message.uid, message.email_id, message.object, {}, 0};
    MessageSource source{message.size, [&](std::uint64_t offset, std::size_t length) {
                             return system.read_object(message.object, offset, length);
                         }};
    std::string packed;
    auto info =
        seal_message(message, recipe, user.seal_keys, source, [&](std::string_view octets) -> Result<> {
            if (packed.size() <= cache_object) packed += octets;
            return {};
        });
    if (!info && info.error().kind == ErrorKind::temporary) return fail(info.error());
    if (!info) {
        sealed.seal.state = store::SealState::withheld;
        sealed.seal.reason = info.error().text;
        return sealed;
    }
    sealed.seal = {std::string(recipe), info->size, std::string(view_of(info->sha256)),
                   store::SealState::sealed, ""};
    sealed.packed_size = info->packed_size;
    if (packed.size() == info->packed_size) cache_.put(account, sealed.seal.sha256, std::move(packed));
    return sealed;
}

std::size_t Poller::chunk_octets() const {
    return sync::chunk_size_for(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
}

void Poller::add_message(store::OutboxPlan& plan, MailboxId mailbox, SealedMessage sealed, Uid& prev,
                         UnixMillis now, bool with_body) {
    plan.seals.push_back({mailbox, sealed.uid, sealed.seal});
    if (sealed.seal.state != store::SealState::sealed) {
        node_.log.warning("poller", "a message is withheld from the remote: " + sealed.seal.reason);
        return;  // its UID is passed over, as one that is gone
    }
    store::OutboxRow row;
    row.kind = outbox_message;
    row.mailbox = mailbox;
    row.uid = sealed.uid;
    row.prev_uid = prev;
    row.object = sealed.object;
    row.email_id = sealed.email_id;
    row.length = sealed.packed_size;
    row.due = now;
    plan.rows.push_back(row);
    prev = sealed.uid;
    if (with_body) add_chunks(plan, std::move(row), sealed.packed_size, chunk_octets());
}

// What the sender does not take in time would be sealed twice.
net::Task<> Poller::let_sender_catch_up() {
    auto deadline = net::deadline_after(std::chrono::seconds(2));
    while (cache_.wait_for_sender() && !node_.stopping) {
        if (std::chrono::steady_clock::now() > deadline) cache_.sender_is_stuck();
        co_await net::sleep_for(std::chrono::milliseconds(10));
    }
}

// True: call again, there is more.
net::Task<Result<bool>> Poller::plan(AccountId account, LinkRecord link) {
    auto look = CO_TRY(co_await this->look(account, link));
    if (!look.moved) co_return false;
    std::vector<SealedMessage> sealed;
    if (!look.added.empty()) {
        co_await let_sender_catch_up();
        sealed = CO_TRY(co_await seal_all(account, look));
    }
    UnixMillis now = node_.clock();
    store::OutboxPlan plan;
    plan.cursor = look.cursor;
    store::OutboxRow row;
    row.due = now;
    ModSeq named;
    for (const auto& mailbox : look.mailboxes) {
        named = std::max(named, mailbox.modseq);
        row.kind = outbox_mailbox;
        row.mailbox = mailbox.id;
        row.replaces = true;
        plan.rows.push_back(row);
    }
    row.mailbox = {};
    row.replaces = false;
    for (const auto& name : look.subscriptions) {
        named = std::max(named, name.modseq);
        row.kind = outbox_subscription;
        row.payload = name.name;
        plan.rows.push_back(row);
    }
    row.payload.clear();
    std::size_t next = 0;
    for (const auto& [mailbox, messages] : look.added) {
        Uid prev = look.planned[mailbox].chained;
        for (std::size_t i = 0; i < messages.size(); ++i)
            add_message(plan, mailbox, std::move(sealed[next++]), prev, now,
                        !look.adopted.contains({mailbox, messages[i].uid}));
        plan.planned.push_back({mailbox, {look.last[mailbox], prev}});
    }
    for (const auto& change : look.flags) {
        if (change.uid > look.planned[change.mailbox].last) continue;  // goes with the message itself
        row.replaces = true;
        row.kind = outbox_flags;
        row.mailbox = change.mailbox;
        row.uid = change.uid;
        plan.rows.push_back(row);
    }
    add_gone(plan, look.gone, now);
    crash_point("poller.sealed");
    std::size_t octets = plan.rows.size() * store::octets_a_message;
    auto job = [peer = link.link.peer, named,
                plan = std::move(plan)](store::AccountStore& store) -> Result<> {
        TRY(store.append_outbox(peer, plan));
        if (named.value) TRY(store.set_value(mailboxes_cursor(peer), std::to_string(named.value)));
        for (const auto& record : plan.seals) {
            if (record.seal.state != store::SealState::withheld) continue;
            TRY(store.count_up("withheld-count"));
            TRY(store.set_value("withheld-reason", record.seal.reason));
        }
        return {};
    };
    CO_TRY(co_await node_.write(account, std::move(job), octets));
    crash_point("poller.planned");
    report_progress(account, link, sealed.size(), !look.more);
    co_return look.more;
}

void add_gone(store::OutboxPlan& plan, const store::Gone& gone, UnixMillis now) {
    store::OutboxRow row;
    row.due = now;
    row.kind = outbox_expunge;
    auto add = [&](UidSet uids) {
        row.payload = sync::encode_entry(sync::ExpungeEntry{row.mailbox, std::move(uids), Uid{}});
        plan.rows.push_back(row);
    };
    for (const auto& [mailbox, uids] : gone.uids) {
        row.mailbox = mailbox;
        UidSet some;
        for (const auto& i : uids.list()) {
            some.add(i.first, i.last);
            if (some.list().size() == sync::max_uid_intervals) add(std::exchange(some, {}));
        }
        if (!some.empty()) add(std::move(some));
    }
    row.kind = outbox_confirm;
    row.mailbox = {};
    for (const auto& given : gone.given) {
        row.payload = sync::encode_entry(sync::ConfirmEntry{given.mailbox, given.uid, given.mailbox, Uid{}});
        plan.rows.push_back(row);
    }
}

Resealed Poller::resealed(const SealedMessage& one, std::string before) {
    return {one.uid, one.email_id, one.object, std::move(before), one.seal, one.packed_size};
}

// A batch at a time, so that new mail and other accounts need not wait.
net::Task<Result<>> Poller::reseal(AccountId account) {
    auto user = node_.directory.find(account);
    if (!is_resealing(user.get())) co_return Result<>();
    auto& pass = resealing_[account];
    // Another key means that all is to be looked at.
    if (auto end = recipe_end(*user->seal_key); pass.recipe_end != end) pass = {std::move(end), {}, 0};
    std::vector<NodeId> peers;
    auto links = links_.all();
    for (const auto& link : *links)
        if (link.link.role == "remote") peers.push_back(link.link.peer);
    auto next = [peers, end = pass.recipe_end, at = pass.at](store::AccountStore& store) {
        return next_to_reseal(store, peers, end, at);
    };
    auto batch = CO_TRY(co_await node_.read(account, std::move(next)));
    if (batch.waits) {
        waiting_.insert(account);
        co_return Result<>();
    }
    if (!batch.mailbox) co_return co_await end_pass(account, *user);
    co_await let_sender_catch_up();
    std::string secret = CO_TRY(co_await seal_secret(node_, account));
    auto seal = [this, account, user, secret,
                 messages = batch.messages](store::SystemStore& system) -> Result<std::vector<Resealed>> {
        std::vector<Resealed> all;
        for (const auto& message : messages) {
            const std::string& before = message.seal.seed;
            auto outer =
                before[std::tuple_size_v<Octets32>] == 'm' ? OuterHeader::minimal : OuterHeader::ordinary;
            auto recipe =
                seal_recipe(seal_seed(secret, message.email_id, *user->seal_key), outer, *user->seal_key);
            auto one = TRY(seal_one(system, account, *user, message, recipe));
            if (one.seal.state == store::SealState::sealed)
                all.push_back(resealed(one, before));
            else
                node_.log.warning("poller", "a message stays sealed to an earlier key: " + one.seal.reason);
        }
        return all;
    };
    auto sealed = CO_TRY(co_await node_.read(store::system_file, std::move(seal)));
    crash_point("poller.sealed-anew");
    pass.found += sealed.size();
    pass.at = {*batch.mailbox, batch.last ? Uid{UINT32_MAX} : batch.messages.back().uid};
    auto save = [peers, mailbox = *batch.mailbox, sealed = std::move(sealed), last = batch.last,
                 chunk = chunk_octets(), now = node_.clock()](store::AccountStore& store) {
        return save_resealed(store, peers, mailbox, sealed, last, chunk, now);
    };
    CO_TRY(co_await node_.write(account, std::move(save)));
    crash_point("poller.resealed");
    node_.hub.outbox_changed(account);
    node_.hub.poll_again(account);
    co_return Result<>();
}

// What was moved behind the back of a pass is found by the next one.
net::Task<Result<>> Poller::end_pass(AccountId account, const UserRecord& user) {
    std::string key = user.keys.front().fingerprint, name = user.user.name;
    std::size_t found = std::exchange(resealing_[account], {}).found;
    if (found) {
        node_.log.info("poller", std::to_string(found) + " messages of " + name +
                                     " have been sealed anew to the key " + key);
        node_.hub.poll_again(account);
        co_return Result<>();
    }
    resealing_.erase(account);
    auto finish = [this, account, key](store::SystemStore& system) -> Result<> {
        TRY(system.finish_resealing(account, key));
        return node_.directory.reload(system);
    };
    co_return co_await node_.write(store::system_file, std::move(finish));
}

// Long work is seen: the first replication of a mailbox may take hours.
void Poller::report_progress(AccountId account, const LinkRecord& link, std::size_t count, bool last) {
    auto& total = progress_[{account, link.link.peer}];
    std::size_t before = total / 1000;
    total += count;
    if (total / 1000 != before || (last && total >= 1000))
        node_.log.info("poller", std::to_string(total) + " messages of " + node_.directory.name_of(account) +
                                     " are planned for " + link.link.name + (last ? ", that is all" : ""));
    if (last) progress_.erase({account, link.link.peer});
}

}  // namespace fwmail::service
