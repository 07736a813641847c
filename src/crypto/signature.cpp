#include "crypto/signature.hpp"

#include <algorithm>

#include "crypto/packet.hpp"

namespace fwmail::crypto {

namespace {

// RFC 4880 5.2.3.1
namespace subpacket_type {
constexpr std::uint8_t created = 2, expires = 3, key_expires = 9, issuer = 16, primary_user_id = 25,
                       key_flags = 27, embedded = 32, issuer_fingerprint = 33;
}

// Those that may be marked critical without our not knowing what they mean for us: preferences and hints.
bool harmless(std::uint8_t type) {
    return type == 4 || type == 11 || (type >= 21 && type <= 24) || type == 26 || type == 28 || type == 29 ||
           type == 30 || type == 34 || type == 35;
}

bool read_fingerprint(std::string_view body, Signature& signature) {
    if (body.size() != 21 || body[0] != 4) return false;
    Fingerprint fingerprint;
    std::ranges::copy(body.substr(1), reinterpret_cast<char*>(fingerprint.bytes.data()));
    signature.issuer = fingerprint;
    return true;
}

// False when the signature must not be relied on. Only hashed subpackets may change what it means.
bool take_subpacket(std::uint8_t type, bool critical, std::string_view body, bool hashed,
                    Signature& signature) {
    Cursor cursor(body);
    if (type == subpacket_type::issuer) {
        auto id = cursor.u64();
        if (!id || !cursor.empty()) return false;
        signature.issuer_id = KeyId(*id);
        return true;
    }
    if (type == subpacket_type::issuer_fingerprint) return read_fingerprint(body, signature) || !critical;
    if (type == subpacket_type::embedded) {
        signature.embedded = body;  // proves itself
        return true;
    }
    if (!hashed) return true;
    switch (type) {
        case subpacket_type::created:
        case subpacket_type::key_expires: {
            auto value = cursor.u32();
            if (!value || !cursor.empty()) return false;
            (type == subpacket_type::created ? signature.created : signature.key_expires) = *value;
            return true;
        }
        case subpacket_type::expires: {
            // A signature that expires would need the time to judge it; nobody issues them for mail.
            auto value = cursor.u32();
            return value && *value == 0;
        }
        case subpacket_type::primary_user_id:
            signature.primary_user_id = body == std::string_view("\1", 1);
            return true;
        case subpacket_type::key_flags:
            signature.flags = body.empty() ? 0 : static_cast<std::uint8_t>(body[0]);
            return true;
        default:
            return !critical || harmless(type);
    }
}

bool take_area(std::string_view area, bool hashed, Signature& signature) {
    Cursor cursor(area);
    while (!cursor.empty()) {
        std::uint32_t length = *cursor.u8();
        if (length == 255) {
            length = cursor.u32().value_or(0);
        } else if (length >= 192) {
            auto second = cursor.u8();
            if (!second) return false;
            length = (length - 192) * 256 + *second + 192;
        }
        auto octets = cursor.take(length);
        if (!octets || octets->empty()) return false;
        auto first = static_cast<std::uint8_t>((*octets)[0]);
        if (!take_subpacket(first & 0x7f, first & 0x80, octets->substr(1), hashed, signature)) return false;
    }
    return true;
}

std::optional<std::string> read_scalar(Cursor& cursor) {
    auto number = cursor.mpi(32);
    if (!number) return std::nullopt;
    return std::string(32 - number->size(), '\0') + std::string(*number);
}

std::string trailer(std::string_view hashed) {
    std::string out("\x04\xff", 2);
    put_u32(out, static_cast<std::uint32_t>(hashed.size()));
    return out;
}

}  // namespace

Result<Signature> parse_signature(std::string_view body) {
    Signature signature;
    Cursor cursor(body);
    auto version = cursor.u8(), type = cursor.u8(), algorithm = cursor.u8(), hash = cursor.u8();
    if (!hash || *version != 4 || *algorithm != algorithm_eddsa)
        return bad_openpgp("a signature is not of version 4 and Ed25519");
    auto id = hash_from_number(*hash);
    if (!id || *id == HashId::sha1) return bad_openpgp("a signature is over a hash that is not good enough");
    signature.type = *type;
    signature.hash = *id;
    auto count = cursor.u16();
    auto area = count ? cursor.take(*count) : std::nullopt;
    if (!area) return bad_openpgp("a signature is cut off");
    signature.hashed = body.substr(0, 6 + area->size());
    auto other_count = cursor.u16();
    auto other = other_count ? cursor.take(*other_count) : std::nullopt;
    auto left = cursor.take(2);
    auto r = read_scalar(cursor), s = read_scalar(cursor);
    if (!other || !left || !r || !s || !cursor.empty()) return bad_openpgp("a signature is malformed");
    // The hashed area last, so that an issuer named there wins.
    if (!take_area(*other, false, signature) || !take_area(*area, true, signature) || signature.created == 0)
        return bad_openpgp("a signature has subpackets that it may not have, or no creation time");
    signature.left = *left;
    signature.value = *r + *s;
    return signature;
}

bool may_be_issued_by(const Signature& signature, const Fingerprint& key) {
    if (signature.issuer) return *signature.issuer == key;
    return signature.issuer_id == KeyId(0) || signature.issuer_id == key.key_id();
}

bool holds(const Signature& signature, Hash data, const Point& point) {
    if (data.id() != signature.hash) return false;
    data.update(signature.hashed);
    data.update(trailer(signature.hashed));
    std::string digest = data.finish();
    return digest.starts_with(signature.left) && ed25519_verify(point, digest, signature.value);
}

std::string subpacket(std::uint8_t type, std::string_view body) {
    // One octet of length is enough: the longest here is a notation of less than 192.
    std::string out(1, static_cast<char>(body.size() + 1));
    out += static_cast<char>(type);
    out += body;
    return out;
}

std::string make_signature(std::uint8_t type, Hash data, const Signer& signer, std::uint32_t created,
                           std::string_view more) {
    std::string time, key_id;
    put_u32(time, created);
    put_u64(key_id, signer.key.fingerprint.key_id().value);
    std::string area =
        subpacket(subpacket_type::created, time) +
        subpacket(subpacket_type::issuer_fingerprint, "\x04" + std::string(signer.key.fingerprint.octets()));
    area += more;
    std::string body{4, static_cast<char>(type), static_cast<char>(algorithm_eddsa),
                     static_cast<char>(data.id())};
    put_u16(body, static_cast<std::uint32_t>(area.size()));
    body += area;
    data.update(body);
    data.update(trailer(body));
    std::string digest = data.finish();
    // GnuPG before 2.2 and some clients still look for the key id, outside the hashed area.
    std::string other = subpacket(subpacket_type::issuer, key_id);
    put_u16(body, static_cast<std::uint32_t>(other.size()));
    body += other;
    body += digest.substr(0, 2);
    auto value = ed25519_sign(signer.seed, signer.key.point, digest);
    std::string_view octets(reinterpret_cast<const char*>(value.data()), value.size());
    put_mpi(body, octets.substr(0, 32));
    put_mpi(body, octets.substr(32));
    return body;
}

void hash_key(Hash& hash, std::string_view key_body) {
    std::string head("\x99");
    put_u16(head, static_cast<std::uint32_t>(key_body.size()));
    hash.update(head);
    hash.update(key_body);
}

void hash_user_id(Hash& hash, std::string_view user_id) {
    std::string head("\xb4");
    put_u32(head, static_cast<std::uint32_t>(user_id.size()));
    hash.update(head);
    hash.update(user_id);
}

}  // namespace fwmail::crypto
