#include "service/link_sender.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "crypto/openpgp_message.hpp"
#include "service/digests.hpp"
#include "service/epochs.hpp"
#include "service/horizon.hpp"
#include "service/outbox_kinds.hpp"
#include "service/queue_runner.hpp"
#include "store/epochs.hpp"
#include "store/stated.hpp"
#include "sync/frame_builder.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::service {
namespace {

constexpr std::uint64_t queued_mails = 8;  // of a link, before more are made
constexpr std::size_t frames_at_once = 4;  // of a link: one is made while others are on their way
constexpr std::size_t rows_at_first = 100, rows_at_most = 6000;
constexpr std::int64_t retry_after = 10'000;   // when a frame could not be made
constexpr std::size_t accounts_a_mail = 500;   // of acknowledgements and digests
constexpr std::int64_t rest_awaited = 60'000;  // for digests; then they wait for the next time
constexpr std::int64_t sent_lately = 10'000;   // its acknowledgement may be on its way

UnixMillis now_plus(UnixMillis now, std::int64_t ms) { return UnixMillis{now.value + ms}; }

sync::DueEntry due_entry(const store::OutboxRow& row) {
    // The entry of a voided row is a number; those of others are not made yet.
    if (row.state == store::OutboxState::voided) return {8};
    switch (static_cast<OutboxKind>(row.kind)) {
        case outbox_chunk:
            return {row.length + 100};
        case outbox_account:
            return {4000, sync::Order::first};
        case outbox_flags:
            return {100, sync::Order::behind};
        case outbox_expunge:
        case outbox_said:
        case outbox_confirm:
        case outbox_return:
            return {row.payload.size() + 10};
        case outbox_home_chunk:
            return {row.length + 100};
        case outbox_copy:
        case outbox_append:
            return {row.payload.size() + 100};
        case outbox_mailbox:
        case outbox_message:
        case outbox_resealed:
        case outbox_stubbed:
        case outbox_subscription:
        case outbox_stated:
            return {200};
        case outbox_state:
            return {store::stated_at_once * 80};
    }
    return {200};
}

}  // namespace

