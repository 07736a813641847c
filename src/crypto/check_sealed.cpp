#include <algorithm>

#include "crypto/ecdh.hpp"
#include "crypto/openpgp_message.hpp"
#include "crypto/packet.hpp"

namespace fwmail::crypto {

namespace {
constexpr std::size_t recipient_limit = 16, pkesk_limit = 1100;
// Version, prefix, the shortest literal packet (empty, no name), MDC.
constexpr std::uint64_t least_seipd = 1 + 18 + 2 + 6 + 22;
}  // namespace

struct SealedChecker::State : PacketHandler {
    std::vector<KeyId> allowed;
    CheckOptions options;
    PacketReader reader;
    std::vector<KeyId> found;
    std::string pkesk;
    std::uint64_t seipd_size = 0;
    enum class Stage { pkesk, seipd, done } stage = Stage::pkesk;
    std::optional<Error> failed;

    Result<> on_packet(const PacketHeader& header) override {
        if (stage != Stage::pkesk) return bad_openpgp("something follows the encrypted data");
        if (header.tag == tag::seipd) {
            if (found.empty()) return bad_openpgp("the encrypted data is sealed to nobody");
            if (!header.definite && !options.allow_partial)
                return bad_openpgp("the encrypted data has no definite length");
            stage = Stage::seipd;
            return {};
        }
        if (header.tag != tag::pkesk) return bad_openpgp("a packet is not one of a sealed message");
        if (header.length > pkesk_limit) return bad_openpgp("a session key packet is too large");
        if (found.size() == recipient_limit) return bad_openpgp("it is sealed to too many keys");
        pkesk.clear();
        return {};
    }
    Result<> on_body(std::string_view octets) override {
        if (stage == Stage::pkesk) {
            pkesk += octets;
            return {};
        }
        if (seipd_size == 0 && octets[0] != 1) return bad_openpgp("the encrypted data is not of version 1");
        seipd_size += octets.size();
        return {};
    }
    Result<> on_end() override {
        if (stage == Stage::seipd) {
            stage = Stage::done;
            if (seipd_size < least_seipd) return bad_openpgp("the encrypted data is cut off");
            return {};
        }
        auto parsed = TRY(parse_pkesk(pkesk));
        if (parsed.key_id == KeyId(0) || std::ranges::count(allowed, parsed.key_id) == 0)
            return fail(ErrorKind::refused, "the message is sealed to a key that is not allowed");
        if (parsed.algorithm == 18 && parsed.wrapped.empty())
            return bad_openpgp("a session key packet is of another curve");
        found.push_back(parsed.key_id);
        return {};
    }
};

SealedChecker::SealedChecker(std::vector<KeyId> allowed, CheckOptions options)
    : state_(std::make_unique<State>()) {
    state_->allowed = std::move(allowed);
    state_->options = options;
}
SealedChecker::SealedChecker(SealedChecker&&) noexcept = default;
SealedChecker& SealedChecker::operator=(SealedChecker&&) noexcept = default;
SealedChecker::~SealedChecker() = default;

Result<> SealedChecker::feed(std::string_view octets) {
    if (state_->failed) return fail(*state_->failed);
    auto result = state_->reader.feed(octets, *state_);
    if (!result) state_->failed = result.error();
    return result;
}

Result<std::vector<KeyId>> SealedChecker::finish() {
    if (state_->failed) return fail(*state_->failed);
    TRY(state_->reader.finish(*state_));
    if (state_->stage != State::Stage::done) return bad_openpgp("there is no encrypted data");
    return std::move(state_->found);
}

Result<std::vector<KeyId>> check_sealed(std::string_view octets, std::vector<KeyId> allowed,
                                        CheckOptions options) {
    SealedChecker checker(std::move(allowed), options);
    TRY(checker.feed(octets));
    return checker.finish();
}

}  // namespace fwmail::crypto
