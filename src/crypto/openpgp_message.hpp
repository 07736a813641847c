// Sealing and opening mail: OpenPGP messages (RFC 4880 11.3) of the form PKESK v3 per recipient, then one
// SEIPD v1 (AES-256 CFB with MDC) holding [one-pass signature] literal [signature].
//
// Sealing is reproducible: all keys derive from a seed, and the plain size is known first, so that every
// packet has a definite length and the octets depend on nothing but the inputs. A seed belongs to one plain
// text: sealing two different ones of equal size under one seed would show where they begin to differ.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/armor.hpp"
#include "crypto/openpgp_key.hpp"

namespace fwmail::crypto {

inline constexpr std::size_t seed_size = 32;

struct SealOptions {
    Secret seed;                        // seed_size octets, from fill_random once a message
    UnixMillis date{};                  // of the literal packet and the signature; whole seconds count
    const SecretKey* signer = nullptr;  // must live until start() has returned
    std::uint64_t plain_size = 0;       // exactly what will be fed; below 4 GiB less 1 KiB
};

class Sealer {
  public:
    // 1 to 16 recipients. Fails on a key that cannot be sealed to, or options out of range; then nothing was
    // written.
    static Result<Sealer> start(std::span<const PublicKey> recipients, const SealOptions& options, Sink sink);
    Sealer(Sealer&&) noexcept;
    Sealer& operator=(Sealer&&) noexcept;
    ~Sealer();

    // More than plain_size octets is an internal error.
    Result<> feed(std::string_view plain);
    // Fewer than plain_size octets is an internal error.
    Result<> finish();

  private:
    struct State;
    explicit Sealer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// The whole message at once; options.plain_size is set from `plain`.
Result<std::string> seal(std::string_view plain, std::span<const PublicKey> recipients, SealOptions options);
// The exact size of what the Sealer writes, before armour.
std::uint64_t sealed_size(std::uint64_t plain_size, std::size_t recipients, bool is_signed);

enum class SignatureStatus {
    none,     // not signed
    valid,    // by a certificate that was given
    unknown,  // by a key that none of the given certificates has, or of an algorithm that we do not read
    invalid,  // it names a key of a given certificate, and does not hold
};

struct Opened {
    std::string plain;  // only from open()
    SignatureStatus signature = SignatureStatus::none;
    std::optional<Fingerprint> valid_signer;  // the certificate's (primary) fingerprint
    UnixMillis signed_at{};                   // of the valid signature
    Fingerprint opened_with;                  // the decryption subkey
    std::uint64_t plain_size = 0;
};

struct OpenOptions {
    std::uint64_t max_plain = 256ull << 20;  // more is a protocol error; bounds decompression as well
};

// Opens one binary message of this profile, or of gpg, sq and rnp: partial lengths, old headers, ZIP and ZLIB
// compression. What comes through the sink is NOT yet authentic: keep it aside until finish() has succeeded,
// which is when the MDC (and the signature, see Opened) has been checked; on an error throw it away.
class Opener {
  public:
    // Keys and certificates must outlive the Opener.
    Opener(std::span<const SecretKey> keys, std::span<const PublicKey> signers, Sink sink,
           OpenOptions options = {});
    Opener(Opener&&) noexcept;
    Opener& operator=(Opener&&) noexcept;
    ~Opener();

    // `refused` when no key opens it; `protocol` for everything that is wrong with the octets.
    Result<> feed(std::string_view octets);
    Result<Opened> finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// A whole binary message. Nothing of it is returned unless the MDC holds.
Result<Opened> open(std::string_view octets, std::span<const SecretKey> keys,
                    std::span<const PublicKey> signers = {}, OpenOptions options = {});

struct CheckOptions {
    bool allow_partial = false;  // SEIPD of partial lengths, as gpg writes from a pipe
};

// Packet-level proof, without any key, that octets are a sealed message: one or more well-formed PKESK v3,
// each to one of the allowed key ids, then one SEIPD v1 that ends the stream. Nothing else, no wildcard key
// id, no compressed, literal or marker packet, nothing after it.
class SealedChecker {
  public:
    explicit SealedChecker(std::vector<KeyId> allowed, CheckOptions options = {});
    SealedChecker(SealedChecker&&) noexcept;
    SealedChecker& operator=(SealedChecker&&) noexcept;
    ~SealedChecker();

    Result<> feed(std::string_view octets);
    // The key ids that it is sealed to, in order.
    Result<std::vector<KeyId>> finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

Result<std::vector<KeyId>> check_sealed(std::string_view octets, std::vector<KeyId> allowed,
                                        CheckOptions options = {});

}  // namespace fwmail::crypto
