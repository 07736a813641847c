// Detached OpenPGP signatures (RFC 4880 11.4): Ed25519 over SHA-256, type 0x00 (binary document).
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/openpgp_key.hpp"

namespace fwmail::crypto {

struct Verified {
    Fingerprint certificate;
    Fingerprint key;  // the primary or signing subkey that made it
    UnixMillis signed_at{};
};

// One binary signature packet; by the signing subkey when the key has one, else by the primary.
// Deterministic.
Result<std::string> sign_detached(std::string_view octets, const SecretKey& key, UnixMillis time);
// `signature` is one binary signature packet. Everything that does not hold is `refused`.
Result<Verified> verify_detached(std::string_view octets, std::string_view signature,
                                 const PublicKey& signer);

}  // namespace fwmail::crypto
