#include "service/appended.hpp"

#include "base/secret.hpp"
#include "service/foreign_sealed.hpp"
#include "service/message_texts.hpp"
#include "service/poller.hpp"
#include "store/epochs.hpp"
#include "sync/link.hpp"

namespace fwmail::service {

Result<OpenedAppend> open_appended(const sync::AppendRequestEntry& request, std::string_view packed,
                                   const std::vector<crypto::KeyId>& allowed,
                                   std::span<const crypto::PublicKey> user_keys,
                                   const crypto::SecretKey& node_key) {
    auto refused = [](const Error& error) { return fail(ErrorKind::refused, error.text); };
    OpenedAppend mail;
    SealedInfo info;
    if (request.is_object()) {
        SealedUnpacker unpacker(allowed, [&](std::string_view octets) -> Result<> {
            mail.octets += octets;
            return {};
        });
        if (auto fed = unpacker.feed(packed); !fed) return refused(fed.error());
        auto whole = unpacker.finish();
        if (!whole) return refused(whole.error());
        if (unpacker.email_id() != request.email)
            return fail(ErrorKind::refused, "it is of another message than it says");
        info = *whole;
    } else {
        auto opened = crypto::open(packed, {&node_key, 1}, {}, {largest_appended});
        if (!opened) return refused(opened.error());
        mail.octets = std::move(opened->plain);
        store::Message message;
        message.email_id = request.email;
        message.date = request.internal_date;
        auto sealed = seal_message(message, request.recipe, user_keys, source_of(mail.octets),
                                   [](std::string_view) { return Result<>(); });
        if (sealed) info = *sealed;
        mail.seal.seed = request.recipe;
    }
    mail.texts = message_texts(mail.octets);
    mail.as_shown = info.sha256 == request.sealed_sha256 && info.size == request.sealed_size;
    if (mail.as_shown)
        mail.seal = {mail.seal.seed, info.size, std::string(crypto::view_of(info.sha256)),
                     store::SealState::sealed, ""};
    else
        mail.seal = {};
    return mail;
}

Result<> restore_returned(OpenedAppend& mail, const store::Message& message,
                          std::span<const crypto::SecretKey> keys, std::span<const std::string> recipes,
                          std::span<const crypto::PublicKey> user_keys) {
    auto packets = sealed_packets(mail.octets);
    if (!packets) return {};
    auto opened = crypto::open(*packets, keys, {}, {largest_appended});
    if (!opened) return {};
    std::string original;
    Restorer restorer([&](std::string_view octets) -> Result<> {
        original += octets;
        return {};
    });
    if (auto fed = restorer.feed(opened->plain); !fed) return {};
    if (auto whole = restorer.finish(); !whole) return {};
    for (const auto& recipe : recipes) {
        auto sealed = seal_message(message, recipe, user_keys, source_of(original),
                                   [](std::string_view) { return Result<>(); });
        // Only core makes these octets: whoever else seals to the user must not have core file plain mail for
        // him.
        if (!sealed || crypto::view_of(sealed->sha256) != mail.seal.sha256) continue;
        mail.seal.seed = recipe;
        mail.texts = message_texts(original);
        mail.octets = std::move(original);
        break;
    }
    return {};
}

Result<> keep_chunks(store::AccountStore& account, NodeId peer, const sync::AccountSection& section) {
    if (!TRY(store::is_in_epoch(account, peer, section.epoch))) return {};
    sync::Incoming incoming{TRY(account.load_applied(peer))};
    NumberSet fresh;
    for (const auto& [number, entry] : section.entries) {
        const auto* chunk = std::get_if<sync::ChunkEntry>(&entry);
        if (!chunk || incoming.classify(number) != sync::Arrival::fresh) continue;
        if (TRY(account.piece_octets()) + chunk->data.size() > most_pieces) continue;
        // Of an earlier request for the same message, in another form.
        auto object = crypto::view_of(chunk->sealed_sha256);
        if (auto total = TRY(account.chunk_coverage(chunk->email, object)).total;
            total && total != chunk->total)
            TRY(account.delete_chunks(chunk->email, object));
        TRY(account.insert_chunk(chunk->email, object, chunk->offset, chunk->total, chunk->data));
        fresh.add(number.value);
    }
    if (fresh.empty()) return {};
    return account.mark_applied(peer, fresh);
}

Result<std::optional<std::string>> read_pieces(store::AccountStore& account,
                                               const sync::AppendRequestEntry& request) {
    constexpr std::uint64_t largest = largest_appended + (1 << 20);
    auto coverage = TRY(account.chunk_coverage(request.email, crypto::view_of(request.sealed_sha256)));
    if (request.size > largest || coverage.total != request.size || !coverage.complete()) return std::nullopt;
    std::string packed;
    packed.reserve(static_cast<std::size_t>(request.size));
    while (packed.size() < request.size) {
        std::string piece =
            TRY(account.read_chunk(request.email, crypto::view_of(request.sealed_sha256), packed.size()));
        if (piece.empty()) return fail(ErrorKind::internal, "a chunk is missing");
        packed += piece;
    }
    return packed;
}

}  // namespace fwmail::service
