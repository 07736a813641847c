// At core: mail that was appended at a remote. Sealed mail is filed as it is, since core cannot read it;
// plain mail comes sealed to core, and the object that the remote shows is made of it again.
#pragma once

#include <optional>
#include <span>

#include "service/node.hpp"
#include "service/remote_entries.hpp"
#include "service/sealed_mail.hpp"
#include "sync/frame.hpp"

namespace fwmail::service {

struct OpenedAppend {
    std::string octets;  // that core's clients see
    store::MessageTexts texts;
    store::Seal seal;
    bool as_shown = true;  // else the octets that the remote shows cannot be made here
};
// `packed`: all that came in chunks. The error, of kind refused, says why it is not what was announced.
Result<OpenedAppend> open_appended(const sync::AppendRequestEntry& request, std::string_view packed,
                                   const std::vector<crypto::KeyId>& allowed,
                                   std::span<const crypto::PublicKey> user_keys,
                                   const crypto::SecretKey& node_key);

// Mail that core had sealed itself, and lost: becomes what was delivered, where one of these keys opens it
// and sealing that with one of `recipes`, which are core's secret, gives the same octets. Else it stays as it
// is.
Result<> restore_returned(OpenedAppend& mail, const store::Message& message,
                          std::span<const crypto::SecretKey> keys, std::span<const std::string> recipes,
                          std::span<const crypto::PublicKey> user_keys);

// Chunks of a remote are kept, those of the section that are new, and marked as applied. So much of one
// account: what is more comes again.
inline constexpr std::uint64_t most_pieces = 1ull << 30;
Result<> keep_chunks(store::AccountStore& account, NodeId peer, const sync::AccountSection& section);
// The octets for a request, once all of them are there.
Result<std::optional<std::string>> read_pieces(store::AccountStore& account,
                                               const sync::AppendRequestEntry& request);

}  // namespace fwmail::service
