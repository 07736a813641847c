#include "crypto/openpgp_key.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "crypto/certificate.hpp"
#include "crypto/key_packet.hpp"
#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"
#include "crypto/signature.hpp"

namespace fwmail::crypto {

KeyId Fingerprint::key_id() const {
    std::uint64_t value = 0;
    for (std::size_t i = 12; i < 20; ++i) value = value << 8 | bytes[i];
    return KeyId(value);
}

std::string Fingerprint::hex() const {
    std::string text = hex_encode(octets());
    for (char& c : text)
        if (c >= 'a') c = static_cast<char>(c - 32);
    return text;
}

std::string Fingerprint::grouped() const {
    std::string text = hex(), out;
    for (std::size_t i = 0; i < text.size(); i += 4) out += (i ? " " : "") + text.substr(i, 4);
    return out;
}

std::optional<Fingerprint> Fingerprint::from_hex(std::string_view text) {
    std::string digits(text.substr(0, 100));
    std::erase(digits, ' ');
    auto octets = hex_decode(digits);
    if (!octets || octets->size() != 20) return std::nullopt;
    Fingerprint out;
    std::ranges::copy(*octets, reinterpret_cast<char*>(out.bytes.data()));
    return out;
}

bool good_user_id(std::string_view user_id) {
    auto control = [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; };
    return !user_id.empty() && user_id.size() <= user_id_limit && std::ranges::none_of(user_id, control);
}

Result<std::uint32_t> openpgp_seconds(UnixMillis time) {
    std::int64_t seconds = time.value / 1000;
    if (seconds < 1 || seconds > 0xffffffffll)
        return fail(ErrorKind::internal, "a time is not one that OpenPGP can write");
    return static_cast<std::uint32_t>(seconds);
}

Hash certification_hash(HashId id, std::string_view primary_body, std::string_view user_id) {
    Hash hash(id);
    hash_key(hash, primary_body);
    hash_user_id(hash, user_id);
    return hash;
}

Hash binding_hash(HashId id, std::string_view primary_body, std::string_view subkey_body) {
    Hash hash(id);
    hash_key(hash, primary_body);
    hash_key(hash, subkey_body);
    return hash;
}

namespace {

// RFC 4880 5.2.3: what a certificate of ours says of itself. Features: MDC and no AEAD, since mail clients in
// use fail on AEAD; compression: none, since sealed mail has none.
std::string self_preferences() {
    std::string out = subpacket(27, std::string(1, key_flag::certify | key_flag::sign));
    out += subpacket(11, std::string("\x09\x08\x07"));
    out += subpacket(21, std::string("\x0a\x08"));
    out += subpacket(22, std::string(1, '\0'));
    out += subpacket(23, std::string("\x80"));
    out += subpacket(30, std::string("\x01"));
    return out;
}

SigningKey signing_key(std::uint32_t created, std::string_view seed) {
    SigningKey key;
    key.created = created;
    key.point = ed25519_public(seed);
    key.fingerprint = fingerprint_of(write_signing_key(created, key.point));
    return key;
}

Result<> check_seed(const Secret& seed) {
    if (seed.view().size() != 32) return fail(ErrorKind::internal, "a key seed is not 32 octets long");
    return {};
}

Secret random_seed() { return Secret(random_octets(32)); }

}  // namespace

Result<SecretKey> generate_key(std::string_view user_id, UnixMillis creation) {
    return key_from_seeds(user_id, creation, random_seed(), random_seed());
}

Result<SecretKey> key_from_seeds(std::string_view user_id, UnixMillis creation, const Secret& primary_seed,
                                 const Secret& encryption_seed) {
    TRY(check_seed(primary_seed));
    TRY(check_seed(encryption_seed));
    if (!good_user_id(user_id))
        return fail(ErrorKind::refused, "a User ID must be 1 to 1000 characters without control characters");
    std::uint32_t created = TRY(openpgp_seconds(creation));
    SigningKey primary = signing_key(created, primary_seed.view());
    Secret scalar = clamp_x25519(encryption_seed.view());
    EncryptionKey encryption;
    encryption.created = created;
    encryption.point = x25519_public(scalar);
    std::string primary_body = write_signing_key(created, primary.point);
    std::string subkey_body = write_encryption_key(encryption);
    Signer signer{primary, primary_seed.view()};

    std::string certificate;
    put_packet(certificate, tag::public_key, primary_body);
    put_packet(certificate, tag::user_id, user_id);
    put_packet(certificate, tag::signature,
               make_signature(signature_type::positive_certification,
                              certification_hash(HashId::sha512, primary_body, user_id), signer, created,
                              self_preferences()));
    put_packet(certificate, tag::public_subkey, subkey_body);
    put_packet(certificate, tag::signature,
               make_signature(signature_type::subkey_binding,
                              binding_hash(HashId::sha512, primary_body, subkey_body), signer, created,
                              subpacket(27, std::string(1, key_flag::encrypt))));
    // Reading it back fills in the fingerprints, and would catch a fault in the signatures just made.
    SecretKey key;
    key.public_key = TRY(parse_certificate(certificate));
    key.primary_seed = primary_seed;
    key.decryption.push_back({key.public_key.encryption, std::move(scalar)});
    return key;
}

Result<SecretKey> add_signing_subkey(const SecretKey& key, UnixMillis creation) {
    if (key.primary_seed.empty())
        return fail(ErrorKind::refused, "this key's primary is not here: it cannot certify");
    std::uint32_t created = TRY(openpgp_seconds(creation));
    Secret seed = random_seed();
    SigningKey subkey = signing_key(created, seed.view());
    const SigningKey& primary = key.public_key.primary;
    std::string primary_body = write_signing_key(primary.created, primary.point);
    std::string subkey_body = write_signing_key(created, subkey.point);
    Hash hash = binding_hash(HashId::sha512, primary_body, subkey_body);
    // RFC 4880 5.2.1, type 0x19: the subkey agrees to be bound.
    std::string back = make_signature(signature_type::primary_binding, hash, {subkey, seed.view()}, created);
    std::string more = subpacket(27, std::string(1, key_flag::sign)) + subpacket(32, back);

    std::string certificate = key.public_key.certificate;
    put_packet(certificate, tag::public_subkey, subkey_body);
    put_packet(certificate, tag::signature,
               make_signature(signature_type::subkey_binding, hash, {primary, key.primary_seed.view()},
                              created, more));
    SecretKey out = key;
    out.public_key = TRY(parse_certificate(certificate));
    out.signing = SecretKey::Signing{subkey.fingerprint, std::move(seed)};
    return out;
}

SecretKey without_primary(const SecretKey& key) {
    SecretKey out = key;
    out.primary_seed = Secret();
    return out;
}

std::string write_certificate(const PublicKey& key) { return key.certificate; }

Result<std::string> write_compact_key(const PublicKey& key) {
    EncryptionKey usual;
    const EncryptionKey& encryption = key.encryption;
    if (key.primary.created != encryption.created || encryption.kdf_hash != usual.kdf_hash ||
        encryption.kdf_cipher != usual.kdf_cipher)
        return fail(ErrorKind::refused, "a key that fwmail did not make has no compact form");
    std::string out;
    put_u32(out, key.primary.created);
    out += view_of(key.primary.point);
    out += view_of(encryption.point);
    return out;
}

Result<PublicKey> parse_compact_key(std::string_view octets, std::string_view user_id) {
    if (octets.size() != compact_key_size)
        return fail(ErrorKind::protocol, "a compact key is not 68 octets long");
    if (!good_user_id(user_id))
        return fail(ErrorKind::protocol, "a compact key's User ID is empty, too long or not text");
    PublicKey key;
    key.primary.created = key.encryption.created = *Cursor(octets).u32();
    std::ranges::copy(octets.substr(4, 32), reinterpret_cast<char*>(key.primary.point.data()));
    std::ranges::copy(octets.substr(36, 32), reinterpret_cast<char*>(key.encryption.point.data()));
    if (x25519_small_order(key.encryption.point))
        return fail(ErrorKind::protocol, "a compact key is of small order");
    key.primary.fingerprint = fingerprint_of(write_signing_key(key.primary.created, key.primary.point));
    key.encryption.fingerprint = fingerprint_of(write_encryption_key(key.encryption));
    key.fingerprint = key.primary.fingerprint;
    key.user_id = user_id;
    return key;
}

}  // namespace fwmail::crypto
