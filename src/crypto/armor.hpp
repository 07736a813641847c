// ASCII armour (RFC 4880 section 6), both ways, streaming.
// What is written is always the same for the same octets: CRLF, 64 columns, no header lines, CRC-24.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fwmail::crypto {

// Receives octets as they come; the view lasts for the call only.
using Sink = std::function<void(std::string_view)>;

enum class ArmorType { message, public_key, private_key, signature };

class ArmorEncoder {
  public:
    ArmorEncoder(ArmorType type, Sink sink);
    void feed(std::string_view octets);
    // Must be called once, last.
    void finish();

  private:
    void write_line();

    ArmorType type_;
    Sink sink_;
    std::string line_;  // octets of the line that is not full yet, fewer than 48
    std::uint32_t crc_;
};

std::string armor(ArmorType type, std::string_view octets);
// The size of armor() for so many octets.
std::uint64_t armored_size(ArmorType type, std::uint64_t octets);

// Takes one armoured block. Strict in what matters: one of the four types, base64 lines of at most 76
// columns, padding only at the end, matching END line, nothing but white space around the block. Header lines
// (`Version:`, `Comment:`) are skipped; the CRC-24 may be missing, but must be right when it is there.
class ArmorDecoder {
  public:
    explicit ArmorDecoder(Sink sink);
    Result<> feed(std::string_view text);
    Result<ArmorType> finish();

  private:
    enum class Stage { before, headers, body, after_checksum, after };
    Result<> take_line(std::string_view line);
    Result<> take_begin(std::string_view line);
    Result<> take_body(std::string_view line);
    Result<> take_base64(std::string_view line);
    Result<> take_checksum(std::string_view line);
    Result<> take_end(std::string_view line);

    Sink sink_;
    Stage stage_ = Stage::before;
    ArmorType type_ = ArmorType::message;
    std::string line_;
    std::uint32_t crc_;
    std::uint32_t bits_ = 0;  // base64 quantum in progress
    int characters_ = 0;      // of the quantum
    bool padded_ = false;
    int header_lines_ = 0;
};

struct Dearmored {
    ArmorType type;
    std::string octets;
};
// A whole block. More than `limit` octets of text is a protocol error.
Result<Dearmored> dearmor(std::string_view text, std::size_t limit = 64 << 20);
// True when the text begins, after white space, like an armoured block.
bool looks_armored(std::string_view text);

}  // namespace fwmail::crypto
