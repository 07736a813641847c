#include "crypto/content.hpp"

#include <algorithm>

#include "crypto/signing.hpp"

namespace fwmail::crypto {

namespace {
constexpr std::size_t signature_count_limit = 8;
// Packet heads besides the literal data that a compressed message of max_plain octets may hold.
constexpr std::uint64_t content_overhead = 1 << 20;
}  // namespace

Result<> ContentReader::on_packet(const PacketHeader& header) {
    tag_ = header.tag;
    body_.clear();
    in_text_ = false;
    if (tag_ == tag::marker) return {};
    if (tag_ == tag::literal) {
        if (stage_ != Stage::one_pass) return bad_openpgp("a message holds two texts");
        stage_ = Stage::literal;
        return {};
    }
    if (tag_ == tag::one_pass && stage_ == Stage::one_pass) {
        if (one_passes_.size() == signature_count_limit)
            return bad_openpgp("a message has too many signatures");
        return {};
    }
    if (tag_ == tag::signature && stage_ == Stage::signatures) {
        if (signatures_.size() == one_passes_.size())
            return bad_openpgp("a message has a signature too many");
        return {};
    }
    return bad_openpgp("a packet stands where it may not in a message");
}

Result<> ContentReader::on_body(std::string_view octets) {
    if (tag_ == tag::literal) return take_literal(octets);
    if (body_.size() + octets.size() > signature_limit) return bad_openpgp("a signature is too large");
    body_ += octets;
    return {};
}

// RFC 4880 5.9: format, name, date, then the text.
Result<> ContentReader::take_literal(std::string_view octets) {
    while (!in_text_ && !octets.empty()) {
        body_ += octets[0];
        octets.remove_prefix(1);
        if (body_.size() >= 2 && body_.size() == 6u + static_cast<unsigned char>(body_[1])) in_text_ = true;
    }
    if (octets.empty()) return {};
    if (octets.size() > options_.max_plain - plain_size_) return bad_openpgp("the message is too large");
    plain_size_ += octets.size();
    for (auto& hash : hashes_) hash.update(octets);
    sink_(octets);
    return {};
}

Result<> ContentReader::on_end() {
    if (tag_ == tag::marker) return {};
    if (tag_ == tag::one_pass) return end_one_pass();
    if (tag_ == tag::signature) {
        signatures_.push_back(std::move(body_));
        return {};
    }
    if (!in_text_) return bad_openpgp("a text is cut off");
    stage_ = Stage::signatures;
    return {};
}

// RFC 4880 5.4: version, type, hash, algorithm, key id, last.
Result<> ContentReader::end_one_pass() {
    if (body_.size() != 13 || body_[0] != 3) return bad_openpgp("a one-pass signature packet is malformed");
    OnePass one_pass;
    one_pass.type = static_cast<std::uint8_t>(body_[1]);
    auto hash = hash_from_number(static_cast<std::uint8_t>(body_[2]));
    if (hash && *hash != HashId::sha1 && static_cast<std::uint8_t>(body_[3]) == algorithm_eddsa) {
        one_pass.hash = hash;
        if (std::ranges::find(hashes_, *hash, &Hash::id) == hashes_.end()) hashes_.emplace_back(*hash);
    }
    one_passes_.push_back(one_pass);
    return {};
}

SignatureStatus ContentReader::judge(const OnePass& one_pass, std::string_view body, Opened& opened) const {
    // Text signatures (type 0x01) are over other octets than ours; no mail client makes them inside PGP/MIME.
    if (!one_pass.hash || one_pass.type != signature_type::binary) return SignatureStatus::unknown;
    auto signature = parse_signature(body);
    if (!signature) return SignatureStatus::unknown;
    if (signature->type != one_pass.type || signature->hash != *one_pass.hash)
        return SignatureStatus::invalid;
    for (const auto& certificate : signers_) {
        const SigningKey* key = issuer_among(*signature, certificate);
        if (!key) continue;
        if (!holds(*signature, *std::ranges::find(hashes_, *one_pass.hash, &Hash::id), key->point))
            return SignatureStatus::invalid;
        opened.valid_signer = certificate.fingerprint;
        opened.signed_at = UnixMillis(std::int64_t{signature->created} * 1000);
        return SignatureStatus::valid;
    }
    return SignatureStatus::unknown;
}

Result<> ContentReader::finish(Opened& opened) {
    if (stage_ != Stage::signatures) return bad_openpgp("a message holds no text");
    if (signatures_.size() != one_passes_.size())
        return bad_openpgp("a message lacks a signature that it announced");
    opened.plain_size = plain_size_;
    // Signatures come in the reverse order of their one-pass packets. One valid signature is enough, since
    // each is over the whole text; without one, a bad one counts for more than one unknown.
    for (std::size_t i = 0; i < signatures_.size() && opened.signature != SignatureStatus::valid; ++i) {
        auto status = judge(one_passes_[one_passes_.size() - 1 - i], signatures_[i], opened);
        if (status == SignatureStatus::valid || opened.signature != SignatureStatus::invalid)
            opened.signature = status;
    }
    return {};
}

Result<> DecryptedReader::on_packet(const PacketHeader& header) {
    in_compressed_ = header.tag == tag::compressed;
    if (was_compressed_ || (in_compressed_ && was_plain_))
        return bad_openpgp("something stands beside the compressed data");
    if (in_compressed_) {
        was_compressed_ = true;
        return {};
    }
    if (header.tag != tag::marker) was_plain_ = true;
    return content_.on_packet(header);
}

Result<> DecryptedReader::on_body(std::string_view octets) {
    if (!in_compressed_) return content_.on_body(octets);
    if (!inflater_) {
        std::uint64_t limit =
            options_.max_plain + std::min(content_overhead, ~std::uint64_t{0} - options_.max_plain);
        inflater_ =
            TRY(Inflater::start(static_cast<std::uint8_t>(octets[0]), limit,
                                [this](std::string_view plain) { return inner_.feed(plain, content_); }));
        octets.remove_prefix(1);
    }
    return inflater_->feed(octets);
}

Result<> DecryptedReader::on_end() {
    if (!in_compressed_) return content_.on_end();
    if (!inflater_) return bad_openpgp("the compressed data is empty");
    TRY(inflater_->finish());
    return inner_.finish(content_);
}

}  // namespace fwmail::crypto
