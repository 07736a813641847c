// Internal to crypto: the public part of key packets (RFC 4880 5.5.2, RFC 6637 9), and their fingerprints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "crypto/openpgp_key.hpp"

namespace fwmail::crypto {

enum class KeyKind { signing, encryption, other };

struct KeyPacket {
    KeyKind kind = KeyKind::other;
    EncryptionKey key;       // the last two members mean something for encryption only
    std::size_t length = 0;  // of the public part; 0 for other algorithms, where it is not known
    std::string body;        // the public part

    SigningKey signing() const { return {key.fingerprint, key.created, key.point}; }
};

Fingerprint fingerprint_of(std::string_view key_body);
std::string write_signing_key(std::uint32_t created, const Point& point);
std::string write_encryption_key(const EncryptionKey& key);
// The public part at the front of a public or secret key packet's body. A v4 key of another algorithm or
// curve is `other`; other versions and malformed keys are errors.
Result<KeyPacket> parse_key_packet(std::string_view body);

}  // namespace fwmail::crypto
