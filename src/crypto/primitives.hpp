// Internal to crypto: Crypto++ behind plain octets, in the shapes that OpenPGP needs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.hpp"
#include "crypto/hash.hpp"
#include "crypto/openpgp_key.hpp"

namespace fwmail::crypto {

// RFC 4880 9.4
enum class HashId : std::uint8_t { sha1 = 2, sha256 = 8, sha384 = 9, sha512 = 10 };
std::optional<HashId> hash_from_number(std::uint8_t number);
std::size_t digest_size(HashId id);

// An incremental hash of any of the four. A copy continues from the same state.
class Hash {
  public:
    explicit Hash(HashId id);
    Hash(const Hash& other);
    Hash(Hash&&) noexcept;
    Hash& operator=(Hash&&) noexcept;
    ~Hash();

    HashId id() const { return id_; }
    void update(std::string_view octets);
    std::string finish();

  private:
    struct State;
    HashId id_;
    std::unique_ptr<State> state_;
};

// RFC 4880 9.2: the key size of AES-128, -192, -256 (7, 8, 9); nothing for other ciphers.
std::optional<std::size_t> aes_key_size(std::uint8_t cipher);

// AES-CFB with full-block feedback (RFC 4880 13.9, without resynchronisation).
class CfbStream {
  public:
    enum class Direction { encrypt, decrypt };
    // `key` is 16, 24 or 32 octets; `iv` 16.
    CfbStream(Direction direction, std::string_view key, std::string_view iv);
    CfbStream(CfbStream&&) noexcept;
    CfbStream& operator=(CfbStream&&) noexcept;
    ~CfbStream();
    void process(char* octets, std::size_t count);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// RFC 3394. The plain text is a multiple of 8 octets, at least 16.
std::string aes_key_wrap(std::string_view kek, std::string_view plain);
// Nothing when the check value does not come out, or the size is impossible.
std::optional<Secret> aes_key_unwrap(std::string_view kek, std::string_view wrapped);

// RFC 8032. Seeds and points are 32 octets.
Point ed25519_public(std::string_view seed);
std::array<std::uint8_t, 64> ed25519_sign(std::string_view seed, const Point& point,
                                          std::string_view message);
// Refuses S >= L, which Crypto++ itself would accept (RFC 8032 5.1.7), so that signatures are not malleable.
bool ed25519_verify(const Point& point, std::string_view message, std::string_view signature);

// RFC 7748. Scalars are 32 octets, clamped here.
Secret clamp_x25519(std::string_view scalar);
Point x25519_public(const Secret& scalar);
bool x25519_small_order(const Point& point);
// Nothing when the point is of small order.
std::optional<Secret> x25519_agree(const Secret& scalar, const Point& point);

}  // namespace fwmail::crypto
