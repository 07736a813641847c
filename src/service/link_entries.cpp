// LinkSender's entries: made of outbox rows, from the state as it is when they are sent.
#include "service/link_entries.hpp"

#include <algorithm>

#include "base/co_try.hpp"
#include "service/link_sender.hpp"
#include "service/outbox_kinds.hpp"
#include "store/elsewhere.hpp"
#include "store/provisional.hpp"
#include "store/stated.hpp"

namespace fwmail::service {
namespace {

// The chain of UIDs must not break when a message entry is not sent: this stands for it. A first message has
// nothing before it to name, but everything below it is gone.
Result<sync::Entry> stand_in(store::AccountStore& store, NodeId peer, const store::OutboxRow& row) {
    UidSet gone;
    if (row.prev_uid.value)
        gone.add(row.uid.value);
    else
        gone.add(1, row.uid.value);
    return sync::ExpungeEntry{row.mailbox, gone, row.prev_uid,
                              TRY(store::moved_among(store, peer, row.mailbox, gone))};
}

sync::Entry mailbox_entry(const store::Mailbox& m) {
    Uid seen;  // who has it from core has seen nothing: what was filed here may be what core has not seen
    if (m.deleted && !m.deleted_by_core && m.uidnext.value) seen = Uid{m.uidnext.value - 1};
    return sync::MailboxEntry{m.id,      m.wanted, m.named, m.special_use, m.used, m.sealed_uidvalidity,
                              m.deleted, seen};
}

// The flags of a copy or of what was appended are those that it has now; its first ones when it has gone.
template <class Request>
Result<Request> request_of(store::AccountStore& store, const store::OutboxRow& row) {
    auto entry = TRY(sync::decode_entry(row.payload));
    auto* request = std::get_if<Request>(&entry);
    if (!request) return fail(ErrorKind::internal, "an outbox row does not hold what it says");
    if (!TRY(store.find_mailbox(request->mailbox))) return *request;
    UidSet uid;
    uid.add(request->uid.value);
    auto found =
        TRY(store.load_messages(request->mailbox, uid, store::column_flags | store::column_registers, 1));
    if (found.empty()) return *request;
    request->flags = found[0].flags;
    request->registers = found[0].registers;
    return *request;
}

// Nothing: core has confirmed it, or (of a chunk) nobody wants it any more.
Result<std::optional<sync::AppendRequestEntry>> append_request(store::AccountStore& store,
                                                               const store::OutboxRow& row) {
    auto body = TRY(store::find_home_body(store, {row.mailbox, row.uid}));
    if (!body || (body->object.is_zero() && row.kind == outbox_home_chunk)) return std::nullopt;
    auto request = TRY(request_of<sync::AppendRequestEntry>(store, row));
    if (body->object.is_zero()) {
        request.kind = sync::AppendRequestEntry::gone;
        request.size = 0;
        request.recipe.clear();
    }
    return request;
}

Result<sync::StateEntry> state_entry(store::AccountStore& store, const store::OutboxRow& row) {
    auto entry = TRY(store::load_state(store, row.mailbox, row.prev_uid, row.uid));
    entry.settled = row.length != 0;
    entry.visible = Uid{static_cast<std::uint32_t>(row.offset)};
    return entry;
}

// Of sealed mail its object goes, packed; of plain mail what was sealed to core when it came.
Result<std::vector<std::pair<EntryNumber, sync::ChunkEntry>>> cut_home_chunks(
    store::SystemStore& system, const std::vector<store::OutboxRow>& rows) {
    std::vector<std::pair<EntryNumber, sync::ChunkEntry>> cut;
    for (const auto& row : rows) {
        auto entry = TRY(sync::decode_entry(row.payload));
        const auto* request = std::get_if<sync::AppendRequestEntry>(&entry);
        if (!request) return fail(ErrorKind::internal, "an outbox row does not hold what it says");
        sync::ChunkEntry chunk{request->email, request->sealed_sha256, row.offset, request->size, {}};
        std::uint64_t from = row.offset, length = row.length;
        if (request->is_object()) {
            std::string head = head_as_it_is(request->email);
            if (from < head.size()) {
                chunk.data = head.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(length));
                length -= chunk.data.size();
                from = 0;
            } else {
                from -= head.size();
            }
        }
        chunk.data += TRY(system.read_object(row.object, from, length));
        cut.emplace_back(row.number, std::move(chunk));
    }
    return cut;
}

}  // namespace

