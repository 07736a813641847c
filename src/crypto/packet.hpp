// Internal to crypto: OpenPGP packet framing (RFC 4880 4.2), incremental, and the small things packets are
// made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fwmail::crypto {

// RFC 4880 4.3; only those that anything here looks at.
namespace tag {
inline constexpr std::uint8_t pkesk = 1, signature = 2, skesk = 3, one_pass = 4, secret_key = 5,
                              public_key = 6, secret_subkey = 7, compressed = 8, marker = 10, literal = 11,
                              trust = 12, user_id = 13, public_subkey = 14, user_attribute = 17, seipd = 18;
}

struct PacketHeader {
    std::uint8_t tag = 0;
    bool definite = true;      // else partial or indeterminate
    std::uint64_t length = 0;  // of a definite packet's body
};

class PacketHandler {
  public:
    virtual ~PacketHandler() = default;
    virtual Result<> on_packet(const PacketHeader& header) = 0;
    virtual Result<> on_body(std::string_view octets) = 0;  // any number of times, never empty
    virtual Result<> on_end() = 0;
};

// Cuts a stream into packets. Partial and indeterminate lengths are taken for data packets only (RFC
// 4880 4.2.2.4); nothing is stored but a header of at most 6 octets. After an error it must not be fed again.
class PacketReader {
  public:
    Result<> feed(std::string_view octets, PacketHandler& handler);
    // The stream must end between two packets, or in one of indeterminate length.
    Result<> finish(PacketHandler& handler);

  private:
    enum class Stage { header, body, partial_length };
    enum class Length { more, definite, partial, indeterminate };
    Length read_length(std::string_view octets, std::uint64_t& length) const;
    Result<> take_header_octet(char octet, PacketHandler& handler);
    Result<> begin(Length kind, std::uint64_t length, PacketHandler& handler);
    Result<> end_chunk(PacketHandler& handler);

    Stage stage_ = Stage::header;
    std::string header_;
    bool last_chunk_ = true;
    bool indeterminate_ = false;
    std::uint64_t left_ = 0;
};

struct Packet {
    std::uint8_t tag = 0;
    std::string body;
};
// All packets of a key or signature; they are small, so data packets are refused.
Result<std::vector<Packet>> split_packets(std::string_view octets, std::size_t most);

// New format, shortest length.
std::string packet_header(std::uint8_t tag, std::uint64_t length);
void put_packet(std::string& out, std::uint8_t tag, std::string_view body);
void put_u16(std::string& out, std::uint32_t value);
void put_u32(std::string& out, std::uint32_t value);
void put_u64(std::string& out, std::uint64_t value);
// RFC 4880 3.2: leading zero octets go.
void put_mpi(std::string& out, std::string_view number);

// Reads from the front of a view; nothing is consumed on failure.
class Cursor {
  public:
    explicit Cursor(std::string_view octets) : rest_(octets) {}
    std::string_view rest() const { return rest_; }
    bool empty() const { return rest_.empty(); }
    std::optional<std::string_view> take(std::size_t count);
    std::optional<std::uint8_t> u8();
    std::optional<std::uint32_t> u16();
    std::optional<std::uint32_t> u32();
    std::optional<std::uint64_t> u64();
    // The number's octets, without leading zeros; the bit count must be exact.
    std::optional<std::string_view> mpi(std::size_t most_octets);

  private:
    std::string_view rest_;
};

std::unexpected<Error> bad_openpgp(std::string text);

}  // namespace fwmail::crypto
