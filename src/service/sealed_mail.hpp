// The sealed object: what the remote stores and serves in a message's place (fwmail-sealed-mail(7)).
//
// Invariants: the same message, seed, key and date give the same octets; what is sealed restores the message
// octet for octet, checked before the object is used; memory does not grow with the message.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/armor.hpp"
#include "crypto/hash.hpp"
#include "crypto/openpgp_key.hpp"
#include "crypto/openpgp_message.hpp"

namespace fwmail::service {

using Octets32 = std::array<std::uint8_t, 32>;
using Sink = std::function<Result<>(std::string_view)>;

// A stored message, read in pieces. `read` gives exactly `length` octets, or fewer only at the end.
struct MessageSource {
    std::uint64_t size = 0;
    std::function<Result<std::string>(std::uint64_t offset, std::size_t length)> read;
};
MessageSource source_of(std::string_view octets);  // the octets must outlive the source

enum class OuterHeader { ordinary, minimal };  // minimal: no addresses, no references

struct SealOrder {
    EmailId email_id;
    Octets32 seed{};
    UnixMillis
        date;  // the literal packet's; fixed for a message, so that sealing again gives the same octets
    OuterHeader outer = OuterHeader::ordinary;
};

struct SealedInfo {
    std::uint64_t size = 0;         // of the object as the remote serves it
    Octets32 sha256{};              // of the same
    std::uint64_t packed_size = 0;  // as it travels: outer header and OpenPGP packets without armour
};

// Seals `original` to `recipient` and hands the packed object to `packed`, in pieces. An error of the kind
// `refused` says why this message cannot be sealed; nothing of what `packed` got may then be used.
Result<SealedInfo> seal_mail(const MessageSource& original, const crypto::PublicKey& recipient,
                             const SealOrder& order, const Sink& packed);

// Sealed mail as a user's own program made it travels as it is, behind its EmailId. No errors but of
// `source`.
Result<SealedInfo> pack_as_it_is(const MessageSource& source, EmailId email, const Sink& packed);
std::string head_as_it_is(EmailId email);         // what stands before it then
std::uint64_t size_as_it_is(std::uint64_t size);  // with that

// Turns a packed object into the octets that are served, refusing whatever is not a sealed object: other
// header fields, packets to other keys than `allowed_keys`, anything before or after.
class SealedUnpacker {
  public:
    SealedUnpacker(std::vector<crypto::KeyId> allowed_keys, Sink octets);
    SealedUnpacker(const SealedUnpacker&) = delete;
    SealedUnpacker& operator=(const SealedUnpacker&) = delete;
    Result<> feed(std::string_view packed);
    Result<SealedInfo> finish();

    // As the outer header names it; known after finish().
    EmailId email_id() const { return email_id_; }

  private:
    void emit(std::string_view octets);
    Result<> take_packets(std::string_view octets);
    Result<> take_header(std::string_view header);

    Sink sink_;
    std::vector<crypto::KeyId> allowed_;
    crypto::SealedChecker checker_;
    std::optional<crypto::ArmorEncoder> armor_;  // begins to write when it is made: after the header
    crypto::Sha256 hash_;
    SealedInfo info_;
    EmailId email_id_;
    Result<> sink_result_;  // the first error that the sink gave
    std::string head_;      // until the outer header is whole
    std::string boundary_;
    bool in_packets_ = false;
    bool as_it_is_ = false;  // then `head_` is all of it
};

// Undoes the wrapping: decrypted octets in, the delivered message out. Fed in any pieces.
class Restorer {
  public:
    explicit Restorer(Sink original) : sink_(std::move(original)) {}
    Result<> feed(std::string_view inner);
    Result<> finish();

  private:
    Result<> take_root(std::string_view root);
    Result<> take_part(std::string_view moved);
    Result<> emit_body();

    enum class At { root, part, body };
    Sink sink_;
    At at_ = At::root;
    std::string held_;                // not yet understood
    std::vector<std::string> kept_;   // fields that stayed in the root
    std::vector<std::size_t> moved_;  // where those that went into the part stood
    std::string end_, closing_;       // the header's empty line; the delimiter after the body
    bool whole_ = false;
};

// The OpenPGP octets inside a served object (its armour decoded), for `fwmail open`.
Result<std::string> sealed_packets(std::string_view served);

}  // namespace fwmail::service
