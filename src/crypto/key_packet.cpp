#include "crypto/key_packet.hpp"

#include <algorithm>

#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"
#include "crypto/signature.hpp"

namespace fwmail::crypto {

namespace {
// 1.3.6.1.4.1.11591.15.1 and 1.3.6.1.4.1.3029.1.5.1, each after its length.
constexpr std::string_view oid_ed25519("\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01", 10);
constexpr std::string_view oid_curve25519("\x0a\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01", 11);
// A native point is 0x40 and 32 octets.
constexpr std::size_t point_size = 33;

std::string key_head(std::uint32_t created, std::uint8_t algorithm, std::string_view oid,
                     const Point& point) {
    std::string body(1, 4);
    put_u32(body, created);
    body += static_cast<char>(algorithm);
    body += oid;
    put_mpi(body, "\x40" + std::string(view_of(point)));
    return body;
}

bool take_point(Cursor& cursor, Point& point) {
    auto number = cursor.mpi(point_size);
    if (!number || number->size() != point_size || (*number)[0] != 0x40) return false;
    std::ranges::copy(number->substr(1), reinterpret_cast<char*>(point.data()));
    return true;
}

// RFC 6637 9: three octets follow: a reserved 1, hash, cipher.
bool take_kdf(Cursor& cursor, EncryptionKey& key) {
    auto kdf = cursor.take(4);
    if (!kdf || (*kdf)[0] != 3 || (*kdf)[1] != 1) return false;
    key.kdf_hash = static_cast<std::uint8_t>((*kdf)[2]);
    key.kdf_cipher = static_cast<std::uint8_t>((*kdf)[3]);
    auto hash = hash_from_number(key.kdf_hash);
    return hash && *hash != HashId::sha1 && aes_key_size(key.kdf_cipher);
}
}  // namespace

Fingerprint fingerprint_of(std::string_view key_body) {
    // RFC 4880 12.2
    Hash hash(HashId::sha1);
    hash_key(hash, key_body);
    Fingerprint out;
    std::ranges::copy(hash.finish(), reinterpret_cast<char*>(out.bytes.data()));
    return out;
}

std::string write_signing_key(std::uint32_t created, const Point& point) {
    return key_head(created, algorithm_eddsa, oid_ed25519, point);
}

std::string write_encryption_key(const EncryptionKey& key) {
    std::string body = key_head(key.created, algorithm_ecdh, oid_curve25519, key.point);
    body += {3, 1, static_cast<char>(key.kdf_hash), static_cast<char>(key.kdf_cipher)};
    return body;
}

Result<KeyPacket> parse_key_packet(std::string_view body) {
    KeyPacket out;
    Cursor cursor(body);
    auto version = cursor.u8();
    auto created = cursor.u32();
    auto algorithm = cursor.u8();
    if (!algorithm || *version != 4) return bad_openpgp("a key is not of version 4");
    out.key.created = *created;
    if (*algorithm == algorithm_eddsa && cursor.rest().starts_with(oid_ed25519)) {
        out.kind = KeyKind::signing;
        cursor.take(oid_ed25519.size());
    } else if (*algorithm == algorithm_ecdh && cursor.rest().starts_with(oid_curve25519)) {
        out.kind = KeyKind::encryption;
        cursor.take(oid_curve25519.size());
    } else {
        return out;
    }
    if (!take_point(cursor, out.key.point) || (out.kind == KeyKind::encryption && !take_kdf(cursor, out.key)))
        return bad_openpgp("a key is malformed");
    if (out.kind == KeyKind::encryption && x25519_small_order(out.key.point))
        return bad_openpgp("an encryption key is of small order");
    out.length = body.size() - cursor.rest().size();
    out.body = body.substr(0, out.length);
    out.key.fingerprint = fingerprint_of(out.body);
    return out;
}

}  // namespace fwmail::crypto
