// Internal to crypto: what is inside a sealed message once decrypted: optionally compressed, [one-pass
// signature]* literal [signature]* (RFC 4880 11.3), and nothing else.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/inflate.hpp"
#include "crypto/openpgp_message.hpp"
#include "crypto/packet.hpp"
#include "crypto/primitives.hpp"

namespace fwmail::crypto {

class ContentReader : public PacketHandler {
  public:
    ContentReader(std::span<const PublicKey> signers, Sink sink, OpenOptions options)
        : signers_(signers), sink_(std::move(sink)), options_(options) {}

    Result<> on_packet(const PacketHeader& header) override;
    Result<> on_body(std::string_view octets) override;
    Result<> on_end() override;

    // Judges the signatures, and fills in what is known of the content.
    Result<> finish(Opened& opened);

  private:
    enum class Stage { one_pass, literal, signatures };
    struct OnePass {
        std::uint8_t type = 0;
        std::optional<HashId> hash;  // nothing when we cannot read such a signature
    };
    Result<> end_one_pass();
    Result<> take_literal(std::string_view octets);
    SignatureStatus judge(const OnePass& one_pass, std::string_view body, Opened& opened) const;

    std::span<const PublicKey> signers_;
    Sink sink_;
    OpenOptions options_;
    Stage stage_ = Stage::one_pass;
    std::uint8_t tag_ = 0;
    std::string body_;  // of a small packet, or the literal packet's head
    bool in_text_ = false;
    std::uint64_t plain_size_ = 0;
    std::vector<OnePass> one_passes_;
    std::vector<Hash> hashes_;  // one of each kind that a one-pass signature asks for
    std::vector<std::string> signatures_;
};

// One level above: unpacks a compressed packet, which holds the whole content, or hands on what is not
// compressed.
class DecryptedReader : public PacketHandler {
  public:
    DecryptedReader(ContentReader& content, OpenOptions options) : content_(content), options_(options) {}

    Result<> on_packet(const PacketHeader& header) override;
    Result<> on_body(std::string_view octets) override;
    Result<> on_end() override;

  private:
    ContentReader& content_;
    OpenOptions options_;
    PacketReader inner_;
    std::optional<Inflater> inflater_;
    bool in_compressed_ = false;
    bool was_compressed_ = false;
    bool was_plain_ = false;
};

}  // namespace fwmail::crypto
