#include "service/replica.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "base/co_try.hpp"
#include "base/hooks.hpp"
#include "mime/structure.hpp"
#include "service/core_entries.hpp"
#include "service/flag_entries.hpp"
#include "service/home.hpp"
#include "service/message_texts.hpp"
#include "service/releases.hpp"
#include "service/replica_stub.hpp"
#include "store/epochs.hpp"
#include "store/resealed.hpp"
#include "sync/frame_builder.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t most_fresh = 2000;

// The keys that an object may be sealed to when this certificate is its user's.
void add_key_ids(const crypto::PublicKey& certificate, std::vector<crypto::KeyId>& ids) {
    ids.push_back(certificate.encryption_key_id());
    for (const auto& old : certificate.old_encryption) ids.push_back(old.fingerprint.key_id());
}

}  // namespace

ObjectId sealed_object_id(std::string_view sha256) {
    return ObjectId::from_octets(sha256.substr(0, 16)).value_or(ObjectId{});
}

std::vector<crypto::KeyId> allowed_keys(const Node& node, AccountId account) {
    std::vector<crypto::KeyId> ids;
    if (auto user = node.directory.find(account))
        for (const auto& key : user->keys)
            if (auto certificate = crypto::parse_certificate(key.certificate)) add_key_ids(*certificate, ids);
    return ids;
}

net::Task<Result<>> Replica::apply(NodeId peer, sync::AccountSection section) {
    AccountId id = section.account;
    for (const auto& numbered : section.entries)
        if (only_a_remote_sends(numbered.entry))
            co_return fail(ErrorKind::refused, "an entry that only a remote sends");
    // The long part of the work is done before this account's turn, where the keys are known already.
    bool may_unpack = std::ranges::none_of(section.entries, [](const auto& numbered) {
        return std::holds_alternative<sync::AccountEntry>(numbered.entry);
    });
    if (may_unpack) may_unpack = !CO_TRY(co_await is_removed(id));
    Objects objects;
    if (may_unpack) objects = CO_TRY(co_await unpack_whole_chunks(peer, {}, section));
    auto turn = co_await locks_.lock(id);
    auto known = CO_TRY(co_await load_known(peer, id));
    // What was applied before, or has been overtaken by a later word, must not come back to life.
    std::vector<sync::AccountEntry> accounts;
    for (const auto& [number, entry] : section.entries)
        if (const auto* account = std::get_if<sync::AccountEntry>(&entry);
            account && known.classify(number) == sync::Arrival::fresh &&
            !section.voids.contains(number.value))
            accounts.push_back(*account);
    // Of a user who has been removed nothing is kept: what comes late is acknowledged and forgotten.
    bool removed = accounts.empty() && CO_TRY(co_await is_removed(id));
    if (removed) {
        objects.clear();
        for (const auto& numbered : std::exchange(section.entries, {}))
            section.voids.add(numbered.number.value);
    }
    if (!may_unpack) objects = CO_TRY(co_await unpack_whole_chunks(peer, accounts, section));
    CO_TRY(co_await store_objects(std::move(objects)));
    crash_point("replica.bodies-stored");
    for (const auto& account : accounts) CO_TRY(co_await apply_account(id, account));
    auto outcome = co_await apply_entries(peer, std::move(section));
    // Behind the entries: whoever can log in finds INBOX there.
    if (!accounts.empty()) CO_TRY(co_await reload_directory());
    auto applied = CO_TRY(std::move(outcome));
    crash_point("replica.applied");
    node_.hub.outbox_changed(id);
    CO_TRY(co_await settle_locked(id));
    co_await drain_releases(node_, id);
    if (applied.ahead) co_await report_clock(node_, peer);
    if (!applied.all)
        node_.log.warning("link", "entries far ahead of what was received are dropped; they will come again");
    co_return Result<>();
}

