// SHA-256, HMAC and HKDF.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.hpp"

namespace fwmail::crypto {

using Digest = std::array<std::uint8_t, 32>;

inline std::string_view view_of(const Digest& digest) {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Incremental SHA-256 (FIPS 180-4). A copy continues from the same state.
class Sha256 {
  public:
    Sha256();
    Sha256(const Sha256& other);
    Sha256& operator=(const Sha256& other);
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();

    void update(std::string_view octets);
    // The digest of all that was given; the object then begins anew.
    Digest finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

Digest sha256(std::string_view octets);
Digest hmac_sha256(std::string_view key, std::string_view octets);
// RFC 5869, extract and expand. `length` is at most 255 * 32 octets.
Secret hkdf_sha256(std::string_view key, std::string_view info, std::size_t length,
                   std::string_view salt = {});

}  // namespace fwmail::crypto
