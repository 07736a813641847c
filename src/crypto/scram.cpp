#include "crypto/scram.hpp"

#include <cryptopp/pwdbased.h>
#include <cryptopp/sha.h>

#include <algorithm>
#include <charconv>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "crypto/octets.hpp"

namespace fwmail::crypto {

static Secret salted_password(const Secret& password, std::string_view salt, std::uint32_t iterations) {
    std::string out(32, '\0');
    CryptoPP::PKCS5_PBKDF2_HMAC<CryptoPP::SHA256>().DeriveKey(bytes(out), out.size(), 0,
                                                              bytes(password.view()), password.view().size(),
                                                              bytes(salt), salt.size(), iterations);
    return Secret(std::move(out));
}

Result<ScramVerifier> make_verifier(const Secret& password, std::string_view salt, std::uint32_t iterations) {
    auto control = [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; };
    if (password.empty() || std::ranges::any_of(password.view(), control))
        return fail(ErrorKind::refused, "a password must not be empty or hold control characters");
    if (salt.empty() || salt.size() > 64) return fail(ErrorKind::internal, "a SCRAM salt is 1 to 64 octets");
    if (iterations == 0 || iterations > scram_iterations_limit)
        return fail(ErrorKind::internal, "the SCRAM iteration count is out of range");
    // RFC 5802 3
    Secret salted = salted_password(password, salt, iterations);
    Digest client_key = hmac_sha256(salted.view(), "Client Key");
    ScramVerifier verifier{std::string(salt), iterations, sha256(view_of(client_key)),
                           hmac_sha256(salted.view(), "Server Key")};
    explicit_bzero(client_key.data(), client_key.size());
    return verifier;
}

Result<ScramVerifier> make_verifier(const Secret& password) {
    return make_verifier(password, random_octets(scram_salt_octets));
}

bool check_password(const ScramVerifier& verifier, const Secret& password) {
    return check_password(std::vector{verifier}, password);
}

bool check_password(const std::vector<ScramVerifier>& verifiers, const Secret& password) {
    bool good = false;
    std::vector<ScramVerifier> made;  // one for each salt
    for (const auto& verifier : verifiers) {
        auto same = [&](const ScramVerifier& m) {
            return m.salt == verifier.salt && m.iterations == verifier.iterations;
        };
        auto it = std::ranges::find_if(made, same);
        if (it == made.end()) {
            auto one = make_verifier(password, verifier.salt, verifier.iterations);
            if (!one) return false;
            it = made.insert(made.end(), std::move(*one));
        }
        good |= equal_constant_time(view_of(it->stored_key), view_of(verifier.stored_key));
    }
    return good;
}

// ClientProof = ClientKey XOR ClientSignature, and either way round.
static std::string with_signature(std::string_view key, const Digest& stored_key,
                                  std::string_view auth_message) {
    Digest signature = hmac_sha256(view_of(stored_key), auth_message);
    std::string out(key);
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<char>(static_cast<std::uint8_t>(out[i]) ^ signature[i]);
    return out;
}

bool proof_fits(const ScramVerifier& verifier, std::string_view proof, std::string_view auth_message) {
    if (proof.size() != verifier.stored_key.size()) return false;
    std::string client_key = with_signature(proof, verifier.stored_key, auth_message);
    Digest stored_key = sha256(client_key);
    wipe(client_key);
    return equal_constant_time(view_of(stored_key), view_of(verifier.stored_key));
}

std::string server_signature(const ScramVerifier& verifier, std::string_view auth_message) {
    return std::string(view_of(hmac_sha256(view_of(verifier.server_key), auth_message)));
}

ClientKeys client_keys(const Secret& password, std::string_view salt, std::uint32_t iterations,
                       std::string_view auth_message) {
    Secret salted = salted_password(password, salt, iterations);
    Digest client_key = hmac_sha256(salted.view(), "Client Key");
    Digest server_key = hmac_sha256(salted.view(), "Server Key");
    ClientKeys keys{with_signature(view_of(client_key), sha256(view_of(client_key)), auth_message),
                    std::string(view_of(hmac_sha256(view_of(server_key), auth_message)))};
    explicit_bzero(client_key.data(), client_key.size());
    explicit_bzero(server_key.data(), server_key.size());
    return keys;
}

static constexpr std::string_view scheme = "SCRAM-SHA-256$";

std::string ScramVerifier::text() const {
    std::string out(scheme);
    out += std::to_string(iterations) + ":" + base64_encode(salt) + "$" + base64_encode(view_of(stored_key)) +
           ":" + base64_encode(view_of(server_key));
    return out;
}

static std::optional<Digest> read_digest(std::string_view text) {
    auto octets = base64_decode(text);
    if (!octets || octets->size() != 32) return std::nullopt;
    Digest digest;
    std::ranges::copy(*octets, reinterpret_cast<char*>(digest.data()));
    return digest;
}

Result<ScramVerifier> ScramVerifier::from_text(std::string_view text) {
    auto bad = [] { return fail(ErrorKind::protocol, "this is not a SCRAM-SHA-256 verifier"); };
    if (text.size() > 300 || !text.starts_with(scheme)) return bad();
    text.remove_prefix(scheme.size());
    std::size_t colon = text.find(':'), dollar = text.find('$');
    if (colon == text.npos || dollar == text.npos || colon > dollar) return bad();
    std::size_t second = text.find(':', dollar);
    if (second == text.npos) return bad();
    ScramVerifier verifier;
    auto [end, error] = std::from_chars(text.data(), text.data() + colon, verifier.iterations);
    auto salt = base64_decode(text.substr(colon + 1, dollar - colon - 1));
    auto stored = read_digest(text.substr(dollar + 1, second - dollar - 1)),
         server = read_digest(text.substr(second + 1));
    if (error != std::errc() || end != text.data() + colon || verifier.iterations == 0 ||
        verifier.iterations > scram_iterations_limit || !salt || salt->empty() || salt->size() > 64 ||
        !stored || !server)
        return bad();
    verifier.salt = std::move(*salt);
    verifier.stored_key = *stored;
    verifier.server_key = *server;
    return verifier;
}

Secret generate_password() {
    std::string octets = random_octets(13);
    std::string letters = base32_readable(octets);  // 20 characters of 5 bits; the last 4 bits are left over
    std::string out;
    out.reserve(32);
    for (std::size_t i = 0; i < 20; ++i) {
        if (i > 0 && i % 4 == 0) out += '-';
        out += letters[i];
    }
    wipe(octets);
    wipe(letters);
    return Secret(std::move(out));
}

}  // namespace fwmail::crypto
