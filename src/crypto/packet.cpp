#include "crypto/packet.hpp"

#include <algorithm>
#include <bit>

namespace fwmail::crypto {

std::unexpected<Error> bad_openpgp(std::string text) {
    return fail(ErrorKind::protocol, "OpenPGP: " + std::move(text));
}

static std::uint64_t big_endian(std::string_view octets) {
    std::uint64_t value = 0;
    for (unsigned char c : octets) value = value << 8 | c;
    return value;
}

// RFC 4880 4.2.1 and 4.2.2. `octets` begins after a new-format tag, or with an old-format one.
PacketReader::Length PacketReader::read_length(std::string_view octets, std::uint64_t& length) const {
    bool old_format = stage_ == Stage::header && !(header_[0] & 0x40);
    if (old_format) {
        int type = octets[0] & 3;
        if (type == 3) return Length::indeterminate;
        std::size_t count = std::size_t(1) << type;
        if (octets.size() < 1 + count) return Length::more;
        length = big_endian(octets.substr(1, count));
        return Length::definite;
    }
    if (octets.empty()) return Length::more;
    auto first = static_cast<unsigned char>(octets[0]);
    if (first < 192) {
        length = first;
        return Length::definite;
    }
    if (first >= 224 && first < 255) {
        length = std::uint64_t(1) << (first & 0x1f);
        return Length::partial;
    }
    std::size_t needed = first == 255 ? 5 : 2;
    if (octets.size() < needed) return Length::more;
    length =
        first == 255 ? big_endian(octets.substr(1, 4)) : big_endian(octets.substr(0, 2)) - (192 << 8) + 192;
    return Length::definite;
}

Result<> PacketReader::begin(Length kind, std::uint64_t length, PacketHandler& handler) {
    auto first = static_cast<std::uint8_t>(header_[0]);
    PacketHeader header;
    header.tag = first & 0x40 ? first & 0x3f : first >> 2 & 0xf;
    header.definite = kind == Length::definite;
    header.length = header.definite ? length : 0;
    if (header.tag == 0) return bad_openpgp("a packet has the reserved tag 0");
    bool data =
        header.tag == 8 || header.tag == 9 || header.tag == 11 || header.tag == 18 || header.tag == 20;
    if (!header.definite && !data) return bad_openpgp("a packet that is not data has no definite length");
    header_.clear();
    left_ = length;
    last_chunk_ = kind == Length::definite;
    indeterminate_ = kind == Length::indeterminate;
    stage_ = Stage::body;
    TRY(handler.on_packet(header));
    return left_ == 0 && !indeterminate_ ? end_chunk(handler) : Result<>();
}

Result<> PacketReader::end_chunk(PacketHandler& handler) {
    stage_ = last_chunk_ ? Stage::header : Stage::partial_length;
    return last_chunk_ ? handler.on_end() : Result<>();
}

Result<> PacketReader::take_header_octet(char octet, PacketHandler& handler) {
    header_ += octet;
    if (stage_ == Stage::header && !(header_[0] & 0x80)) return bad_openpgp("something is not a packet");
    std::string_view rest = header_;
    if (stage_ == Stage::header && (header_[0] & 0x40)) rest.remove_prefix(1);
    std::uint64_t length = 0;
    Length kind = read_length(rest, length);
    if (kind == Length::more) return {};
    if (stage_ == Stage::header) return begin(kind, length, handler);
    header_.clear();
    left_ = length;
    last_chunk_ = kind == Length::definite;
    stage_ = Stage::body;
    return left_ == 0 ? end_chunk(handler) : Result<>();
}

Result<> PacketReader::feed(std::string_view octets, PacketHandler& handler) {
    while (!octets.empty()) {
        if (stage_ != Stage::body) {
            char octet = octets[0];
            octets.remove_prefix(1);
            TRY(take_header_octet(octet, handler));
            continue;
        }
        std::string_view piece = indeterminate_ ? octets : octets.substr(0, left_);
        octets.remove_prefix(piece.size());
        TRY(handler.on_body(piece));
        if (indeterminate_) continue;
        left_ -= piece.size();
        if (left_ == 0) TRY(end_chunk(handler));
    }
    return {};
}

Result<> PacketReader::finish(PacketHandler& handler) {
    if (stage_ == Stage::body && indeterminate_) {
        stage_ = Stage::header;
        return handler.on_end();
    }
    if (stage_ != Stage::header || !header_.empty()) return bad_openpgp("it ends within a packet");
    return {};
}

namespace {

class Collector : public PacketHandler {
  public:
    explicit Collector(std::size_t most) : most_(most) {}
    Result<> on_packet(const PacketHeader& header) override {
        if (packets.size() == most_) return bad_openpgp("too many packets");
        if (!header.definite) return bad_openpgp("a data packet stands where a key or signature should");
        packets.push_back({header.tag, {}});
        return {};
    }
    Result<> on_body(std::string_view octets) override {
        packets.back().body += octets;
        return {};
    }
    Result<> on_end() override { return {}; }

