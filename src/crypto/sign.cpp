#include "crypto/sign.hpp"

#include "crypto/certificate.hpp"
#include "crypto/packet.hpp"
#include "crypto/signing.hpp"

namespace fwmail::crypto {

Result<Signer> signer_of(const SecretKey& key) {
    if (key.signing) {
        for (const auto& subkey : key.public_key.signing_subkeys)
            if (subkey.fingerprint == key.signing->fingerprint)
                return Signer{subkey, key.signing->seed.view()};
    }
    if (key.primary_seed.empty() || !key.public_key.primary_signs)
        return fail(ErrorKind::refused,
                    "the key " + key.public_key.fingerprint.hex() + " has no secret half that signs");
    return Signer{key.public_key.primary, key.primary_seed.view()};
}

const SigningKey* issuer_among(const Signature& signature, const PublicKey& signer) {
    if (signer.primary_signs && may_be_issued_by(signature, signer.primary.fingerprint))
        return &signer.primary;
    for (const auto& subkey : signer.signing_subkeys)
        if (may_be_issued_by(signature, subkey.fingerprint)) return &subkey;
    return nullptr;
}

Result<std::string> sign_detached(std::string_view octets, const SecretKey& key, UnixMillis time) {
    auto signer = TRY(signer_of(key));
    std::uint32_t created = TRY(openpgp_seconds(time));
    Hash hash(HashId::sha256);
    hash.update(octets);
    std::string out;
    put_packet(out, tag::signature, make_signature(signature_type::binary, std::move(hash), signer, created));
    return out;
}

Result<Verified> verify_detached(std::string_view octets, std::string_view signature,
                                 const PublicKey& signer) {
    auto refuse = [](std::string text) { return fail(ErrorKind::refused, std::move(text)); };
    if (signature.size() > signature_limit) return refuse("the signature is too large");
    auto packets = split_packets(signature, 1);
    if (!packets || packets->size() != 1 || (*packets)[0].tag != tag::signature)
        return refuse("this is not one OpenPGP signature");
    auto parsed = parse_signature((*packets)[0].body);
    if (!parsed || parsed->type != signature_type::binary)
        return refuse("the signature is of a kind that is not supported");
    const SigningKey* key = issuer_among(*parsed, signer);
    if (!key) return refuse("the signature is by another key than " + signer.fingerprint.hex());
    Hash hash(parsed->hash);
    hash.update(octets);
    if (!holds(*parsed, std::move(hash), key->point)) return refuse("the signature does not hold");
    return Verified{signer.fingerprint, key->fingerprint, UnixMillis(std::int64_t{parsed->created} * 1000)};
}

}  // namespace fwmail::crypto
