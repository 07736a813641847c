#include <algorithm>

#include "crypto/certificate.hpp"
#include "crypto/ecdh.hpp"
#include "crypto/hash.hpp"
#include "crypto/openpgp_message.hpp"
#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"
#include "crypto/signing.hpp"

namespace fwmail::crypto {

namespace {

constexpr std::uint64_t plain_limit = 0xffffffffull - 1024;
constexpr std::size_t recipient_limit = 16;
constexpr std::size_t chunk_size = 16 << 10;
constexpr std::size_t prefix_size = 18, mdc_size = 22;
constexpr std::size_t literal_head = 1 + 1 + 4;  // format, empty name, date

// A signature's size must be known before it is made, but R and S lose leading zero octets (RFC 4880 3.2). So
// a salt in a notation is varied until they have none: one try in 128 must be repeated. The notation is one
// that other programs know (OpenPGP.js), and hides nothing.
constexpr std::string_view salt_name = "salt@notations.openpgpjs.org";
constexpr std::size_t salt_size = 16;

std::string salt_notation(std::string_view salt) {
    std::string body(4, '\0');  // RFC 4880 5.2.3.16: not human-readable
    put_u16(body, salt_name.size());
    put_u16(body, static_cast<std::uint32_t>(salt.size()));
    body += salt_name;
    body += salt;
    return subpacket(20, body);
}

constexpr std::size_t notation_size = 2 + 4 + 4 + salt_name.size() + salt_size;
constexpr std::size_t signature_body =
    4 + 2 + (2 + 4) + (2 + 21) + notation_size + 2 + (2 + 8) + 2 + 2 * (2 + 32);
constexpr std::size_t signature_packet = 2 + signature_body;
constexpr std::size_t one_pass_packet = 2 + 13;
static_assert(signature_body < 192, "its header is of two octets");

std::uint64_t packet_size(std::uint8_t tag, std::uint64_t body) {
    return packet_header(tag, body).size() + body;
}

std::uint64_t seipd_body(std::uint64_t plain_size, bool is_signed) {
    std::uint64_t inner = packet_size(tag::literal, literal_head + plain_size);
    if (is_signed) inner += one_pass_packet + signature_packet;
    return 1 + prefix_size + inner + mdc_size;
}

// Everything that shapes the message goes into its keys, so that the seed of one message used by mistake for
// other recipients, another date or size gives other keys.
Secret message_secret(std::span<const PublicKey> recipients, const SealOptions& options, std::uint32_t date) {
    std::string info = "fwmail sealed message 1";
    put_u32(info, date);
    put_u64(info, options.plain_size);
    if (options.signer) info += options.signer->public_key.fingerprint.octets();
    for (const auto& recipient : recipients) info += recipient.encryption.fingerprint.octets();
    return hkdf_sha256(options.seed.view(), info, 32);
}

std::string numbered(std::string_view purpose, std::uint32_t number) {
    std::string info(purpose);
    put_u32(info, number);
    return info;
}

}  // namespace

std::uint64_t sealed_size(std::uint64_t plain_size, std::size_t recipients, bool is_signed) {
    return recipients * pkesk_size + packet_size(tag::seipd, seipd_body(plain_size, is_signed));
}

struct Sealer::State {
    struct Signing {
        SigningKey key;
        Secret seed;
        Hash hash{HashId::sha256};
    };

    Sink sink;
    Secret secret;  // message_secret()
    std::uint64_t left = 0;
    std::uint32_t date = 0;
    std::optional<CfbStream> cipher;
    Hash mdc{HashId::sha1};
    std::optional<Signing> signing;
    std::string chunk;

    State() { chunk.reserve(chunk_size); }
    ~State() { wipe(chunk); }

