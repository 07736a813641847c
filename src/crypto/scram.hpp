// Password verifiers: SCRAM-SHA-256 (RFC 5802, RFC 7677), and generated passwords. The exchange itself stands
// in sasl/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/hash.hpp"

namespace fwmail::crypto {

inline constexpr std::size_t scram_salt_octets = 16;     // of those made here
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

// The password is taken as the octets given: SASLprep (mime/saslprep.hpp) is the caller's. Refused when it
// holds control characters or is empty.
Result<ScramVerifier> make_verifier(const Secret& password, std::string_view salt,
                                    std::uint32_t iterations = scram_iterations);
// With a fresh salt.
Result<ScramVerifier> make_verifier(const Secret& password);
// For PLAIN and LOGIN. The time taken does not depend on where a mismatch is.
bool check_password(const ScramVerifier& verifier, const Secret& password);
// Likewise, of several: each salt costs one derivation, and all are looked at.
bool check_password(const std::vector<ScramVerifier>& verifiers, const Secret& password);

// SCRAM's arithmetic (RFC 5802 3); `auth_message` is its AuthMessage.
bool proof_fits(const ScramVerifier& verifier, std::string_view proof, std::string_view auth_message);
std::string server_signature(const ScramVerifier& verifier, std::string_view auth_message);
struct ClientKeys {
    std::string proof, server_signature;
};
// Takes milliseconds for some thousand iterations. `iterations` >= 1.
ClientKeys client_keys(const Secret& password, std::string_view salt, std::uint32_t iterations,
                       std::string_view auth_message);

// 100 random bits, as five groups of four characters: `k7mq-2xhd-...`.
Secret generate_password();

}  // namespace fwmail::crypto