net::Task<Result<Replica::Applied>> Replica::apply_entries(NodeId peer, sync::AccountSection section) {
    std::size_t octets = 0;
    for (const auto& numbered : section.entries) {
        octets += sync::count_messages(numbered.entry) * store::octets_a_message;
        if (const auto* chunk = std::get_if<sync::ChunkEntry>(&numbered.entry); chunk && !is_whole(*chunk))
            octets += chunk->data.size();
    }
    AccountId id = section.account;
    auto bodies = CO_TRY(co_await hold_returned(id, section));
    auto chunk =
        sync::chunk_size_for(static_cast<std::size_t>(node_.config.octets("replicate.max-mail-size")));
    auto job = [peer, section = std::move(section), bodies = std::move(bodies), chunk,
                now = node_.clock()](store::AccountStore& account) -> Result<Applied> {
        AtRemote to{account, peer, now, false, bodies, chunk};
        auto applied = TRY(apply_core_entries(to, section));
        for (const auto& [email, sha256] : applied.arrived)
            TRY(tell_of_late_body(account, peer, email, crypto::view_of(sha256), now));
        for (const auto& [place, body] : to.bodies) TRY(account.release(body));
        if (!applied.numbers.empty()) TRY(account.mark_applied(peer, applied.numbers));
        return Applied{applied.all, to.ahead};
    };
    co_return co_await node_.write(id, std::move(job), octets);
}

// What core wants back must not go meanwhile: its references are taken first.
net::Task<Result<std::map<store::Place, store::Reference>>> Replica::hold_returned(
    AccountId account, const sync::AccountSection& section) {
    std::map<store::Place, store::Reference> bodies;
    for (const auto& [number, entry] : section.entries) {
        const auto* wanted = std::get_if<sync::ReturnEntry>(&entry);
        if (!wanted || wanted->bodies.empty()) continue;
        auto look = [wanted = *wanted](store::AccountStore& store) -> Result<std::vector<store::Message>> {
            if (!TRY(store.find_mailbox(wanted.mailbox))) return std::vector<store::Message>();
            return store.load_messages(wanted.mailbox, wanted.bodies, store::column_identity, SIZE_MAX >> 1);
        };
        for (const auto& message : CO_TRY(co_await node_.read(account, std::move(look))))
            bodies[{wanted->mailbox, message.uid}] = {message.object,
                                                      make_id<store::HoldIdTag>(node_.clock())};
    }
    if (bodies.empty()) co_return bodies;
    std::vector<store::Reference> references;
    for (const auto& [place, body] : bodies) references.push_back(body);
    auto hold = [account, references = std::move(references)](store::SystemStore& system) {
        return system.add_references(account, references);
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(hold)));
    crash_point("replica.returns-held");
    co_return bodies;
}

net::Task<Result<bool>> Replica::is_removed(AccountId account) {
    auto job = [account](store::SystemStore& system) -> Result<bool> {
        auto user = TRY(system.find_user(account));
        return user && user->state == store::UserState::removed;
    };
    co_return co_await node_.read(store::system_file, job);
}

net::Task<Result<>> Replica::apply_account(AccountId account, sync::AccountEntry entry) {
    auto job = [account, entry, now = node_.clock()](store::SystemStore& system) -> Result<> {
        auto user = TRY(system.find_user(account));
        if (!user) TRY(system.add_user({account, entry.name, now, store::UserState::active}));
        TRY(system.set_user_state(account,
                                  entry.removed ? store::UserState::removed : store::UserState::active));
        auto known = TRY(system.load_addresses(account));
        for (const auto& address : known)
            if (std::ranges::find(entry.addresses, address) == entry.addresses.end())
                TRY(system.remove_address(address));
        for (const auto& address : entry.addresses)
            if (std::ranges::find(known, address) == known.end()) {
                // It may be another user's still, whose own entry is on the way.
                auto added = system.add_address(account, address);
                if (!added && added.error().kind == ErrorKind::refused)
                    return fail(ErrorKind::temporary, added.error().text);
                TRY(std::move(added));
            }
        std::set<std::string> verifiers;
        for (const auto& verifier : entry.verifiers) verifiers.insert(verifier.scram);
        for (const auto& credential : TRY(system.load_credentials(account))) {
            if (credential.revoked) continue;
            if (!verifiers.erase(credential.verifier)) TRY(system.revoke_credential(credential.id, now));
        }
        for (const auto& verifier : entry.verifiers) {
            if (!verifiers.contains(verifier.scram)) continue;
            store::Credential credential;
            credential.account = account;
            credential.kind = store::CredentialKind::outside;
            credential.label = verifier.label;
            credential.verifier = verifier.scram;
            credential.created = now;
            TRY(system.add_credential(credential));
        }
        std::vector<std::string> fingerprints;
        for (const auto& key : TRY(system.load_keys(account))) fingerprints.push_back(key.fingerprint);
        std::string in_use;
        for (const auto& octets : entry.certificates) {
            std::string fingerprint = TRY(crypto::parse_certificate(octets)).fingerprint.hex();
            if (in_use.empty()) in_use = fingerprint;
            if (std::ranges::find(fingerprints, fingerprint) != fingerprints.end()) continue;
            TRY(system.add_key({account, fingerprint, octets, "", now, std::nullopt}));
            fingerprints.push_back(fingerprint);
        }
        // Mail that is sealed to the others may still come.
        for (const auto& fingerprint : fingerprints)
            if (fingerprint != in_use) TRY(system.retire_key(account, fingerprint, now));
        return {};
    };
    co_return co_await node_.write(store::system_file, std::move(job));
}

