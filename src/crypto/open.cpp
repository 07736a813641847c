#include <algorithm>

#include "crypto/content.hpp"
#include "crypto/ecdh.hpp"
#include "crypto/openpgp_message.hpp"
#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"

namespace fwmail::crypto {

namespace {
constexpr std::size_t pkesk_limit = 1100, pkesk_count_limit = 64;
// A wildcard packet costs a try of every key.
constexpr std::size_t attempt_limit = 64;
constexpr std::size_t prefix_size = 18, mdc_size = 22;
constexpr std::size_t chunk_size = 16 << 10;
}  // namespace

struct Opener::State : PacketHandler {
    State(std::span<const SecretKey> secret_keys, std::span<const PublicKey> signers, Sink sink,
          OpenOptions options)
        : keys(secret_keys), content(signers, std::move(sink), options), decrypted(content, options) {}
    ~State() override { wipe(held); }

    Result<> on_packet(const PacketHeader& header) override;
    Result<> on_body(std::string_view octets) override;
    Result<> on_end() override;
    Result<> take_pkesk();
    Result<> begin_seipd(char version);
    Result<> decrypt(std::string_view octets);
    Result<> take_plain();
    Result<> end_seipd();

    std::span<const SecretKey> keys;
    PacketReader outer;
    std::uint8_t tag_now = 0;
    std::string pkesk;
    std::size_t pkesk_count = 0, attempts = 0;
    std::optional<SessionKey> session;
    Opened opened;

    enum class Stage { before, seipd, after } stage = Stage::before;
    std::optional<CfbStream> cipher;
    Hash mdc{HashId::sha1};
    std::size_t prefix_left = prefix_size;
    std::string held;  // decrypted, and perhaps the MDC packet, which is the last 22 octets
    PacketReader inner;
    ContentReader content;
    DecryptedReader decrypted;
    std::optional<Error> failed;
};

Result<> Opener::State::on_packet(const PacketHeader& header) {
    tag_now = header.tag;
    if (stage != Stage::before) return bad_openpgp("something follows the encrypted data");
    if (tag_now == tag::marker || tag_now == tag::skesk) return {};
    if (tag_now == tag::seipd) {
        stage = Stage::seipd;
        return {};
    }
    if (tag_now == 9)
        return fail(ErrorKind::protocol, "OpenPGP: the encrypted data has no integrity protection");
    if (tag_now != tag::pkesk) return bad_openpgp("this is not an encrypted message");
    if (++pkesk_count > pkesk_count_limit) return bad_openpgp("it is sealed to too many keys");
    pkesk.clear();
    return {};
}

Result<> Opener::State::on_body(std::string_view octets) {
    if (tag_now == tag::pkesk) {
        if (pkesk.size() + octets.size() > pkesk_limit)
            return bad_openpgp("a session key packet is too large");
        pkesk += octets;
        return {};
    }
    if (tag_now != tag::seipd) return {};
    if (!cipher) {
        TRY(begin_seipd(octets[0]));
        octets.remove_prefix(1);
    }
    return decrypt(octets);
}

Result<> Opener::State::on_end() {
    if (tag_now == tag::pkesk) return take_pkesk();
    return tag_now == tag::seipd ? end_seipd() : Result<>();
}

Result<> Opener::State::take_pkesk() {
    if (session) return {};
    auto parsed = parse_pkesk(pkesk);
    // One for a stranger, of a kind that we do not know, must not keep us from our own.
    if (!parsed) return {};
    for (const auto& key : keys)
        for (const auto& decryption : key.decryption) {
            bool named = parsed->key_id == decryption.key.fingerprint.key_id();
            if ((!named && parsed->key_id != KeyId(0)) || ++attempts > attempt_limit) continue;
            session = open_pkesk(*parsed, decryption);
            if (!session) continue;
            opened.opened_with = decryption.key.fingerprint;
            return {};
        }
    return {};
}

Result<> Opener::State::begin_seipd(char version) {
    if (version != 1) return bad_openpgp("the encrypted data is of a version that is not supported");
    if (!session) return fail(ErrorKind::refused, "no key here opens this message");
    cipher.emplace(CfbStream::Direction::decrypt, session->key.view(), std::string(16, '\0'));
    held.reserve(chunk_size + mdc_size);
    return {};
}

// The repetition in the prefix is not looked at: it helps attackers who can ask many times, and the MDC says
// more.
Result<> Opener::State::decrypt(std::string_view octets) {
    while (!octets.empty()) {
        std::string_view piece = octets.substr(0, chunk_size + mdc_size - held.size());
        octets.remove_prefix(piece.size());
        std::size_t old_size = held.size();
        held += piece;
        cipher->process(held.data() + old_size, piece.size());
        TRY(take_plain());
    }
    return {};
}

Result<> Opener::State::take_plain() {
    if (held.size() <= mdc_size) return {};
    std::size_t count = held.size() - mdc_size;
    std::string_view plain = std::string_view(held).substr(0, count);
    mdc.update(plain);
    std::size_t skip = std::min(prefix_left, plain.size());
    prefix_left -= skip;
    plain.remove_prefix(skip);
    TRY(inner.feed(plain, decrypted));
    held.erase(0, count);
    return {};
}

// RFC 4880 5.14. All that may be wrong here gives one error.
Result<> Opener::State::end_seipd() {
    stage = Stage::after;
    if (!cipher) return bad_openpgp("the encrypted data is empty");
    constexpr std::string_view header("\xd3\x14", 2);
    bool whole = held.size() == mdc_size && prefix_left == 0;
    mdc.update(header);
    if (!whole || !equal_constant_time(held, std::string(header) + mdc.finish()))
        return bad_openpgp("the message is damaged or was altered");
    return inner.finish(decrypted);
}

Opener::Opener(std::span<const SecretKey> keys, std::span<const PublicKey> signers, Sink sink,
               OpenOptions options)
    : state_(std::make_unique<State>(keys, signers, std::move(sink), options)) {}
Opener::Opener(Opener&&) noexcept = default;
Opener& Opener::operator=(Opener&&) noexcept = default;
Opener::~Opener() = default;

Result<> Opener::feed(std::string_view octets) {
    if (state_->failed) return fail(*state_->failed);
    auto result = state_->outer.feed(octets, *state_);
    if (!result) state_->failed = result.error();
    return result;
}

Result<Opened> Opener::finish() {
    if (state_->failed) return fail(*state_->failed);
    TRY(state_->outer.finish(*state_));
    if (state_->stage != State::Stage::after) return bad_openpgp("there is no encrypted data");
    TRY(state_->content.finish(state_->opened));
    return std::move(state_->opened);
}

Result<Opened> open(std::string_view octets, std::span<const SecretKey> keys,
                    std::span<const PublicKey> signers, OpenOptions options) {
    std::string plain;
    plain.reserve(std::min<std::uint64_t>(octets.size(), options.max_plain));
    Opener opener(keys, signers, [&](std::string_view piece) { plain += piece; }, options);
    Result<Opened> result = [&]() -> Result<Opened> {
        TRY(opener.feed(octets));
        return opener.finish();
    }();
    if (!result) {
        wipe(plain);
        return result;
    }
    result->plain = std::move(plain);
    return result;
}

}  // namespace fwmail::crypto
