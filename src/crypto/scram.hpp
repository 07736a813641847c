// Password verifiers: SCRAM-SHA-256 (RFC 5802, RFC 7677), and generated passwords. The exchange itself is the
// protocols' matter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/hash.hpp"

namespace fwmail::crypto {

inline constexpr std::uint32_t scram_iterations = 4096;  // enough for generated passwords (RFC 7677 4)
inline constexpr std::uint32_t scram_iterations_limit =
    1000000;  // a verifier read from elsewhere may not ask for more

struct ScramVerifier {
    std::string salt;  // 1 to 64 octets
    std::uint32_t iterations = 0;
    Digest stored_key{};
    Digest server_key{};

    bool operator==(const ScramVerifier&) const = default;
    // `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, base64 (the form PostgreSQL keeps).
    std::string text() const;
    static Result<ScramVerifier> from_text(std::string_view text);
};

// The password is taken as the octets given. Refused when it holds control characters or is empty: SASLprep
// (RFC 4013) would forbid it; other preparation is left out, since generated passwords are plain ASCII.
Result<ScramVerifier> make_verifier(const Secret& password, std::string_view salt,
                                    std::uint32_t iterations = scram_iterations);
// With a fresh salt of 16 octets.
Result<ScramVerifier> make_verifier(const Secret& password);
// For PLAIN and LOGIN. The time taken does not depend on where a mismatch is.
bool check_password(const ScramVerifier& verifier, const Secret& password);
// PBKDF2-HMAC-SHA-256: SCRAM's SaltedPassword, for the client side of an exchange. `iterations` >= 1.
Secret salted_password(const Secret& password, std::string_view salt, std::uint32_t iterations);

// 100 random bits, as five groups of four characters: `k7mq-2xhd-...`.
Secret generate_password();

}  // namespace fwmail::crypto