net::Task<Result<>> Replica::reload_directory() {
    auto reload = [this](store::SystemStore& system) { return node_.directory.reload(system); };
    co_return co_await node_.read(store::system_file, reload);
}

net::Task<Result<sync::Incoming>> Replica::load_known(NodeId peer, AccountId account) {
    auto load = [peer](store::AccountStore& store) { return store.load_applied(peer); };
    co_return sync::Incoming{CO_TRY(co_await node_.read(account, load))};
}

// Objects that came in one piece go straight to the body store, once they are checked: against the keys that
// are known here and those that come with them. What was applied before is not stored again: its message may
// have gone since, and then nobody would hold it.
net::Task<Result<Replica::Objects>> Replica::unpack_whole_chunks(NodeId peer,
                                                                 std::vector<sync::AccountEntry> accounts,
                                                                 const sync::AccountSection& section) {
    auto is_whole_chunk = [](const sync::Numbered& numbered) {
        const auto* chunk = std::get_if<sync::ChunkEntry>(&numbered.entry);
        return chunk && is_whole(*chunk);
    };
    if (std::ranges::none_of(section.entries, is_whole_chunk)) co_return Objects();
    auto known = CO_TRY(co_await load_known(peer, section.account));
    std::vector<sync::ChunkEntry> whole;
    for (const auto& numbered : section.entries)
        if (is_whole_chunk(numbered) && known.classify(numbered.number) == sync::Arrival::fresh)
            whole.push_back(std::get<sync::ChunkEntry>(numbered.entry));
    if (whole.empty()) co_return Objects();
    auto keys = allowed_keys(node_, section.account);
    for (const auto& entry : accounts)
        for (const auto& octets : entry.certificates)
            add_key_ids(CO_TRY(crypto::parse_certificate(octets)), keys);
    if (keys.empty()) co_return fail(ErrorKind::temporary, "the account is not known here yet");
    auto unpack = [whole = std::move(whole), keys](store::SystemStore&) -> Result<Objects> {
        Objects objects;
        for (const auto& chunk : whole) {
            std::string served;
            served.reserve(chunk.data.size() / 48 * 66 + 4096);
            mime::StructureParser parser;
            SealedUnpacker unpacker(keys, [&](std::string_view piece) -> Result<> {
                parser.feed(piece);
                served += piece;
                return {};
            });
            TRY(unpacker.feed(chunk.data));
            auto info = TRY(unpacker.finish());
            if (info.sha256 != chunk.sealed_sha256 || unpacker.email_id() != chunk.email)
                return fail(ErrorKind::refused, "a sealed object is not the one that was announced");
            objects.push_back({sealed_object_id(crypto::view_of(info.sha256)),
                               std::move(served),
                               {info.size, message_texts(parser)}});
        }
        return objects;
    };
    co_return co_await node_.read(store::system_file, std::move(unpack));
}

