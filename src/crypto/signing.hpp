// Internal to crypto: which key signs, and which may have signed.
#pragma once

#include "crypto/signature.hpp"

namespace fwmail::crypto {

inline constexpr std::size_t signature_limit = 16 << 10;

// The signing subkey if the key has one, else the primary. What is returned looks into `key`.
Result<Signer> signer_of(const SecretKey& key);
// The key of the certificate that the signature says it is by; null if none signs or fits.
const SigningKey* issuer_among(const Signature& signature, const PublicKey& signer);

}  // namespace fwmail::crypto
