#include "service/link_sender.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "crypto/openpgp_message.hpp"
#include "service/outbox_kinds.hpp"
#include "service/queue_runner.hpp"
#include "sync/frame_builder.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::service {
namespace {

constexpr std::uint64_t queued_mails = 8;  // of a link, before more are made
constexpr std::size_t rows_at_once = 1000;
constexpr std::uint64_t octets_at_once = 24 << 20;

UnixMillis now_plus(UnixMillis now, std::int64_t ms) { return UnixMillis{now.value + ms}; }

}  // namespace

// What became of outbox rows: an entry, or nothing left to say.
struct LinkSender::Made {
    std::map<EntryNumber, sync::Entry> entries;
    NumberSet voids;
};

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
        next_due_.reset();
        backlog_ = false;
        for (const auto& link : *links) {
            auto sent = co_await send_entries(link);
            if (!sent) node_.log.error("link", sent.error().text);
        }
        auto acked = co_await send_acks(node_.clock());
        if (!acked) node_.log.error("link", acked.error().text);
        bool woken = co_await node_.link_wake.wait(
            net::deadline_after(std::chrono::milliseconds(wait_ms(node_.clock()))));
        if (woken && node_.is_core() && !backlog_)  // what changes together travels together
            co_await net::sleep_for(node_.config.duration("replicate.batch-delay"));
    }
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
            next_due_ = next_due_ ? std::min(*next_due_, pauses_[link.link.peer].until)
                                  : pauses_[link.link.peer].until;
            co_return false;
        }
        auto& budget = budgets_[link.link.peer];
        if (now.value - budget.hour.value >= 3'600'000) budget = {now, 0};
        if (budget.mails >= node_.config.count("replicate.max-mails-per-hour")) co_return false;
    }
    auto look = [peer = link.link.peer](store::SystemStore& system) { return system.queue_summary(peer); };
    auto summary = CO_TRY(co_await node_.read(store::system_file, look));
    co_return summary.count < queued_mails;
}