// Each by its content's name, so that doing it again does nothing.
net::Task<Result<>> Replica::store_objects(Objects objects) {
    if (objects.empty()) co_return Result<>();
    std::size_t octets = 0;
    Bodies bodies;
    for (auto& object : objects) {
        octets += object.served.size();
        bodies.emplace(object.id, std::move(object.body));
    }
    auto keep = [objects = std::move(objects), now = node_.clock()](store::SystemStore& system) -> Result<> {
        // What is encrypted does not get smaller.
        for (const auto& object : objects)
            TRY(system.put_object(object.id, object.served, now, store::Packing::none));
        return {};
    };
    CO_TRY(co_await node_.write(store::system_file, std::move(keep), octets));
    std::lock_guard lock(mutex_);
    // What stays here is of messages that had gone when their body came.
    if (fresh_.size() + bodies.size() > most_fresh) fresh_.clear();
    fresh_.merge(bodies);
    co_return Result<>();
}

net::Task<Result<>> Replica::settle(AccountId account) {
    auto turn = co_await locks_.lock(account);
    co_return co_await settle_locked(account);
}

// Bodies whose structure is known since they came.
Replica::Bodies Replica::recall(const std::vector<store::PendingMessage>& pending) {
    Bodies bodies;
    std::lock_guard lock(mutex_);
    for (const auto& message : pending)
        if (auto node = fresh_.extract(sealed_object_id(message.sha256))) bodies.insert(std::move(node));
    return bodies;
}

net::Task<Result<>> Replica::settle_locked(AccountId account) {
    for (;;) {
        constexpr std::size_t batch = 500;
        auto load = [](store::AccountStore& store) {
            return store.load_pending(store::BodyState::missing, batch);
        };
        auto pending = CO_TRY(co_await node_.read(account, load));
        std::size_t count = pending.size();
        Bodies bodies = CO_TRY(co_await find_bodies(account, pending));
        std::size_t found = bodies.size();
        CO_TRY(co_await attach(account, std::move(pending), std::move(bodies)));
        if (count < batch || found == 0) break;
    }
    node_.hub.changed(account);
    co_return Result<>();
}

net::Task<Result<Replica::Bodies>> Replica::find_bodies(AccountId account,
                                                        std::vector<store::PendingMessage> pending) {
    auto look = [pending, bodies = recall(pending)](store::SystemStore& system) mutable -> Result<Bodies> {
        for (const auto& message : pending) {
            ObjectId id = sealed_object_id(message.sha256);
            if (bodies.contains(id)) continue;
            auto info = TRY(system.find_object(id));
            if (!info || !info->complete) continue;
            mime::StructureParser parser;
            for (std::uint64_t at = 0; at < info->size; at += store::chunk_size)
                parser.feed(TRY(system.read_object(id, at, store::chunk_size)));
            bodies[id] = {info->size, message_texts(parser)};
        }
        return std::move(bodies);
    };
    Bodies bodies = CO_TRY(co_await node_.read(store::system_file, std::move(look)));
    for (const auto& message : pending) {
        ObjectId id = sealed_object_id(message.sha256);
        if (bodies.contains(id)) continue;
        auto body = CO_TRY(co_await assemble(account, message));
        if (body) bodies[id] = std::move(*body);
    }
    co_return bodies;
}

