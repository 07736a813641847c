#include "crypto/primitives.hpp"

#include <cryptopp/aes.h>
#include <cryptopp/donna.h>
#include <cryptopp/modes.h>
#include <cryptopp/sha.h>
#include <cryptopp/xed25519.h>

#include <cstring>
#include <stdexcept>
#include <variant>

#include "crypto/octets.hpp"

namespace fwmail::crypto {

std::optional<HashId> hash_from_number(std::uint8_t number) {
    if (number == 2 || number == 8 || number == 9 || number == 10) return static_cast<HashId>(number);
    return std::nullopt;
}

std::size_t digest_size(HashId id) {
    switch (id) {
        case HashId::sha1:
            return 20;
        case HashId::sha256:
            return 32;
        case HashId::sha384:
            return 48;
        case HashId::sha512:
            return 64;
    }
    return 0;
}

struct Hash::State {
    std::variant<CryptoPP::SHA1, CryptoPP::SHA256, CryptoPP::SHA384, CryptoPP::SHA512> hash;
    explicit State(HashId id) {
        switch (id) {
            case HashId::sha1:
                break;
            case HashId::sha256:
                hash.emplace<CryptoPP::SHA256>();
                break;
            case HashId::sha384:
                hash.emplace<CryptoPP::SHA384>();
                break;
            case HashId::sha512:
                hash.emplace<CryptoPP::SHA512>();
                break;
        }
    }
};

Hash::Hash(HashId id) : id_(id), state_(std::make_unique<State>(id)) {}
Hash::Hash(const Hash& other) : id_(other.id_), state_(std::make_unique<State>(*other.state_)) {}
Hash::Hash(Hash&&) noexcept = default;
Hash& Hash::operator=(Hash&&) noexcept = default;
Hash::~Hash() = default;

void Hash::update(std::string_view octets) {
    std::visit([&](auto& hash) { hash.Update(bytes(octets), octets.size()); }, state_->hash);
}

std::string Hash::finish() {
    std::string digest(digest_size(id_), '\0');
    std::visit([&](auto& hash) { hash.Final(bytes(digest)); }, state_->hash);
    return digest;
}

std::optional<std::size_t> aes_key_size(std::uint8_t cipher) {
    if (cipher < 7 || cipher > 9) return std::nullopt;
    return 16 + 8 * static_cast<std::size_t>(cipher - 7);
}

struct CfbStream::State {
    std::variant<CryptoPP::CFB_Mode<CryptoPP::AES>::Encryption, CryptoPP::CFB_Mode<CryptoPP::AES>::Decryption>
        cipher;
};

CfbStream::CfbStream(Direction direction, std::string_view key, std::string_view iv)
    : state_(std::make_unique<State>()) {
    if (iv.size() != 16) throw std::logic_error("CFB wants an initialisation vector of one block");
    if (direction == Direction::decrypt) state_->cipher.emplace<1>();
    std::visit([&](auto& cipher) { cipher.SetKeyWithIV(bytes(key), key.size(), bytes(iv), iv.size()); },
               state_->cipher);
}
CfbStream::CfbStream(CfbStream&&) noexcept = default;
CfbStream& CfbStream::operator=(CfbStream&&) noexcept = default;
CfbStream::~CfbStream() = default;

void CfbStream::process(char* octets, std::size_t count) {
    if (count == 0) return;
    std::visit([&](auto& cipher) { cipher.ProcessData(bytes(octets), bytes(octets), count); },
               state_->cipher);
}

// RFC 3394 2.2.3.1
static constexpr char wrap_check[8] = {'\xA6', '\xA6', '\xA6', '\xA6', '\xA6', '\xA6', '\xA6', '\xA6'};

static void xor_counter(char* block, std::uint64_t t) {
    for (int i = 7; i >= 0; --i, t >>= 8)
        block[i] = static_cast<char>(block[i] ^ static_cast<char>(t & 0xff));
}

std::string aes_key_wrap(std::string_view kek, std::string_view plain) {
    CryptoPP::AES::Encryption aes(bytes(kek), kek.size());
    std::size_t n = plain.size() / 8;
    if (n < 2 || plain.size() % 8 != 0)
        throw std::logic_error("key wrap wants two or more blocks of 8 octets");
    std::string out(wrap_check, 8);
    out += plain;
    char block[16];
    std::memcpy(block, wrap_check, 8);
    for (std::size_t j = 0; j < 6; ++j)
        for (std::size_t i = 1; i <= n; ++i) {
            std::memcpy(block + 8, out.data() + 8 * i, 8);
            aes.ProcessBlock(bytes(block));
            xor_counter(block, n * j + i);
            std::memcpy(out.data() + 8 * i, block + 8, 8);
        }
    std::memcpy(out.data(), block, 8);
    explicit_bzero(block, sizeof block);
    return out;
}

std::optional<Secret> aes_key_unwrap(std::string_view kek, std::string_view wrapped) {
    if (wrapped.size() < 24 || wrapped.size() % 8 != 0) return std::nullopt;
    CryptoPP::AES::Decryption aes(bytes(kek), kek.size());
    std::size_t n = wrapped.size() / 8 - 1;
    std::string out(wrapped.substr(8));
    char block[16];
    std::memcpy(block, wrapped.data(), 8);
    for (std::size_t j = 6; j-- > 0;)
        for (std::size_t i = n; i >= 1; --i) {
            xor_counter(block, n * j + i);
            std::memcpy(block + 8, out.data() + 8 * (i - 1), 8);
            aes.ProcessBlock(bytes(block));
            std::memcpy(out.data() + 8 * (i - 1), block + 8, 8);
        }
    bool good = equal_constant_time({block, 8}, {wrap_check, 8});
    explicit_bzero(block, sizeof block);
    Secret plain(std::move(out));
    if (!good) return std::nullopt;
    return plain;
}

Point ed25519_public(std::string_view seed) {
    Point point;
    CryptoPP::Donna::ed25519_publickey(point.data(), bytes(seed));
    return point;
}

std::array<std::uint8_t, 64> ed25519_sign(std::string_view seed, const Point& point,
                                          std::string_view message) {
    std::array<std::uint8_t, 64> signature;
    CryptoPP::Donna::ed25519_sign(bytes(message), message.size(), bytes(seed), point.data(),
                                  signature.data());
    return signature;
}

// L of RFC 8032 5.1, little-endian.
static constexpr std::uint8_t group_order[32] = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

bool ed25519_verify(const Point& point, std::string_view message, std::string_view signature) {
    if (signature.size() != 64) return false;
    const CryptoPP::byte* s = bytes(signature) + 32;
    int i = 31;
    while (i >= 0 && s[i] == group_order[i]) --i;
    if (i < 0 || s[i] > group_order[i]) return false;
    return CryptoPP::Donna::ed25519_sign_open(bytes(message), message.size(), point.data(),
                                              bytes(signature)) == 0;
}

Secret clamp_x25519(std::string_view scalar) {
    std::string out(scalar);
    out[0] = static_cast<char>(out[0] & '\xf8');
    out[31] = static_cast<char>((out[31] & '\x7f') | '\x40');
    return Secret(std::move(out));
}

Point x25519_public(const Secret& scalar) {
    Point point;
    CryptoPP::Donna::curve25519_mult(point.data(), bytes(clamp_x25519(scalar.view()).view()));
    return point;
}

bool x25519_small_order(const Point& point) { return CryptoPP::x25519().IsSmallOrder(point.data()); }

std::optional<Secret> x25519_agree(const Secret& scalar, const Point& point) {
    std::string shared(32, '\0');
    Secret clamped = clamp_x25519(scalar.view());
    bool good = CryptoPP::x25519().Agree(bytes(shared), bytes(clamped.view()), point.data(), true);
    // Whatever list of points Agree goes by, an all-zero secret is never used (RFC 7748 6.1).
    good = good && !equal_constant_time(shared, std::string(32, '\0'));
    Secret out(std::move(shared));
    if (!good) return std::nullopt;
    return out;
}

}  // namespace fwmail::crypto