    std::vector<Packet> packets;

  private:
    std::size_t most_;
};

}  // namespace

Result<std::vector<Packet>> split_packets(std::string_view octets, std::size_t most) {
    Collector collector(most);
    PacketReader reader;
    TRY(reader.feed(octets, collector));
    TRY(reader.finish(collector));
    return std::move(collector.packets);
}

std::string packet_header(std::uint8_t tag, std::uint64_t length) {
    std::string out(1, static_cast<char>(0xC0 | tag));
    if (length < 192) {
        out += static_cast<char>(length);
    } else if (length < 8384) {
        put_u16(out, static_cast<std::uint32_t>(length - 192 + (192 << 8)));
    } else {
        out += '\xff';
        put_u32(out, static_cast<std::uint32_t>(length));
    }
    return out;
}

void put_packet(std::string& out, std::uint8_t tag, std::string_view body) {
    out += packet_header(tag, body.size());
    out += body;
}

void put_u16(std::string& out, std::uint32_t value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value);
}

void put_u32(std::string& out, std::uint32_t value) {
    put_u16(out, value >> 16);
    put_u16(out, value & 0xffff);
}

void put_u64(std::string& out, std::uint64_t value) {
    put_u32(out, static_cast<std::uint32_t>(value >> 32));
    put_u32(out, static_cast<std::uint32_t>(value));
}

void put_mpi(std::string& out, std::string_view number) {
    number.remove_prefix(std::min(number.find_first_not_of('\0'), number.size()));
    std::size_t bits = number.size() * 8;
    if (bits > 0) bits -= static_cast<std::size_t>(std::countl_zero(static_cast<unsigned char>(number[0])));
    put_u16(out, static_cast<std::uint32_t>(bits));
    out += number;
}

std::optional<std::string_view> Cursor::take(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
}

std::optional<std::uint8_t> Cursor::u8() {
    auto octets = take(1);
    if (!octets) return std::nullopt;
    return static_cast<std::uint8_t>((*octets)[0]);
}

std::optional<std::uint32_t> Cursor::u16() {
    auto octets = take(2);
    if (!octets) return std::nullopt;
    return static_cast<std::uint32_t>(big_endian(*octets));
}

std::optional<std::uint32_t> Cursor::u32() {
    auto octets = take(4);
    if (!octets) return std::nullopt;
    return static_cast<std::uint32_t>(big_endian(*octets));
}

std::optional<std::uint64_t> Cursor::u64() {
    auto octets = take(8);
    if (!octets) return std::nullopt;
    return big_endian(*octets);
}

std::optional<std::string_view> Cursor::mpi(std::size_t most_octets) {
    if (rest_.size() < 2) return std::nullopt;
    auto bits = static_cast<std::size_t>(big_endian(rest_.substr(0, 2)));
    std::size_t count = (bits + 7) / 8;
    if (count > most_octets || rest_.size() < 2 + count) return std::nullopt;
    std::string_view number = rest_.substr(2, count);
    if (count > 0) {
        auto zeros = static_cast<std::size_t>(std::countl_zero(static_cast<unsigned char>(number[0])));
        if (count * 8 - zeros != bits) return std::nullopt;
    }
    rest_.remove_prefix(2 + count);
    return number;
}

}  // namespace fwmail::crypto