void LinkSender::on_mail_done(NodeId link, const std::string& error) {
    {
        std::lock_guard lock(mutex_);
        auto& pause = pauses_[link];
        if (error.empty()) {
            pause = {};
        } else {
            // The peer does not want our mail: more of it now would only be refused as well.
            std::int64_t wait = std::min<std::int64_t>(3'600'000, 30'000ll << std::min(pause.refusals, 7u));
            ++pause.refusals;
            pause.until = now_plus(node_.clock(), wait);
        }
    }
    node_.link_wake.notify();
}

net::Task<> LinkSender::run() {
    auto links = links_.all();
    auto load = [](store::SystemStore& system) { return system.load_users(); };
    if (auto users = co_await node_.read(store::system_file, load))
        for (const auto& link : *links)
            for (const auto& user : *users) busy_[link.link.peer].insert(user.id);
    while (!node_.stopping) {
        links = links_.all();
        for (auto account : node_.hub.take_outboxes())
            for (const auto& link : *links) busy_[link.link.peer].insert(account);
        std::set<AccountId> at_once;
        for (auto [account, haste] : node_.hub.take_hurried()) {
            at_once.insert(account);
            for (const auto& link : *links) {
                auto hurried = co_await hurry(link, account, haste);
                if (!hurried) node_.log.error("link", hurried.error().text);
            }
        }
        next_due_.reset();
        backlog_ = false;
        for (const auto& link : *links) {
            auto sent = co_await send_entries(link);
            if (!sent) node_.log.error("link", sent.error().text);
        }
        auto acked = co_await send_acks(node_.clock(), std::move(at_once));
        if (!acked) node_.log.error("link", acked.error().text);
        co_await send_all_digests();
        bool woken = co_await node_.link_wake.wait(
            net::deadline_after(std::chrono::milliseconds(wait_ms(node_.clock()))));
        if (woken && !backlog_) co_await gather();
        auto delay = std::chrono::milliseconds(node_.config.duration("replicate.batch-delay")).count();
        flush_ = node_.clock().value - last_flush_.value >= delay;
    }
}

// What changes together travels together. Ends early when a whole frame waits: under load that is at once,
// and what is left at the end need not wait the full time, as nothing but whole frames went before it.
net::Task<> LinkSender::gather() {
    auto delay = std::chrono::milliseconds(node_.config.duration("replicate.batch-delay")).count();
    std::int64_t begin = node_.clock().value;
    std::int64_t until = std::clamp(last_flush_.value + delay, begin + delay / 10, begin + delay);
    auto deadline = net::deadline_after(std::chrono::milliseconds(until - begin));
    std::uint64_t frame = UINT64_MAX;
    auto links = links_.all();
    for (const auto& link : *links) frame = std::min(frame, target_octets(link.link.peer));
    for (bool in_time = true; in_time && !node_.stopping && cache_.octets() < frame;)
        in_time = co_await node_.link_wake.wait(deadline);
}

// What waits for its time, to be sent again or by the queue, need not wait any longer.
net::Task<Result<>> LinkSender::hurry(LinkRecord link, AccountId account, ChangeHub::Haste haste) {
    NodeId peer = link.link.peer;
    if (haste >= ChangeHub::Haste::command) {
        std::lock_guard lock(mutex_);
        pauses_[peer] = {};
    }
    resting_.erase({peer, account});
    UnixMillis now = node_.clock();
    auto look = [peer](store::AccountStore& store) { return store.next_outbox_due(peer); };
    if (CO_TRY(co_await node_.read(account, look))) {
        auto job = [peer, now](store::AccountStore& store) {
            return store.hurry_outbox(peer, now, now_plus(now, -sent_lately));
        };
        CO_TRY(co_await node_.write(account, job));
        busy_[peer].insert(account);
    }
    auto waiting = [peer](store::SystemStore& system) { return system.queue_summary(peer); };
    if (CO_TRY(co_await node_.read(store::system_file, waiting)).count == 0) co_return Result<>();
    auto job = [peer, now](store::SystemStore& system) { return system.hurry_link(peer, now); };
    CO_TRY(co_await node_.write(store::system_file, job));
    node_.queue_wake.notify();
    co_return Result<>();
}

void LinkSender::note_due(UnixMillis when) {
    if (!next_due_ || when < *next_due_) next_due_ = when;
}

std::int64_t LinkSender::wait_ms(UnixMillis now) const {
    std::int64_t wait = 60'000;
    for (const auto& next : {next_ack_, next_due_})
        if (next) wait = std::clamp<std::int64_t>(next->value - now.value, 100, wait);
    return wait;
}

net::Task<Result<bool>> LinkSender::may_send(const LinkRecord& link) {
    UnixMillis now = node_.clock();
    {
        std::lock_guard lock(mutex_);
        if (pauses_[link.link.peer].until > now) {
            note_due(pauses_[link.link.peer].until);
            co_return false;
        }
        auto& budget = budgets_[link.link.peer];
        if (now.value - budget.hour.value >= 3'600'000) budget = {now, 0};
        if (budget.mails + frames_under_way(link.link.peer) >=
            node_.config.count("replicate.max-mails-per-hour"))
            co_return false;
    }
    if (frames_under_way(link.link.peer) >= frames_at_once) co_return false;
    auto look = [peer = link.link.peer](store::SystemStore& system) { return system.queue_summary(peer); };
    auto summary = CO_TRY(co_await node_.read(store::system_file, look));
    co_return summary.count + frames_under_way(link.link.peer) < queued_mails;
}

std::size_t LinkSender::frames_under_way(NodeId peer) const {
    std::size_t frames = 0;
    for (auto it = flights_.lower_bound({peer, AccountId{}}); it != flights_.end() && it->first.first == peer;
         ++it)
        frames += it->second.frames;
    return frames;
}

std::uint64_t LinkSender::target_octets(NodeId peer) {
    auto largest =
        sync::max_frame_octets(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
    std::lock_guard lock(mutex_);
    return sync::frame_target(largest, budgets_[peer].mails,
                              node_.config.count("replicate.max-mails-per-hour"));
}

net::Task<Result<sync::AccountSection>> LinkSender::new_section(LinkRecord link, AccountId account) {
    std::size_t room =
        sync::sets_room_for(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size"))) / 2;
    auto load = [turn = epoch_turn(link, node_.is_core(), node_.config, node_.clock()),
                 room](store::AccountStore& store) { return begin_section(store, turn, room); };
    auto section = CO_TRY(co_await node_.read(account, load));
    section.account = account;
    co_return section;
}

net::Task<Result<>> LinkSender::send_entries(LinkRecord link) {
    auto& busy = busy_[link.link.peer];
    std::vector<AccountId> accounts(busy.begin(), busy.end());
    for (auto account : accounts) {
        auto room = co_await send_account(link, account);
        if (!room) log_failure(account, room.error());  // it must not hold up the others
        if (!room || *room) continue;
        backlog_ = true;
        break;
    }
    co_return Result<>();
}

void LinkSender::log_failure(AccountId account, const Error& error) {
    node_.log.error("link",
                    "the entries of " + node_.directory.name_of(account) + " cannot be sent: " + error.text);
}

// False: the queue is full, the hour's mails are sent, or enough is under way.
net::Task<Result<bool>> LinkSender::send_account(LinkRecord link, AccountId account) {
    Place place{link.link.peer, account};
    if (auto rest = resting_.find(place); rest != resting_.end()) {
        if (rest->second > node_.clock()) {
            note_due(rest->second);
            co_return true;
        }
        resting_.erase(rest);
    }
    for (bool more = true; more;) {
        if (node_.stopping || !CO_TRY(co_await may_send(link))) co_return false;
        more = CO_TRY(co_await send_next(link, account));
    }
    // What is under way wakes us when it has arrived.
    if (!flights_.contains(place)) CO_TRY(co_await note_next_due(link.link.peer, account));
    co_return true;
}

net::Task<Result<>> LinkSender::note_next_due(NodeId peer, AccountId account) {
    auto look = [peer](store::AccountStore& store) { return store.next_outbox_due(peer); };
    auto due = CO_TRY(co_await node_.read(account, look));
    if (!due) {
        busy_[peer].erase(account);
        co_return Result<>();
    }
    auto delay = std::chrono::milliseconds(node_.config.duration("replicate.batch-delay")).count();
    note_due(flush_ ? *due : std::max(*due, now_plus(last_flush_, delay)));
    co_return Result<>();
}

// One frame of what is due goes on its way. False: nothing more can go now.
net::Task<Result<bool>> LinkSender::send_next(LinkRecord link, AccountId account) {
    Place place{link.link.peer, account};
    auto flight = flights_.find(place);
    bool under_way = flight != flights_.end();
    if (under_way && flight->second.alone) {
        backlog_ = true;
        co_return false;
    }
    NumberSet skip = under_way ? flight->second.numbers : NumberSet();
    struct Due {
        Rows rows;
        sync::FrameChoice choice;
        sync::Epoch epoch;  // in which they are numbered
    };
    auto load = [peer = link.link.peer, own = link.own_epoch, now = node_.clock(), skip, under_way,
                 target = target_octets(link.link.peer)](store::AccountStore& store) -> Result<Due> {
        // Few rows are a frame where they are bodies; many where they are flags.
        for (std::size_t limit = rows_at_first;; limit *= 8) {
            Due due{TRY(store.load_outbox_due(peer, now, limit + skip.count())), {}, {}};
            bool all = due.rows.size() < limit + skip.count() || limit >= rows_at_most;
            std::erase_if(due.rows, [&](const auto& row) { return skip.contains(row.number.value); });
            std::vector<sync::DueEntry> entries;
            for (const auto& row : due.rows) entries.push_back(due_entry(row));
            due.choice = sync::choose_frame(entries, target, under_way);
            due.epoch = TRY(store::load_epochs(store, peer, own, {})).own;
            if (due.choice.full || due.choice.count < due.rows.size() || all) return due;
        }
    };
    auto due = CO_TRY(co_await node_.read(account, std::move(load)));
    auto& rows = due.rows;
    const auto& choice = due.choice;
    backlog_ |= under_way && choice.count < rows.size();
    if (choice.count == 0 || (!choice.full && !flush_)) co_return false;
    if (!choice.full) last_flush_ = node_.clock();
    rows.resize(choice.count);
    auto& frames = flights_[place];
    for (const auto& row : rows) frames.numbers.add(row.number.value);
    ++frames.frames;
    frames.alone |= choice.alone;
    node_.runtime.spawn_on(node_.runtime.main_executor(), "frame",
                           send_rows(link, account, std::move(rows), due.epoch));
    co_return choice.full && !choice.alone;
}

net::Task<> LinkSender::send_rows(LinkRecord link, AccountId account, Rows rows, sync::Epoch epoch) {
    NumberSet numbers;
    for (const auto& row : rows) numbers.add(row.number.value);
    auto sent = co_await send_made(link, account, std::move(rows), epoch);
    if (!sent && !node_.stopping) {
        log_failure(account, sent.error());
        resting_[{link.link.peer, account}] = now_plus(node_.clock(), retry_after);
    }
    auto flight = flights_.find({link.link.peer, account});
    for (const auto& interval : numbers.list()) flight->second.numbers.remove(interval.first, interval.last);
    if (--flight->second.frames == 0) flights_.erase(flight);
    node_.link_wake.notify();
}

// One frame as a rule; entries that turn out larger than they were held for may need several.
net::Task<Result<>> LinkSender::send_made(LinkRecord link, AccountId account, Rows rows, sync::Epoch epoch) {
    auto made = CO_TRY(co_await make(link.link.peer, account, std::move(rows)));
    auto section = CO_TRY(co_await new_section(link, account));
    if (section.epoch != epoch) co_return Result<>();  // all is counted anew
    sync::PackSection sizes;
    sizes.overhead = sync::section_overhead(section);
    for (const auto& [number, entry] : made.entries)
        sizes.entries.push_back({number, sync::encoded_size(entry)});
    auto limit =
        sync::max_frame_octets(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
    auto packing = sync::pack({&sizes, 1}, limit);
    for (const auto& large : packing.too_large) packing.frames.push_back({{large}, 0});  // better than never
    if (packing.frames.empty()) packing.frames.emplace_back();                           // for what is void
    section.voids = std::move(made.voids);
    for (const auto& frame : packing.frames) {
        NumberSet numbers = section.voids;
        for (const auto& packed : frame.entries) {
            auto entry = made.entries.extract(sizes.entries[packed.entry].number);
            numbers.add(entry.key().value);
            section.entries.push_back({entry.key(), std::move(entry.mapped())});
        }
        sync::AccountSection next = section;
        next.entries.clear();
        next.voids.clear();
        std::vector<sync::AccountSection> sections;
        sections.push_back(std::exchange(section, std::move(next)));
        CO_TRY(co_await send_frame(link, std::move(sections)));
        crash_point("link.queued");
        CO_TRY(co_await mark_sent(link, account, std::move(numbers), epoch));
    }
    co_return Result<>();
}

net::Task<Result<>> LinkSender::mark_sent(LinkRecord link, AccountId account, NumberSet numbers,
                                          sync::Epoch epoch) {
    std::uint16_t jitter = 0;
    fill_random({reinterpret_cast<std::uint8_t*>(&jitter), sizeof jitter});
    sync::LinkSettings settings;
    settings.first_resend =
        std::chrono::milliseconds(node_.config.duration("replicate.resend-after")).count();
    auto job = [peer = link.link.peer, own = link.own_epoch, numbers = std::move(numbers), epoch,
                now = node_.clock(), settings, jitter](store::AccountStore& store) -> Result<> {
        if (TRY(store::load_epochs(store, peer, own, {})).own != epoch) return {};
        auto rows = TRY(store.load_outbox(peer, numbers, 1));
        std::uint32_t sends = rows.empty() ? 1 : rows[0].attempts + 1;
        return store.mark_sent(peer, numbers, now, sync::resend_due(now, sends, jitter & 1023, settings));
    };
    co_return co_await node_.write(account, std::move(job));
}

net::Task<Result<>> LinkSender::send_acks(UnixMillis now, std::set<AccountId> at_once) {
    next_ack_.reset();
    for (auto& due : receiver_.take_due_acks(now, at_once, next_ack_)) {
        auto link = links_.find(due.peer);
        if (!link) continue;
        std::vector<sync::AccountSection> sections;
        for (const auto& [account, compared] : due.accounts) {
            sections.push_back(CO_TRY(co_await new_section(*link, account)));
            sections.back().compared = compared;
            if (sections.size() < accounts_a_mail && account != due.accounts.back().first) continue;
            node_.runtime.spawn_on(node_.runtime.main_executor(), "acknowledgement",
                                   send_sections(*link, std::exchange(sections, {})));
        }
    }
    co_return Result<>();
}

net::Task<> LinkSender::send_all_digests() {
    UnixMillis now = node_.clock();
    auto links = links_.all();
    for (auto account : node_.hub.take_compared())
        for (const auto& link : *links)
            if (link.link.role == "remote") to_compare_[link.link.peer].try_emplace(account, now);
    for (const auto& link : *links) {
        auto sent = co_await send_digests(link, to_compare_[link.link.peer]);
        if (!sent) node_.log.error("link", sent.error().text);
    }
}

// Of many accounts in one mail, and in few mails: those of an hour are for what has changed.
net::Task<Result<>> LinkSender::send_digests(LinkRecord link, ToCompare& accounts) {
    UnixMillis now = node_.clock();
    std::erase_if(accounts, [&](const auto& one) {
        return now.value - one.second.value > rest_awaited || !node_.directory.find(one.first);
    });
    if (accounts.empty() || !CO_TRY(co_await may_send(link))) co_return Result<>();
    note_due(now_plus(now, 1000));  // those that are not at rest yet
    auto largest =
        sync::max_frame_octets(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
    std::size_t room = largest - sync::frame_overhead;
    std::vector<sync::AccountSection> sections;
    for (auto one = accounts.begin(); one != accounts.end() && sections.size() < accounts_a_mail;) {
        AccountId account = one->first;
        auto section = CO_TRY(co_await digest_section(link, account, largest / 4));
        std::size_t octets = section ? sync::section_overhead(*section) : 0;
        bool too_large = octets > largest - sync::frame_overhead;
        if (too_large)
            log_failure(account, {ErrorKind::refused,
                                  "the digests of its mailboxes do not fit in a mail of "
                                  "replicate.max-mail-size"});
        if (!section || (!too_large && octets > room)) {
            ++one;
            continue;
        }
        one = accounts.erase(one);
        if (too_large) continue;
        auto note = [peer = link.link.peer, now](store::AccountStore& store) {
            return note_asked(store, peer, now);
        };
        CO_TRY(co_await node_.write(account, note));
        room -= octets;
        sections.push_back(std::move(*section));
    }
    if (!sections.empty()) CO_TRY(co_await send_frame(link, std::move(sections)));
    co_return Result<>();
}

// Nothing: the account is not at rest.
net::Task<Result<std::optional<sync::AccountSection>>> LinkSender::digest_section(LinkRecord link,
                                                                                  AccountId account,
                                                                                  std::size_t ack_octets) {
    if (flights_.contains({link.link.peer, account})) co_return std::optional<sync::AccountSection>();
    auto load = [account, turn = epoch_turn(link, true, node_.config, node_.clock()),
                 since = horizon(node_.config, node_.clock()),
                 ack_octets](store::AccountStore& store) -> Result<std::optional<sync::AccountSection>> {
        auto digests = TRY(make_digests(store, turn, since));
        if (!digests) return std::optional<sync::AccountSection>();
        auto section = TRY(begin_section(store, turn, ack_octets));
        section.account = account;
        section.digests = std::move(*digests);
        return section;
    };
    co_return co_await node_.read(account, std::move(load));
}

net::Task<> LinkSender::send_sections(LinkRecord link, std::vector<sync::AccountSection> sections) {
    auto sent = co_await send_frame(link, std::move(sections));
    if (!sent && !node_.stopping) node_.log.error("link", sent.error().text);
}

net::Task<Result<>> LinkSender::send_frame(LinkRecord link, std::vector<sync::AccountSection> sections) {
    auto item =
        new_queue_item(node_, store::QueueKind::node, link.link.own_address, {link.link.peer_address});
    item.link = link.link.peer;
    auto job = [this, link, sections = std::move(sections),
                now = node_.clock()](store::SystemStore&) mutable -> Result<std::string> {
        sync::Frame frame;
        frame.from = node_.id;
        frame.to = link.link.peer;
        frame.id = make_id<sync::FrameIdTag>(now);
        frame.created = now;
        frame.sections = std::move(sections);
        std::string octets = TRY(sync::write_frame(frame));
        crypto::SealOptions options;
        options.seed = Secret(random_octets(crypto::seed_size));
        options.date = now;
        options.signer = &node_.key;
        sync::NodeMail mail;
        mail.from = link.link.own_address;
        mail.to = link.link.peer_address;
        mail.date = now;
        mail.message_id = sync::node_message_id(frame.id, mail.from);
        mail.content = TRY(crypto::seal(octets, {&link.peer_key, 1}, std::move(options)));
        return sync::build_node_mail(mail);
    };
    std::string mail = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    CO_TRY(co_await send_mail_(std::move(item), std::move(mail)));
    {
        std::lock_guard lock(mutex_);
        ++budgets_[link.link.peer].mails;
    }
    co_return Result<>();
}

}  // namespace fwmail::service
