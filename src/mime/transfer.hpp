// Content transfer encodings (RFC 2045 6), decoded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fwmail::mime {

enum class TransferEncoding { identity, base64, quoted_printable };
// 7bit, 8bit, binary and everything unknown are identity. Any case.
TransferEncoding transfer_encoding(std::string_view name);

// Decodes a stream. What comes out does not depend on how the input was cut. Holds at most 1 KiB back.
class TransferDecoder {
  public:
    explicit TransferDecoder(TransferEncoding encoding) : encoding_(encoding) {}
    // Appends what is certain now.
    void feed(std::string_view octets, std::string& out);
    // Appends the rest. The decoder is then fresh again.
    void finish(std::string& out);

  private:
    void feed_base64(std::string_view octets, std::string& out);
    void feed_quoted_printable(std::string_view octets, std::string& out);
    void quoted_octet(char c, std::string& out);

    TransferEncoding encoding_;
    std::uint32_t bits_ = 0;
    int count_ = 0;        // base64: characters in bits_
    bool ended_ = false;   // base64: padding seen, the rest is ignored
    std::string pending_;  // quoted-printable: white space that may end a line, or the start of "=XX"
};

// Whole: base64 skips what is not of its alphabet and ends at padding; broken quoted-printable stays as it
// is.
std::string decode_transfer(TransferEncoding encoding, std::string_view octets);

}  // namespace fwmail::mime
