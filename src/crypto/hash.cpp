#include "crypto/hash.hpp"

#include <cryptopp/hkdf.h>
#include <cryptopp/hmac.h>
#include <cryptopp/sha.h>

#include "crypto/octets.hpp"

namespace fwmail::crypto {

struct Sha256::State {
    CryptoPP::SHA256 hash;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(const Sha256& other) : state_(std::make_unique<State>(*other.state_)) {}
Sha256& Sha256::operator=(const Sha256& other) {
    if (this != &other) state_ = std::make_unique<State>(*other.state_);
    return *this;
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::string_view octets) { state_->hash.Update(bytes(octets), octets.size()); }

Digest Sha256::finish() {
    Digest digest;
    state_->hash.Final(digest.data());
    return digest;
}

Digest sha256(std::string_view octets) {
    Digest digest;
    CryptoPP::SHA256().CalculateDigest(digest.data(), bytes(octets), octets.size());
    return digest;
}

Digest hmac_sha256(std::string_view key, std::string_view octets) {
    Digest digest;
    CryptoPP::HMAC<CryptoPP::SHA256>(bytes(key), key.size())
        .CalculateDigest(digest.data(), bytes(octets), octets.size());
    return digest;
}

Secret hkdf_sha256(std::string_view key, std::string_view info, std::size_t length, std::string_view salt) {
    std::string out(length, '\0');
    if (length > 0)
        CryptoPP::HKDF<CryptoPP::SHA256>().DeriveKey(bytes(out), length, bytes(key), key.size(), bytes(salt),
                                                     salt.size(), bytes(info), info.size());
    return Secret(std::move(out));
}

}  // namespace fwmail::crypto
