// Transferable secret keys (RFC 4880 11.2), with and without a passphrase (RFC 4880 5.5.3, 3.7).
#include <algorithm>

#include "base/random.hpp"
#include "crypto/certificate.hpp"
#include "crypto/key_packet.hpp"
#include "crypto/openpgp_key.hpp"
#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"

namespace fwmail::crypto {

namespace {

constexpr std::uint8_t usage_plain = 0, usage_sha1 = 254;
constexpr std::uint8_t s2k_simple = 0, s2k_salted = 1, s2k_iterated = 3, s2k_gnu = 101;
constexpr std::uint8_t cipher_aes256 = 9;
constexpr std::uint8_t coded_count = 0xff;  // 65,011,712 octets hashed, the most that can be said
// Each secret packet may cost that much hashing: a hostile key must not keep the machine busy.
constexpr int secret_packet_limit = 8;

struct S2k {
    HashId hash = HashId::sha256;
    std::string salt;         // 8 octets, or none
    std::uint64_t count = 0;  // octets to hash; 0 = salt and passphrase once
};

std::uint64_t decoded_count(std::uint8_t coded) { return (16ull + (coded & 15)) << ((coded >> 4) + 6); }

// RFC 4880 3.7.1.3. Keys longer than a digest come from further hashes, each begun with one more zero octet.
Secret derive(const S2k& s2k, std::string_view passphrase, std::size_t size) {
    std::string input = s2k.salt + std::string(passphrase);
    std::string block;  // many repetitions at once, since hashing a few octets at a time is slow
    block.reserve(input.size() + 8192);
    while (!input.empty() && block.size() < 8192) block += input;
    std::uint64_t count = std::max<std::uint64_t>(s2k.count, input.size());
    std::string key;
    key.reserve(size + 64);
    for (std::size_t zeros = 0; key.size() < size; ++zeros) {
        Hash hash(s2k.hash);
        hash.update(std::string(zeros, '\0'));
        for (std::uint64_t left = count; left > 0;) {
            std::size_t piece = std::min<std::uint64_t>(left, block.size());
            hash.update(std::string_view(block).substr(0, piece));
            left -= piece;
        }
        key += hash.finish();
    }
    wipe(input);
    wipe(block);
    key.resize(size);
    return Secret(std::move(key));
}

// The secret number as its MPI.
Secret secret_mpi(KeyKind kind, const Secret& octets) {
    std::string number(octets.view()), out;
    // RFC 6637 counts Curve25519 scalars big-endian.
    if (kind == KeyKind::encryption) std::ranges::reverse(number);
    out.reserve(64);
    put_mpi(out, number);
    wipe(number);
    return Secret(std::move(out));
}

// What follows the public part in a secret key packet.
std::string secret_part(KeyKind kind, const Secret& octets, const std::optional<Secret>& passphrase) {
    // GnuPG's mark of a secret that is elsewhere ("gnu-dummy").
    if (octets.empty()) return std::string("\xfe\x00\x65\x00GNU\x01", 8);
    Secret mpi = secret_mpi(kind, octets);
    std::string out;
    out.reserve(128);
    if (!passphrase) {
        std::uint32_t sum = 0;
        for (unsigned char c : mpi.view()) sum += c;
        out += static_cast<char>(usage_plain);
        out += mpi.view();
        put_u16(out, sum & 0xffff);
        return out;
    }
    S2k s2k{HashId::sha256, random_octets(8), decoded_count(coded_count)};
    std::string iv = random_octets(16);
    out += {static_cast<char>(usage_sha1), cipher_aes256, s2k_iterated, static_cast<char>(s2k.hash)};
    out += s2k.salt;
    out += static_cast<char>(coded_count);
    out += iv;
    Hash check(HashId::sha1);
    check.update(mpi.view());
    std::string sealed(mpi.view());
    sealed += check.finish();
    CfbStream(CfbStream::Direction::encrypt, derive(s2k, passphrase->view(), 32).view(), iv)
        .process(sealed.data(), sealed.size());
    return out + sealed;
}

std::optional<Secret> read_secret_mpi(KeyKind kind, Cursor& cursor) {
    auto number = cursor.mpi(32);
    if (!number) return std::nullopt;
    std::string out(32, '\0');
    std::ranges::copy(*number, out.begin() + static_cast<std::ptrdiff_t>(32 - number->size()));
    if (kind == KeyKind::encryption) std::ranges::reverse(out);
    return Secret(std::move(out));
}

// The rest of a packet after usage 254; an empty secret for GNU's dummies.
Result<Secret> open_protected(KeyKind kind, Cursor cursor, const std::optional<Secret>& passphrase) {
    auto cipher = cursor.u8(), specifier = cursor.u8(), hash = cursor.u8();
    if (!hash) return bad_openpgp("a secret key is cut off");
    if (*specifier == s2k_gnu && cursor.rest().starts_with("GNU")) return Secret();
    auto key_size = aes_key_size(*cipher);
    auto id = hash_from_number(*hash);
    bool known = *specifier == s2k_simple || *specifier == s2k_salted || *specifier == s2k_iterated;
    if (!key_size || !id || !known)
        return fail(ErrorKind::refused, "the secret key is protected in a way that is not supported");
    S2k s2k{*id, {}, 0};
    if (*specifier != s2k_simple) s2k.salt = cursor.take(8).value_or("");
    if (*specifier == s2k_iterated) s2k.count = decoded_count(cursor.u8().value_or(0));
    auto iv = cursor.take(16);
    if (!iv || cursor.rest().size() < 22) return bad_openpgp("a secret key is cut off");
    if (!passphrase) return fail(ErrorKind::refused, "the secret key has a passphrase: give it");
    std::string plain(cursor.rest());
    CfbStream(CfbStream::Direction::decrypt, derive(s2k, passphrase->view(), *key_size).view(), *iv)
        .process(plain.data(), plain.size());
    Secret guard(std::move(plain));
    std::string_view data = guard.view().substr(0, guard.view().size() - 20);
    Hash check(HashId::sha1);
    check.update(data);
    Cursor inside(data);
    auto secret = read_secret_mpi(kind, inside);
    if (!equal_constant_time(check.finish(), guard.view().substr(data.size())) || !secret || !inside.empty())
        return fail(ErrorKind::refused, "the passphrase is wrong, or the secret key is damaged");
    return std::move(*secret);
}

Result<Secret> open_secret_part(KeyKind kind, std::string_view octets,
                                const std::optional<Secret>& passphrase) {
    Cursor cursor(octets);
    auto usage = cursor.u8();
    if (!usage) return bad_openpgp("a secret key is cut off");
    if (*usage == usage_sha1) return open_protected(kind, cursor, passphrase);
    // GnuPG writes its dummies with 255 as well.
    if (*usage == 255 && cursor.rest().size() == 7 && cursor.rest().substr(3, 3) == "GNU") return Secret();
    if (*usage != usage_plain)
        return fail(ErrorKind::refused, "the secret key is protected in an old way that is not supported");
    std::string_view all = cursor.rest();
    auto secret = read_secret_mpi(kind, cursor);
    if (!secret) return bad_openpgp("a secret key is malformed");
    std::uint32_t sum = 0;
    for (unsigned char c : all.substr(0, all.size() - cursor.rest().size())) sum += c;
    auto check = cursor.u16();
    if (!check || *check != (sum & 0xffff) || !cursor.empty()) return bad_openpgp("a secret key is damaged");
    return std::move(*secret);
}

struct SecretPart {
    KeyPacket key;
    Secret secret;
};

bool fits(const SecretPart& part) {
    if (part.secret.empty()) return true;
    return part.key.kind == KeyKind::signing ? ed25519_public(part.secret.view()) == part.key.key.point
                                             : x25519_public(part.secret) == part.key.key.point;
}

struct Unpacked {
    std::string certificate;
    std::vector<SecretPart> parts;
};

// Takes the secret parts out, which leaves the certificate. Keys of other algorithms go with their
// signatures.
Result<Unpacked> unpack(std::vector<Packet>& packets, const std::optional<Secret>& passphrase) {
    Unpacked out;
    bool skipping = false;
    for (auto& packet : packets) {
        bool primary = packet.tag == tag::secret_key;
        if (!primary && packet.tag != tag::secret_subkey) {
            if (packet.tag != tag::signature) skipping = false;
            if (!skipping) put_packet(out.certificate, packet.tag, packet.body);
            continue;
        }
        auto key = TRY(parse_key_packet(packet.body));
        skipping = key.kind == KeyKind::other;
        if (skipping && primary)
            return fail(ErrorKind::refused,
                        "the key's algorithm is not supported: make one with Ed25519 and Curve25519");
        if (skipping) continue;
        if (out.parts.size() == secret_packet_limit) return bad_openpgp("a secret key has too many subkeys");
        put_packet(out.certificate, primary ? tag::public_key : tag::public_subkey, key.body);
        auto secret =
            TRY(open_secret_part(key.kind, std::string_view(packet.body).substr(key.length), passphrase));
        out.parts.push_back({std::move(key), std::move(secret)});
        if (!fits(out.parts.back())) return bad_openpgp("a secret key does not belong to its public half");
    }
    return out;
}

}  // namespace

Result<Secret> write_secret_key(const SecretKey& key, const std::optional<Secret>& passphrase) {
    auto packets = TRY(split_packets(key.public_key.certificate, certificate_packet_limit));
    std::string out;
    out.reserve(key.public_key.certificate.size() + packets.size() * 160);  // so that no copy is left behind
    for (const auto& packet : packets) {
        bool primary = packet.tag == tag::public_key;
        if (!primary && packet.tag != tag::public_subkey) {
            put_packet(out, packet.tag, packet.body);
            continue;
        }
        auto parsed = TRY(parse_key_packet(packet.body));
        Secret secret;
        if (primary) secret = key.primary_seed;
        if (key.signing && key.signing->fingerprint == parsed.key.fingerprint) secret = key.signing->seed;
        for (const auto& decryption : key.decryption)
            if (decryption.key.fingerprint == parsed.key.fingerprint) secret = decryption.scalar;
        std::string body = packet.body + secret_part(parsed.kind, secret, passphrase);
        put_packet(out, primary ? tag::secret_key : tag::secret_subkey, body);
        wipe(body);
    }
    return Secret(std::move(out));
}

Result<SecretKey> parse_secret_key(std::string_view octets, const std::optional<Secret>& passphrase) {
    if (octets.size() > certificate_limit) return bad_openpgp("the secret key is too large");
    auto packets = TRY(split_packets(octets, certificate_packet_limit));
    if (packets.empty() || packets[0].tag != tag::secret_key) return bad_openpgp("this is not a secret key");
    auto unpacked = unpack(packets, passphrase);
    for (auto& packet : packets) wipe(packet.body);
    if (!unpacked) return fail(std::move(unpacked).error());
    SecretKey out;
    out.public_key = TRY(parse_certificate(unpacked->certificate));
    for (auto& part : unpacked->parts) {
        const auto& fingerprint = part.key.key.fingerprint;
        if (part.secret.empty()) continue;
        if (part.key.kind == KeyKind::encryption)
            out.decryption.push_back({part.key.key, std::move(part.secret)});
        else if (fingerprint == out.public_key.fingerprint)
            out.primary_seed = std::move(part.secret);
        else if (std::ranges::count(out.public_key.signing_subkeys, fingerprint, &SigningKey::fingerprint) >
                 0)
            out.signing = SecretKey::Signing{fingerprint, std::move(part.secret)};
    }
    auto current = std::ranges::find(out.decryption, out.public_key.encryption, &SecretKey::Decryption::key);
    if (current != out.decryption.end()) std::iter_swap(out.decryption.begin(), current);
    return out;
}

}  // namespace fwmail::crypto