net::Task<Result<sync::AccountSection>> LinkSender::new_section(LinkRecord link, AccountId account) {
    sync::AccountSection section;
    section.account = account;
    section.epoch = link.own_epoch;
    section.echo = link.peer_epoch;
    auto load = [peer = link.link.peer](store::AccountStore& store) { return store.load_applied(peer); };
    sync::Incoming incoming{CO_TRY(co_await node_.read(account, load))};
    if (!link.peer_epoch.is_none())
        section.acks = incoming.acks(
            sync::sets_room_for(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size"))) /
            2);
    co_return section;
}

net::Task<Result<>> LinkSender::send_entries(LinkRecord link) {
    auto& busy = busy_[link.link.peer];
    std::vector<AccountId> accounts(busy.begin(), busy.end());
    for (auto account : accounts) {
        auto more = co_await send_account(link, account);
        if (!more) {  // whatever is wrong with one account must not hold up the others
            auto user = node_.directory.find(account);
            node_.log.error("link", "the entries of " + (user ? user->user.name : account.hex()) +
                                        " cannot be sent: " + more.error().text);
            continue;
        }
        if (*more == Sent::no_room) {
            backlog_ = true;
            break;
        }
        if (*more == Sent::all) busy.erase(account);
    }
    co_return Result<>();
}

net::Task<Result<LinkSender::Sent>> LinkSender::send_account(LinkRecord link, AccountId account) {
    for (;;) {
        if (node_.stopping || !CO_TRY(co_await may_send(link))) co_return Sent::no_room;
        UnixMillis now = node_.clock();
        auto load = [peer = link.link.peer, now](store::AccountStore& store) {
            return store.load_outbox_due(peer, now, rows_at_once);
        };
        auto rows = CO_TRY(co_await node_.read(account, load));
        if (rows.empty()) break;
        std::uint64_t octets = 0;
        std::size_t count = 0;
        while (count < rows.size() && (count == 0 || octets < octets_at_once))
            octets += rows[count].kind == outbox_chunk ? rows[count].length : 200, ++count;
        rows.resize(count);
        auto made = CO_TRY(co_await make(account, std::move(rows)));
        auto section = CO_TRY(co_await new_section(link, account));
        section.voids = std::move(made.voids);
        for (auto& [number, entry] : made.entries) section.entries.push_back({number, std::move(entry)});
        CO_TRY(co_await send_section(link, std::move(section)));
    }
    auto look = [peer = link.link.peer](store::AccountStore& store) { return store.next_outbox_due(peer); };
    auto due = CO_TRY(co_await node_.read(account, look));
    if (!due) co_return Sent::all;
    if (!next_due_ || *due < *next_due_) next_due_ = *due;
    co_return Sent::due_later;
}

// The chain of UIDs must not break when a message entry is not sent: this stands for it. A first message has
// nothing before it to name, but everything below it is gone.
sync::Entry stand_in(const store::OutboxRow& row) {
    UidSet gone;
    if (row.prev_uid.value)
        gone.add(row.uid.value);
    else
        gone.add(1, row.uid.value);
    return sync::ExpungeEntry{row.mailbox, gone, row.prev_uid};
}

// Rows become entries, from the state as it is now.
net::Task<Result<LinkSender::Made>> LinkSender::make(AccountId account, std::vector<store::OutboxRow> rows) {
    Made made;
    std::vector<store::OutboxRow> chunks;
    std::vector<store::Message> chunk_messages;
    struct Read {
        std::map<EntryNumber, sync::Entry> entries;
        NumberSet voids;
        std::vector<store::OutboxRow> chunks;
        std::vector<store::Message> messages;  // of the chunks
        std::vector<EntryNumber> accounts;
        std::vector<std::string> invalid;
    };
    auto job = [rows = std::move(rows)](store::AccountStore& store) -> Result<Read> {
        Read read;
        for (const auto& row : rows) {
            if (row.state == store::OutboxState::voided) {
                read.voids.add(row.number.value);
                continue;
            }
            if (row.kind == outbox_account) {
                read.accounts.push_back(row.number);
                continue;
            }
            if (row.kind == outbox_mailbox) {
                auto m = TRY(store.find_mailbox(row.mailbox));
                if (!m) return fail(ErrorKind::internal, "the outbox names an unknown mailbox");
                read.entries[row.number] = sync::MailboxEntry{
                    m->id, m->name, m->special_use, m->subscribed, m->sealed_uidvalidity, m->deleted};
                continue;
            }
            if (row.kind == outbox_expunge || row.kind == outbox_stubbed) {
                read.entries[row.number] = TRY(sync::decode_entry(row.payload));
                continue;
            }
            UidSet uid;
            uid.add(row.uid.value);
            std::uint32_t columns = store::column_flags | store::column_seal;
            if (row.kind != outbox_flags)
                columns |=
                    store::column_identity | store::column_size | store::column_date | store::column_seal;
            auto found = TRY(store.load_messages(row.mailbox, uid, columns, 1));
            if (row.kind == outbox_flags) {
                if (found.empty() || found[0].seal.state != store::SealState::sealed)
                    read.voids.add(
                        row.number
                            .value);  // the remote has no such message, or its expunge is an entry of its own
                else
                    read.entries[row.number] = sync::FlagsEntry{row.mailbox, row.uid, found[0].flags};
            } else if (row.kind == outbox_chunk) {
                if (found.empty() || found[0].seal.sha256.size() != 32) {
                    read.voids.add(row.number.value);
                } else {
                    read.chunks.push_back(row);
                    read.messages.push_back(std::move(found[0]));
                }
            } else if (found.empty()) {
                read.entries[row.number] = stand_in(row);  // gone before it was sent
            } else {
                const auto& m = found[0];
                sync::MessageEntry entry{row.mailbox, row.uid,     row.prev_uid,
                                         m.email_id,  m.seal.size, {},
                                         row.length,  m.date,      static_cast<std::int16_t>(m.zone_minutes),
                                         m.flags};
                if (m.seal.sha256.size() != 32)
                    return fail(ErrorKind::internal, "a planned message has no seal");
                std::copy(m.seal.sha256.begin(), m.seal.sha256.end(), entry.sealed_sha256.begin());
                read.entries[row.number] = std::move(entry);
            }
            auto made = read.entries.find(row.number);
            if (made == read.entries.end()) continue;
            // One entry that cannot be written costs that entry, not the link.
            if (auto good = sync::validate(made->second); !good) {
                read.invalid.push_back(good.error().text);
                if (row.kind == outbox_message) {
                    made->second = stand_in(row);
                } else {
                    read.entries.erase(made);
                    read.voids.add(row.number.value);
                }
            }
        }
        return read;
    };
    auto read = CO_TRY(co_await node_.read(account, std::move(job)));
    for (const auto& reason : read.invalid)
        node_.log.error("link", "an entry of " + account.hex() + " is not sent: " + reason);
    made.entries = std::move(read.entries);
    made.voids = std::move(read.voids);
    for (auto number : read.accounts) {
        auto load = [account](store::SystemStore& system) { return account_entry_octets(system, account); };
        auto octets = CO_TRY(co_await node_.read(store::system_file, load));
        made.entries[number] = CO_TRY(sync::decode_entry(octets));
    }
    if (!read.chunks.empty())
        CO_TRY(co_await make_chunks(account, std::move(read.chunks), std::move(read.messages), made));
    co_return made;
}

// Cuts chunks out of packed objects, sealing again what is not in the cache: one pass for all chunks of an
// object.
net::Task<Result<>> LinkSender::make_chunks(AccountId account, std::vector<store::OutboxRow> rows,
                                            std::vector<store::Message> messages, Made& made) {
    auto user = node_.directory.find(account);
    if (!user || !user->seal_key) {  // removed: nobody can read them any more
        for (const auto& row : rows) made.voids.add(row.number.value);
        co_return Result<>();
    }
    using Cut = std::vector<std::pair<EntryNumber, sync::ChunkEntry>>;
    auto job = [this, account, user, rows = std::move(rows),
                messages = std::move(messages)](store::SystemStore& system) -> Result<Cut> {
        Cut cut;
        for (std::size_t first = 0; first < rows.size();) {
            std::size_t end = first;
            while (end < rows.size() && rows[end].email_id == rows[first].email_id &&
                   rows[end].mailbox == rows[first].mailbox)
                ++end;
            const auto& message = messages[first];
            std::size_t begin_of_cut = cut.size();
            for (std::size_t i = first; i < end; ++i) {
                sync::ChunkEntry chunk{rows[i].email_id, {}, rows[i].offset, 0, {}};
                std::copy(message.seal.sha256.begin(), message.seal.sha256.end(),
                          chunk.sealed_sha256.begin());
                cut.emplace_back(rows[i].number, std::move(chunk));
            }
            std::uint64_t at = 0;
            auto take = [&](std::string_view octets) -> Result<> {
                for (std::size_t i = first; i < end; ++i) {
                    std::uint64_t from = std::max(at, rows[i].offset),
                                  to = std::min(at + octets.size(), rows[i].offset + rows[i].length);
                    if (from < to)
                        cut[begin_of_cut + i - first].second.data += octets.substr(from - at, to - from);
                }
                at += octets.size();
                return {};
            };
            if (auto packed = cache_.take(account, message.email_id)) {
                TRY(take(*packed));
            } else {
                MessageSource source{message.size, [&](std::uint64_t offset, std::size_t length) {
                                         return system.read_object(message.object, offset, length);
                                     }};
                auto info =
                    TRY(seal_mail(source, *user->seal_key, seal_order(message, message.seal.seed), take));
                if (std::string_view(reinterpret_cast<const char*>(info.sha256.data()), 32) !=
                    message.seal.sha256)
                    return fail(ErrorKind::internal, "sealing again gave other octets");
            }
            for (std::size_t i = begin_of_cut; i < cut.size(); ++i) cut[i].second.total = at;
            first = end;
        }
        return cut;
    };
    auto cut = CO_TRY(co_await node_.read(store::system_file, std::move(job)));
    for (auto& [number, chunk] : cut) made.entries[number] = std::move(chunk);
    co_return Result<>();
}

// Distributes a section's entries over as many frames as its size wants.
net::Task<Result<>> LinkSender::send_section(LinkRecord link, sync::AccountSection section) {
    std::size_t limit =
        sync::max_frame_octets(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
    auto entries = std::exchange(section.entries, {});
    std::size_t next = 0;
    do {
        std::size_t octets = sync::frame_overhead + sync::section_overhead(section);
        NumberSet numbers = section.voids;
        section.entries.clear();
        while (next < entries.size() &&
               (section.entries.empty() || octets + sync::encoded_size(entries[next].entry) <= limit)) {
            octets += sync::encoded_size(entries[next].entry);
            numbers.add(entries[next].number.value);
            section.entries.push_back(std::move(entries[next++]));
        }
        AccountId account = section.account;
        CO_TRY(co_await send_frame(link, {section}));
        crash_point("link.queued");
        UnixMillis now = node_.clock();
        std::uint16_t jitter = 0;
        fill_random({reinterpret_cast<std::uint8_t*>(&jitter), sizeof jitter});
        sync::LinkSettings settings;
        settings.first_resend =
            std::chrono::milliseconds(node_.config.duration("replicate.resend-after")).count();
        auto job = [peer = link.link.peer, numbers, now, settings,
                    jitter](store::AccountStore& store) -> Result<> {
            auto rows = TRY(store.load_outbox(peer, numbers, 1));
            std::uint32_t sends = rows.empty() ? 1 : rows[0].attempts + 1;
            return store.mark_sent(peer, numbers, now, sync::resend_due(now, sends, jitter & 1023, settings));
        };
        CO_TRY(co_await node_.write(account, std::move(job)));
        section.voids.clear();
        section.acks.clear();
    } while (next < entries.size());
    co_return Result<>();
}

net::Task<Result<>> LinkSender::send_acks(UnixMillis now) {
    next_ack_.reset();
    for (auto& due : receiver_.take_due_acks(now, next_ack_)) {
        auto link = links_.find(due.peer);
        if (!link) continue;
        std::vector<sync::AccountSection> sections;
        for (auto account : due.accounts) sections.push_back(CO_TRY(co_await new_section(*link, account)));
        CO_TRY(co_await send_frame(*link, std::move(sections)));
    }
    co_return Result<>();
}

net::Task<Result<>> LinkSender::send_frame(LinkRecord link, std::vector<sync::AccountSection> sections) {
    auto item =
        new_queue_item(node_, store::QueueKind::node, link.link.own_address, {link.link.peer_address});
    item.link = link.link.peer;
    auto job = [this, link, sections = std::move(sections),
                now = node_.clock()](store::SystemStore&) -> Result<std::string> {
        sync::Frame frame;
        frame.from = node_.id;
        frame.to = link.link.peer;
        frame.id = make_id<sync::FrameIdTag>(now);
        frame.created = now;
        frame.sections = sections;
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
    std::size_t size = mail.size();
    auto enqueue = [item, mail = std::move(mail)](store::SystemStore& system) -> Result<> {
        TRY(system.enqueue(item, mail));
        return {};
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(enqueue), size));
    {
        std::lock_guard lock(mutex_);
        ++budgets_[link.link.peer].mails;
    }
    node_.queue_wake.notify();
    co_return Result<>();
}

}  // namespace fwmail::service
