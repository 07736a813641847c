// Reading certificates: RFC 4880 11.1. Only what the primary has signed counts; what is not signed, signed
// badly or of an unknown kind is passed over, so that certificates of the future can still be used.
#include "crypto/certificate.hpp"

#include <algorithm>
#include <vector>

#include "crypto/packet.hpp"

namespace fwmail::crypto {

namespace {

struct Component {
    const Packet* packet;
    std::vector<const Packet*> signatures;
};

std::vector<Component> group(const std::vector<Packet>& packets) {
    std::vector<Component> out;
    for (const auto& packet : packets) {
        if (packet.tag == tag::trust || packet.tag == tag::marker) continue;
        if (packet.tag == tag::signature) {
            if (!out.empty()) out.back().signatures.push_back(&packet);
        } else {
            out.push_back({&packet, {}});
        }
    }
    return out;
}

bool is_certification(std::uint8_t type) {
    return type >= signature_type::generic_certification && type <= signature_type::positive_certification;
}

class CertificateReader {
  public:
    Result<PublicKey> read(std::string_view octets);

  private:
    // The newest signature of the primary over `hash_of(id)` with a type that `wanted` takes.
    template <class HashOf, class Wanted>
    std::optional<Signature> newest(const Component& component, HashOf hash_of, Wanted wanted) const;
    void take_user_id(const Component& component);
    void take_subkey(const Component& component);
    void take_signing_subkey(const KeyPacket& subkey, const Signature& binding);
    Result<PublicKey> conclude();

    KeyPacket primary_;
    PublicKey out_;
    std::optional<Signature> self_;  // that of the User ID chosen
    struct Encryption {
        EncryptionKey key;
        std::uint32_t expires;
    };
    std::vector<Encryption> encryption_;
};

template <class HashOf, class Wanted>
std::optional<Signature> CertificateReader::newest(const Component& component, HashOf hash_of,
                                                   Wanted wanted) const {
    std::optional<Signature> found;
    for (const Packet* packet : component.signatures) {
        auto signature = parse_signature(packet->body);
        if (!signature || !wanted(signature->type) || !may_be_issued_by(*signature, primary_.key.fingerprint))
            continue;
        if (found && found->created >= signature->created) continue;
        if (holds(*signature, hash_of(signature->hash), primary_.key.point)) found = std::move(*signature);
    }
    return found;
}

void CertificateReader::take_user_id(const Component& component) {
    const std::string& user_id = component.packet->body;
    if (!good_user_id(user_id)) return;
    auto hash_of = [&](HashId id) { return certification_hash(id, primary_.body, user_id); };
    auto self = newest(component, hash_of, is_certification);
    auto revoked = newest(component, hash_of,
                          [](auto type) { return type == signature_type::certification_revocation; });
    if (!self || (revoked && revoked->created >= self->created)) return;
    if (self_ && (self_->primary_user_id || !self->primary_user_id)) return;
    out_.user_id = user_id;
    self_ = std::move(self);
}

void CertificateReader::take_subkey(const Component& component) {
    auto subkey = parse_key_packet(component.packet->body);
    if (!subkey || subkey->kind == KeyKind::other || subkey->length != component.packet->body.size()) return;
    auto hash_of = [&](HashId id) { return binding_hash(id, primary_.body, subkey->body); };
    auto binding =
        newest(component, hash_of, [](auto type) { return type == signature_type::subkey_binding; });
    auto revoked =
        newest(component, hash_of, [](auto type) { return type == signature_type::subkey_revocation; });
    if (!binding || revoked) return;
    if (subkey->kind == KeyKind::signing) return take_signing_subkey(*subkey, *binding);
    if (binding->flags.value_or(key_flag::encrypt) & key_flag::encrypt)
        encryption_.push_back({subkey->key, binding->key_expires});
}

void CertificateReader::take_signing_subkey(const KeyPacket& subkey, const Signature& binding) {
    if (!(binding.flags.value_or(0) & key_flag::sign)) return;
    auto back = parse_signature(binding.embedded);
    if (!back || back->type != signature_type::primary_binding) return;
    if (holds(*back, binding_hash(back->hash, primary_.body, subkey.body), subkey.key.point))
        out_.signing_subkeys.push_back(subkey.signing());
}

Result<PublicKey> CertificateReader::read(std::string_view octets) {
    if (octets.size() > certificate_limit) return bad_openpgp("the certificate is too large");
    auto packets = TRY(split_packets(octets, certificate_packet_limit));
    auto components = group(packets);
    if (components.empty() || components[0].packet->tag != tag::public_key)
        return bad_openpgp("this is not a public key");
    primary_ = TRY(parse_key_packet(components[0].packet->body));
    if (primary_.kind != KeyKind::signing || primary_.length != components[0].packet->body.size())
        return fail(ErrorKind::refused,
                    "the key's algorithm is not supported: make one with Ed25519 and Curve25519");
    auto own_hash = [&](HashId id) {
        Hash hash(id);
        hash_key(hash, primary_.body);
        return hash;
    };
    if (newest(components[0], own_hash, [](auto type) { return type == signature_type::key_revocation; }))
        return fail(ErrorKind::refused, "the key " + primary_.key.fingerprint.hex() + " is revoked");
    auto direct =
        newest(components[0], own_hash, [](auto type) { return type == signature_type::direct_key; });
    for (std::size_t i = 1; i < components.size(); ++i) {
        if (components[i].packet->tag == tag::public_key)
            return bad_openpgp("there is more than one key: give one");
        if (components[i].packet->tag == tag::user_id) take_user_id(components[i]);
        if (components[i].packet->tag == tag::public_subkey) take_subkey(components[i]);
    }
    if (self_ && direct && !self_->flags) self_->flags = direct->flags;
    if (self_ && direct && self_->key_expires == 0) self_->key_expires = direct->key_expires;
    out_.certificate = octets;
    return conclude();
}

Result<PublicKey> CertificateReader::conclude() {
    if (!self_) return fail(ErrorKind::refused, "the key has no User ID with a valid self-signature");
    if (encryption_.empty())
        return fail(ErrorKind::refused, "the key has no Curve25519 encryption subkey that is valid");
    out_.primary = primary_.signing();
    out_.fingerprint = out_.primary.fingerprint;
    out_.primary_signs = self_->flags.value_or(key_flag::sign) & key_flag::sign;
    std::ranges::sort(encryption_, std::greater{},
                      [](const auto& e) { return std::pair(e.key.created, e.key.fingerprint); });
    out_.encryption = encryption_[0].key;
    for (std::size_t i = 1; i < encryption_.size(); ++i) out_.old_encryption.push_back(encryption_[i].key);
    auto take_expiry = [&](std::uint64_t created, std::uint64_t seconds) {
        if (seconds == 0) return;
        UnixMillis end(static_cast<std::int64_t>((created + seconds) * 1000));
        out_.expires = std::min(out_.expires.value_or(end), end);
    };
    take_expiry(out_.primary.created, self_->key_expires);
    take_expiry(out_.encryption.created, encryption_[0].expires);
    return std::move(out_);
}

}  // namespace

Result<PublicKey> parse_certificate(std::string_view octets) { return CertificateReader().read(octets); }

}  // namespace fwmail::crypto
