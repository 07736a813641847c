// Internal to crypto: session keys sealed to Curve25519 keys (RFC 6637), as PKESK v3 packets (RFC 4880 5.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/openpgp_key.hpp"

namespace fwmail::crypto {

struct SessionKey {
    std::uint8_t cipher = 9;  // AES-128, -192 or -256 as RFC 4880 9.2 numbers them
    Secret key;
};

// The size of a PKESK packet to one of our keys, header and all.
inline constexpr std::size_t pkesk_size = 2 + 1 + 8 + 1 + 2 + 33 + 1 + 48;

// The whole packet; the session key is of AES-256. `ephemeral` is a 32-octet scalar, of this packet alone.
Result<std::string> write_pkesk(const EncryptionKey& key, const Secret& session_key, const Secret& ephemeral);

struct Pkesk {
    KeyId key_id;
    std::uint8_t algorithm = 0;
    Point ephemeral{};    // of ECDH
    std::string wrapped;  // of ECDH
};
// v3, and well-formed if its algorithm is RSA (1, 2), Elgamal (16) or ECDH (18); others are errors. What is
// returned for a curve that is not ours has nothing wrapped, and opens for nobody.
Result<Pkesk> parse_pkesk(std::string_view body);
// Nothing when this key does not open it, for whatever reason.
std::optional<SessionKey> open_pkesk(const Pkesk& pkesk, const SecretKey::Decryption& key);

}  // namespace fwmail::crypto