    // Encrypts, in pieces of chunk_size, what is fed in pieces of any size.
    void encrypt(std::string_view octets, bool into_mdc = true) {
        if (into_mdc) mdc.update(octets);
        while (!octets.empty()) {
            std::size_t take = std::min(chunk_size - chunk.size(), octets.size());
            chunk += octets.substr(0, take);
            octets.remove_prefix(take);
            if (chunk.size() == chunk_size) flush();
        }
    }
    void flush() {
        cipher->process(chunk.data(), chunk.size());
        sink(chunk);
        chunk.clear();
    }
    void begin(std::uint64_t plain_size);
    void write_signature();
};

// The head of the SEIPD packet (RFC 4880 5.13) and of what is in it.
void Sealer::State::begin(std::uint64_t plain_size) {
    Secret key = hkdf_sha256(secret.view(), "session key", 32);
    cipher.emplace(CfbStream::Direction::encrypt, key.view(), std::string(16, '\0'));
    sink(packet_header(tag::seipd, seipd_body(plain_size, signing.has_value())) + '\1');
    std::string prefix(hkdf_sha256(secret.view(), "prefix", 16).view());
    prefix += prefix.substr(14);
    encrypt(prefix);
    std::string head;
    if (signing) {
        // RFC 4880 5.4
        std::string one_pass{3, static_cast<char>(signature_type::binary), static_cast<char>(HashId::sha256),
                             static_cast<char>(algorithm_eddsa)};
        put_u64(one_pass, signing->key.fingerprint.key_id().value);
        one_pass += '\1';
        put_packet(head, tag::one_pass, one_pass);
    }
    head += packet_header(tag::literal, literal_head + plain_size);
    head += std::string_view("b\0", 2);
    put_u32(head, date);
    encrypt(head);
}

void Sealer::State::write_signature() {
    Signer signer{signing->key, signing->seed.view()};
    for (std::uint32_t attempt = 0;; ++attempt) {
        Secret salt = hkdf_sha256(secret.view(), numbered("salt", attempt), salt_size);
        std::string body =
            make_signature(signature_type::binary, signing->hash, signer, date, salt_notation(salt.view()));
        if (body.size() != signature_body) continue;
        std::string packet;
        put_packet(packet, tag::signature, body);
        encrypt(packet);
        return;
    }
}

Sealer::Sealer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;
Sealer::~Sealer() = default;

Result<Sealer> Sealer::start(std::span<const PublicKey> recipients, const SealOptions& options, Sink sink) {
    if (options.seed.view().size() != seed_size)
        return fail(ErrorKind::internal, "a seal seed is not 32 octets long");
    if (recipients.empty() || recipients.size() > recipient_limit)
        return fail(ErrorKind::internal, "a message must be sealed to 1 to 16 keys");
    if (options.plain_size > plain_limit)
        return fail(ErrorKind::refused, "the message is too large to be sealed");
    auto state = std::make_unique<State>();
    state->date = TRY(openpgp_seconds(options.date));
    state->left = options.plain_size;
    state->secret = message_secret(recipients, options, state->date);
    state->sink = std::move(sink);
    if (options.signer) {
        auto signer = TRY(signer_of(*options.signer));
        state->signing.emplace(State::Signing{signer.key, Secret(signer.seed)});
    }
    Secret session_key = hkdf_sha256(state->secret.view(), "session key", 32);
    std::string head;
    for (std::uint32_t i = 0; i < recipients.size(); ++i) {
        Secret ephemeral = hkdf_sha256(state->secret.view(), numbered("ephemeral key", i), 32);
        head += TRY(write_pkesk(recipients[i].encryption, session_key, ephemeral));
    }
    state->sink(head);
    state->begin(options.plain_size);
    return Sealer(std::move(state));
}

Result<> Sealer::feed(std::string_view plain) {
    if (plain.size() > state_->left)
        return fail(ErrorKind::internal, "more was fed to be sealed than was announced");
    state_->left -= plain.size();
    if (state_->signing) state_->signing->hash.update(plain);
    state_->encrypt(plain);
    return {};
}

Result<> Sealer::finish() {
    if (state_->left != 0) return fail(ErrorKind::internal, "less was fed to be sealed than was announced");
    if (state_->signing) state_->write_signature();
    // RFC 4880 5.14: the MDC packet's own header is hashed too.
    state_->encrypt(std::string_view("\xd3\x14", 2));
    state_->encrypt(state_->mdc.finish(), false);
    state_->flush();
    return {};
}

Result<std::string> seal(std::string_view plain, std::span<const PublicKey> recipients, SealOptions options) {
    options.plain_size = plain.size();
    std::string out;
    out.reserve(sealed_size(plain.size(), recipients.size(), options.signer != nullptr));
    auto sealer = TRY(Sealer::start(recipients, options, [&](std::string_view octets) { out += octets; }));
    TRY(sealer.feed(plain));
    TRY(sealer.finish());
    return out;
}

}  // namespace fwmail::crypto