Result<EntriesRead> read_entries(store::AccountStore& store, NodeId peer,
                                 const std::vector<store::OutboxRow>& rows, bool core) {
    EntriesRead read;
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
            read.entries[row.number] = mailbox_entry(*m);
            continue;
        }
        if (row.kind == outbox_subscription) {
            auto s = TRY(store.find_subscription(row.payload));
            if (!s) return fail(ErrorKind::internal, "the outbox names an unknown subscription");
            read.entries[row.number] = sync::SubscriptionEntry{row.payload, s->on, s->stamp};
            continue;
        }
        if (row.kind == outbox_state) {
            read.entries[row.number] = TRY(state_entry(store, row));
            continue;
        }
        if (row.kind == outbox_stated) {
            read.entries[row.number] = sync::StatedEntry{};
            continue;
        }
        if (row.kind == outbox_expunge || row.kind == outbox_stubbed || row.kind == outbox_said ||
            row.kind == outbox_confirm || row.kind == outbox_return) {
            auto entry = TRY(sync::decode_entry(row.payload));
            if (auto* gone = std::get_if<sync::ExpungeEntry>(&entry); gone && core)
                gone->moved = TRY(store::moved_among(store, peer, gone->mailbox, gone->uids));
            read.entries[row.number] = std::move(entry);
            continue;
        }
        if (row.kind == outbox_append || row.kind == outbox_home_chunk) {
            auto request = TRY(append_request(store, row));
            if (!request)
                read.voids.add(row.number.value);
            else if (row.kind == outbox_append)
                read.entries[row.number] = *request;
            else
                read.home_chunks.push_back(row);
            continue;
        }
        if (row.kind == outbox_copy) {
            read.entries[row.number] = TRY(request_of<sync::CopyRequestEntry>(store, row));
            continue;
        }
        UidSet uid;
        uid.add(row.uid.value);
        std::uint32_t columns = store::column_flags | store::column_registers | store::column_seal;
        if (row.kind != outbox_flags)
            columns |= store::column_identity | store::column_size | store::column_date | store::column_seal;
        std::vector<store::Message> found;  // none where the mailbox has been deleted meanwhile
        if (auto m = TRY(store.find_mailbox(row.mailbox)); m && !m->deleted)
            found = TRY(store.load_messages(row.mailbox, uid, columns, 1));
        if (row.kind == outbox_flags) {
            if (found.empty() || (core && found[0].seal.state != store::SealState::sealed))
                read.voids.add(
                    row.number
                        .value);  // the remote has no such message, or its expunge is an entry of its own
            else
                read.entries[row.number] =
                    sync::FlagsEntry{row.mailbox, row.uid, found[0].flags, found[0].registers};
        } else if (row.kind == outbox_chunk) {
            if (found.empty() || found[0].seal.sha256.size() != 32) {
                read.voids.add(row.number.value);
            } else {
                read.chunks.push_back(row);
                read.messages.push_back(std::move(found[0]));
            }
        } else if (row.kind == outbox_resealed) {
            sync::ResealedEntry entry{row.mailbox, row.uid, {}, 0, {}};
            if (found.empty() || found[0].seal.sha256.size() != entry.sealed_sha256.size()) {
                read.voids.add(row.number.value);
            } else {
                entry.email = found[0].email_id;
                entry.sealed_size = found[0].seal.size;
                std::ranges::copy(found[0].seal.sha256, entry.sealed_sha256.begin());
                read.entries[row.number] = entry;
            }
        } else if (found.empty()) {
            read.entries[row.number] = TRY(stand_in(store, peer, row));  // gone before it was sent
        } else {
            const auto& m = found[0];
            sync::MessageEntry entry{row.mailbox, row.uid,     row.prev_uid,
                                     m.email_id,  m.seal.size, {},
                                     row.length,  m.date,      static_cast<std::int16_t>(m.zone_minutes),
                                     m.flags,     m.registers};
            if (m.seal.sha256.size() != 32) return fail(ErrorKind::internal, "a planned message has no seal");
            std::copy(m.seal.sha256.begin(), m.seal.sha256.end(), entry.sealed_sha256.begin());
            read.entries[row.number] = std::move(entry);
        }
        auto made = read.entries.find(row.number);
        if (made == read.entries.end()) continue;
        // One entry that cannot be written costs that entry, not the link.
        if (auto good = sync::validate(made->second); !good) {
            read.invalid.push_back(good.error().text);
            if (row.kind == outbox_message) {
                made->second = TRY(stand_in(store, peer, row));
            } else {
                read.entries.erase(made);
                read.voids.add(row.number.value);
            }
        }
    }
    return read;
}

// Rows become entries, from the state as it is now.
net::Task<Result<LinkSender::Made>> LinkSender::make(NodeId peer, AccountId account,
                                                     std::vector<store::OutboxRow> rows) {
    Made made;
    auto job = [peer, rows = std::move(rows), core = node_.is_core()](store::AccountStore& store) {
        return read_entries(store, peer, rows, core);
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
    if (!read.home_chunks.empty()) {
        auto cut = [rows = std::move(read.home_chunks)](store::SystemStore& system) {
            return cut_home_chunks(system, rows);
        };
        for (auto& [number, chunk] : CO_TRY(co_await node_.read(store::system_file, std::move(cut))))
            made.entries[number] = std::move(chunk);
    }
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
            if (auto packed = cache_.take(account, message.seal.sha256)) {
                TRY(take(*packed));
            } else {
                MessageSource source{message.size, [&](std::uint64_t offset, std::size_t length) {
                                         return system.read_object(message.object, offset, length);
                                     }};
                auto info = TRY(seal_message(message, message.seal.seed, user->seal_keys, source, take));
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

}  // namespace fwmail::service
