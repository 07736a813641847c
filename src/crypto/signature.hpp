// Internal to crypto: v4 signature packets (RFC 4880 5.2.3) by Ed25519 keys.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "crypto/openpgp_key.hpp"
#include "crypto/primitives.hpp"

namespace fwmail::crypto {

inline constexpr std::uint8_t algorithm_ecdh = 18, algorithm_eddsa = 22;

// RFC 4880 5.2.1
namespace signature_type {
inline constexpr std::uint8_t binary = 0x00, generic_certification = 0x10, positive_certification = 0x13,
                              subkey_binding = 0x18, primary_binding = 0x19, direct_key = 0x1f,
                              key_revocation = 0x20, subkey_revocation = 0x28,
                              certification_revocation = 0x30;
}

// RFC 4880 5.2.3.21
namespace key_flag {
inline constexpr std::uint8_t certify = 1, sign = 2, encrypt_transport = 4, encrypt_storage = 8, encrypt = 12;
}

struct Signature {
    std::uint8_t type = 0;
    HashId hash = HashId::sha256;
    std::string hashed;  // the octets of the packet that are hashed after the data
    std::uint32_t created = 0;
    std::uint32_t key_expires = 0;  // seconds after the key's creation; 0 = never
    std::optional<std::uint8_t> flags;
    std::optional<Fingerprint> issuer;
    KeyId issuer_id;  // 0 = not named
    bool primary_user_id = false;
    std::string embedded;  // body of an embedded signature
    std::string left;      // the first two octets of the digest
    std::string value;     // R and S, 64 octets
};

// Only v4 signatures of Ed25519 keys over a hash that is still good, with a creation time and no unknown
// critical subpacket; anything else is an error that a reader of certificates passes over.
Result<Signature> parse_signature(std::string_view body);
// True when the signature may be this key's: what it says of its issuer does not contradict.
bool may_be_issued_by(const Signature& signature, const Fingerprint& key);
// `data` has been given what is signed (RFC 4880 5.2.4), without the trailer.
bool holds(const Signature& signature, Hash data, const Point& point);

struct Signer {
    const SigningKey& key;
    std::string_view seed;
};

// One subpacket with its length and type (RFC 4880 5.2.3.1).
std::string subpacket(std::uint8_t type, std::string_view body);
// The body of a signature packet over `data`. `more` are further hashed subpackets.
std::string make_signature(std::uint8_t type, Hash data, const Signer& signer, std::uint32_t created,
                           std::string_view more = {});

// What a key or User ID is hashed as (RFC 4880 5.2.4).
void hash_key(Hash& hash, std::string_view key_body);
void hash_user_id(Hash& hash, std::string_view user_id);

}  // namespace fwmail::crypto
