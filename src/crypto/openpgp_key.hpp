// OpenPGP keys of the one profile that fwmail makes (RFC 4880, RFC 6637): v4, an Ed25519 primary (algorithm
// 22) and a Curve25519 ECDH subkey (algorithm 18). Certificates of other programs are read as long as they
// have both.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

namespace fwmail::crypto {

using KeyId = Number<struct KeyIdTag, std::uint64_t>;  // the last 8 octets of a fingerprint; 0 = wildcard
using Point = std::array<std::uint8_t, 32>;            // of either curve, in its own (little-endian) form

struct Fingerprint {
    std::array<std::uint8_t, 20> bytes{};

    constexpr auto operator<=>(const Fingerprint&) const = default;
    std::string_view octets() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
    KeyId key_id() const;
    // 40 upper-case hexadecimal digits, as gpg prints them.
    std::string hex() const;
    // Ten groups of four, to be compared by eye.
    std::string grouped() const;
    // 40 hexadecimal digits of either case; spaces are skipped.
    static std::optional<Fingerprint> from_hex(std::string_view text);
};

// An Ed25519 key that signs.
struct SigningKey {
    Fingerprint fingerprint;
    std::uint32_t created = 0;  // seconds since 1970
    Point point{};

    bool operator==(const SigningKey&) const = default;
};

// An X25519 key that mail is sealed to.
struct EncryptionKey {
    Fingerprint fingerprint;
    std::uint32_t created = 0;
    Point point{};
    std::uint8_t kdf_hash = 8;    // RFC 6637 8: SHA-256, SHA-384 or SHA-512
    std::uint8_t kdf_cipher = 9;  // AES-128, AES-192 or AES-256

    bool operator==(const EncryptionKey&) const = default;
};

struct PublicKey {
    Fingerprint fingerprint;  // the primary's: names the certificate
    SigningKey primary;
    bool primary_signs = true;                // its key flags say that it signs data
    EncryptionKey encryption;                 // the newest valid one
    std::vector<SigningKey> signing_subkeys;  // with a valid binding and back signature
    std::vector<EncryptionKey>
        old_encryption;  // other valid encryption subkeys: mail to them may still be about
    std::string user_id;
    std::optional<UnixMillis>
        expires;              // when the primary or the encryption subkey expires; the caller judges
    std::string certificate;  // the binary certificate; empty for a key made from its compact form

    bool operator==(const PublicKey&) const = default;
    KeyId encryption_key_id() const { return encryption.fingerprint.key_id(); }
};

// Secret halves may be missing: a laptop has no primary, only the decryption subkey and a signing subkey.
struct SecretKey {
    struct Signing {
        Fingerprint fingerprint;
        Secret seed;
    };
    struct Decryption {
        EncryptionKey key;
        Secret scalar;  // 32 octets, clamped, little-endian
    };

    PublicKey public_key;
    Secret primary_seed;                 // 32 octets (RFC 8032 5.1.5), or empty
    std::optional<Signing> signing;      // a signing subkey's seed; used in place of the primary when present
    std::vector<Decryption> decryption;  // that of public_key.encryption first
};

// The User ID is 1 to 1000 octets without control characters; the creation time is in 1970..2106,
// whole seconds count. The same inputs and seeds (32 octets each) give the same key.
Result<SecretKey> generate_key(std::string_view user_id, UnixMillis creation);
Result<SecretKey> key_from_seeds(std::string_view user_id, UnixMillis creation, const Secret& primary_seed,
                                 const Secret& encryption_seed);
// The key with one more signing subkey, certified by the primary, that `signing` then names (a laptop's).
Result<SecretKey> add_signing_subkey(const SecretKey& key, UnixMillis creation);
// What leaves core for a laptop: the same key without the primary's secret.
SecretKey without_primary(const SecretKey& key);

// Binary. The certificate as it was made or read.
std::string write_certificate(const PublicKey& key);
// One binary certificate of at most 256 KiB. Every self-signature that counts is verified; components without
// a valid one are ignored; a revoked certificate is refused, as is one without an encryption subkey that we
// can use.
Result<PublicKey> parse_certificate(std::string_view octets);

// Binary transferable secret key for `gpg --import`. With a passphrase: AES-256, iterated and salted SHA-256
// (RFC 4880 3.7.1.3), SHA-1 check (usage 254). Missing halves are written as GNU's dummies.
Result<Secret> write_secret_key(const SecretKey& key, const std::optional<Secret>& passphrase);
// Also takes what gpg, sq and rnp export. A wrong passphrase is `refused`.
Result<SecretKey> parse_secret_key(std::string_view octets, const std::optional<Secret>& passphrase);

// 68 octets for link tokens: creation time, Ed25519 point, X25519 point. Only for keys made here (both halves
// of one creation time); the fingerprints come out the same. The User ID travels beside it.
inline constexpr std::size_t compact_key_size = 4 + 32 + 32;
Result<std::string> write_compact_key(const PublicKey& key);
Result<PublicKey> parse_compact_key(std::string_view octets, std::string_view user_id);

}  // namespace fwmail::crypto