// A body that came in several chunks. Streams: memory does not grow with it.
net::Task<Result<std::optional<Replica::Body>>> Replica::assemble(AccountId account,
                                                                  store::PendingMessage message) {
    auto cover = [email = message.email_id, sha256 = message.sha256](store::AccountStore& store) {
        return store.chunk_coverage(email, sha256);
    };
    auto coverage = CO_TRY(co_await node_.read(account, cover));
    if (!coverage.complete()) co_return std::nullopt;
    ObjectId id = sealed_object_id(message.sha256);
    auto begin = [id, now = node_.clock()](store::SystemStore& system) {
        return system.begin_object(id, now);
    };
    CO_TRY(co_await node_.write(store::system_file, begin));
    std::string buffer;
    std::uint32_t index = 0;
    mime::StructureParser parser;
    SealedUnpacker unpacker(allowed_keys(node_, account), [&](std::string_view piece) -> Result<> {
        parser.feed(piece);
        buffer += piece;
        return {};
    });
    Result<> good;
    std::uint64_t at = 0;
    while (good && at < coverage.total) {
        auto read = [email = message.email_id, sha256 = message.sha256, at](store::AccountStore& store) {
            return store.read_chunk(email, sha256, at);
        };
        std::string piece = CO_TRY(co_await node_.read(account, read));
        at += piece.size();
        good =
            piece.empty() ? Result<>(fail(ErrorKind::internal, "a chunk is missing")) : unpacker.feed(piece);
        std::optional<SealedInfo> info;
        if (good && at >= coverage.total) {
            auto finished = unpacker.finish();
            if (!finished)
                good = fail(finished.error());
            else if (crypto::view_of(finished->sha256) != message.sha256 ||
                     unpacker.email_id() != message.email_id)
                good = fail(ErrorKind::refused, "a sealed object is not the one that was announced");
            else
                info = *finished;
        }
        while (good && (buffer.size() >= store::chunk_size || (info && !buffer.empty()))) {
            std::string chunk = buffer.substr(0, store::chunk_size);
            buffer.erase(0, store::chunk_size);
            auto append = [id, i = index++, chunk](store::SystemStore& system) {
                return system.append_chunk(id, i, chunk, store::Packing::none);
            };
            CO_TRY(co_await node_.write(store::system_file, std::move(append), chunk.size()));
        }
        if (!info) continue;
        auto finish = [id, size = info->size](store::SystemStore& system) {
            return system.finish_object(id, size);
        };
        CO_TRY(co_await node_.write(store::system_file, finish));
        co_return Body{info->size, message_texts(parser)};
    }
    node_.log.error("replica", "the chunks of a message do not make a sealed object (" + good.error().text +
                                   "); they are dropped");
    auto drop = [email = message.email_id, sha256 = message.sha256](store::AccountStore& store) {
        return store.delete_chunks(email, sha256);
    };
    CO_TRY(co_await node_.write(account, drop));
    co_return std::nullopt;
}

net::Task<Result<>> Replica::attach(AccountId account, std::vector<store::PendingMessage> pending,
                                    Bodies bodies) {
    std::erase_if(pending,
                  [&](const auto& message) { return !bodies.contains(sealed_object_id(message.sha256)); });
    // A hold belongs to one attempt: where another one was faster the store gives this one's back, and no
    // other.
    std::vector<store::Reference> references;
    for (auto& message : pending) {
        message.object = sealed_object_id(message.sha256);
        message.hold = make_id<store::HoldIdTag>(node_.clock());
        references.push_back({message.object, message.hold});
    }
    if (!references.empty()) {
        auto keep = [account, references](store::SystemStore& system) {
            return system.add_references(account, references);
        };
        CO_TRY(co_await node_.write(store::system_file, std::move(keep)));
        crash_point("replica.referenced");
    }
    // What was sealed anew is shown at once for the whole mailbox.
    bool reseals = std::ranges::any_of(pending, [](const auto& message) { return message.reseals; });
    std::size_t octets = reseals ? store::octets_a_mailbox : pending.size() * store::octets_a_message;
    auto job = [pending, bodies, home = home_of(node_),
                now = node_.clock()](store::AccountStore& store) -> Result<> {
        for (const auto& message : pending) {
            const auto& body = bodies.at(message.object);
            TRY(store.set_pending_body(
                message.mailbox, message.uid,
                {store::BodyState::ready, message.object, message.hold, body.size, body.texts}));
            TRY(store.delete_chunks(message.email_id, message.sha256));
        }
        for (const auto& mailbox : TRY(store.load_mailboxes())) {
            TRY(show_arrived(store, home, mailbox.id, now));
            TRY(store::show_resealed(store, mailbox.id));
        }
        return {};
    };
    CO_TRY(co_await node_.write(account, std::move(job), octets));
    crash_point("replica.attached");
    co_return Result<>();
}

net::Task<Result<>> Replica::recover() {
    auto load = [](store::SystemStore& system) { return system.load_users(); };
    auto users = CO_TRY(co_await node_.read(store::system_file, load));
    for (const auto& user : users) CO_TRY(co_await settle(user.id));
    co_return Result<>();
}

}  // namespace fwmail::service
