#include "crypto/ecdh.hpp"

#include <algorithm>

#include "crypto/key_packet.hpp"
#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"
#include "crypto/signature.hpp"

namespace fwmail::crypto {

namespace {

constexpr std::size_t rsa_limit = 1024, wrapped_limit = 96;

// RFC 6637 7 and 8: one round of the concatenation KDF.
Secret key_encryption_key(const EncryptionKey& key, const Secret& shared) {
    std::string body = write_encryption_key(key);
    constexpr std::size_t head = 1 + 4 + 1, oid = 11;
    Hash hash(static_cast<HashId>(key.kdf_hash));
    hash.update(std::string_view("\0\0\0\1", 4));
    hash.update(shared.view());
    hash.update(std::string_view(body).substr(head, oid));
    hash.update(std::string(1, static_cast<char>(algorithm_ecdh)));
    hash.update(std::string{3, 1, static_cast<char>(key.kdf_hash), static_cast<char>(key.kdf_cipher)});
    hash.update("Anonymous Sender    ");
    hash.update(key.fingerprint.octets());
    std::string out = hash.finish();
    explicit_bzero(out.data() + *aes_key_size(key.kdf_cipher), out.size() - *aes_key_size(key.kdf_cipher));
    out.resize(*aes_key_size(key.kdf_cipher));
    return Secret(std::move(out));
}

std::uint32_t checksum(std::string_view octets) {
    std::uint32_t sum = 0;
    for (unsigned char c : octets) sum += c;
    return sum & 0xffff;
}

// RFC 4880 5.1: cipher, key, sum; RFC 6637 8: padded to a multiple of 8.
Secret pad_session_key(const Secret& key) {
    std::string out;
    out.reserve(64);
    out += static_cast<char>(9);
    out += key.view();
    put_u16(out, checksum(key.view()));
    std::size_t padding = 8 - out.size() % 8;
    out.append(padding, static_cast<char>(padding));
    return Secret(std::move(out));
}

std::optional<SessionKey> unpad_session_key(std::string_view octets) {
    if (octets.empty()) return std::nullopt;
    // Up to 40 octets and beyond may be padded to hide the cipher (RFC 6637 8).
    auto padding = static_cast<unsigned char>(octets.back());
    if (padding == 0 || padding >= octets.size()) return std::nullopt;
    for (char c : octets.substr(octets.size() - padding))
        if (static_cast<unsigned char>(c) != padding) return std::nullopt;
    Cursor cursor(octets.substr(0, octets.size() - padding));
    auto cipher = cursor.u8();
    auto size = cipher ? aes_key_size(*cipher) : std::nullopt;
    auto key = size ? cursor.take(*size) : std::nullopt;
    auto sum = cursor.u16();
    if (!key || !sum || !cursor.empty() || *sum != checksum(*key)) return std::nullopt;
    return SessionKey{*cipher, Secret(*key)};
}

}  // namespace

Result<std::string> write_pkesk(const EncryptionKey& key, const Secret& session_key,
                                const Secret& ephemeral) {
    auto shared = x25519_agree(ephemeral, key.point);
    if (!shared) return fail(ErrorKind::refused, "the key " + key.fingerprint.hex() + " cannot be sealed to");
    std::string body(1, 3);
    put_u64(body, key.fingerprint.key_id().value);
    body += static_cast<char>(algorithm_ecdh);
    put_mpi(body, "\x40" + std::string(view_of(x25519_public(ephemeral))));
    std::string wrapped =
        aes_key_wrap(key_encryption_key(key, *shared).view(), pad_session_key(session_key).view());
    body += static_cast<char>(wrapped.size());
    body += wrapped;
    std::string out;
    put_packet(out, tag::pkesk, body);
    return out;
}

Result<Pkesk> parse_pkesk(std::string_view body) {
    Pkesk out;
    Cursor cursor(body);
    auto version = cursor.u8();
    auto key_id = cursor.u64();
    auto algorithm = cursor.u8();
    if (!algorithm || *version != 3) return bad_openpgp("a session key packet is not of version 3");
    out.key_id = KeyId(*key_id);
    out.algorithm = *algorithm;
    auto malformed = [] { return bad_openpgp("a session key packet is malformed"); };
    if (*algorithm == 1 || *algorithm == 2 || *algorithm == 16) {
        for (int i = 0; i < (*algorithm == 16 ? 2 : 1); ++i)
            if (!cursor.mpi(rsa_limit)) return malformed();
        return cursor.empty() ? Result<Pkesk>(out) : malformed();
    }
    if (*algorithm != algorithm_ecdh) return bad_openpgp("a session key packet is of an unknown algorithm");
    auto point = cursor.mpi(133);  // NIST P-521, the largest curve
    auto size = cursor.u8();
    auto wrapped = size ? cursor.take(*size) : std::nullopt;
    if (!point || !wrapped || !cursor.empty() || wrapped->size() % 8 != 0 || wrapped->size() < 24 ||
        wrapped->size() > wrapped_limit)
        return malformed();
    if (point->size() != 33 || (*point)[0] != 0x40) return out;
    // X25519 ignores the top bit (RFC 7748 5), which nobody sets: a message must have one form.
    if (point->back() & 0x80) return malformed();
    std::ranges::copy(point->substr(1), reinterpret_cast<char*>(out.ephemeral.data()));
    out.wrapped = *wrapped;
    return out;
}

std::optional<SessionKey> open_pkesk(const Pkesk& pkesk, const SecretKey::Decryption& key) {
    if (pkesk.wrapped.empty()) return std::nullopt;
    auto shared = x25519_agree(key.scalar, pkesk.ephemeral);
    if (!shared) return std::nullopt;
    auto padded = aes_key_unwrap(key_encryption_key(key.key, *shared).view(), pkesk.wrapped);
    if (!padded) return std::nullopt;
    return unpad_session_key(padded->view());
}

}  // namespace fwmail::crypto
