#include "crypto/armor.hpp"

#include <array>
#include <cstring>

#include "base/encoding.hpp"

namespace fwmail::crypto {

namespace {

constexpr std::size_t octets_a_line = 48;  // 64 columns
constexpr std::size_t line_limit = 998;    // of header lines; RFC 5322 2.1.1, since armour travels in mail
constexpr std::size_t base64_limit = 76;   // RFC 4880 6.3
constexpr int header_line_limit = 20;
constexpr std::uint32_t crc_start = 0xB704CE;

// Eight octets at a time. The register stands in the upper 24 bits; table k is for an octet with k behind it.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables make_crc_tables() {
    CrcTables tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i << 24;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 0x80000000 ? (crc << 1) ^ 0x864CFB00 : crc << 1;
        tables[0][i] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t i = 0; i < 256; ++i)
            tables[k][i] = tables[k - 1][i] << 8 ^ tables[0][tables[k - 1][i] >> 24];
    return tables;
}

// RFC 4880 6.1
std::uint32_t crc24(std::uint32_t crc, std::string_view octets) {
    static constexpr auto t = make_crc_tables();
    auto at = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(octets[i]));
    };
    crc <<= 8;
    for (; octets.size() >= 8; octets.remove_prefix(8)) {
        crc ^= at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3);
        crc = t[7][crc >> 24] ^ t[6][crc >> 16 & 255] ^ t[5][crc >> 8 & 255] ^ t[4][crc & 255] ^ t[3][at(4)] ^
              t[2][at(5)] ^ t[1][at(6)] ^ t[0][at(7)];
    }
    for (unsigned char c : octets) crc = crc << 8 ^ t[0][crc >> 24 ^ c];
    return crc >> 8;
}

std::string crc_octets(std::uint32_t crc) {
    return {static_cast<char>(crc >> 16), static_cast<char>(crc >> 8), static_cast<char>(crc)};
}

std::string_view name_of(ArmorType type) {
    switch (type) {
        case ArmorType::message:
            return "PGP MESSAGE";
        case ArmorType::public_key:
            return "PGP PUBLIC KEY BLOCK";
        case ArmorType::private_key:
            return "PGP PRIVATE KEY BLOCK";
        case ArmorType::signature:
            return "PGP SIGNATURE";
    }
    return {};
}

std::string border(std::string_view word, ArmorType type) {
    return "-----" + std::string(word) + " " + std::string(name_of(type)) + "-----";
}

bool blank(std::string_view line) { return line.find_first_not_of(" \t") == line.npos; }

int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::unexpected<Error> bad(std::string text) {
    return fail(ErrorKind::protocol, "OpenPGP armour: " + std::move(text));
}

}  // namespace

ArmorEncoder::ArmorEncoder(ArmorType type, Sink sink) : type_(type), sink_(std::move(sink)), crc_(crc_start) {
    sink_(border("BEGIN", type) + "\r\n\r\n");
}

void ArmorEncoder::write_line() {
    sink_(base64_encode(line_) + "\r\n");
    line_.clear();
}

void ArmorEncoder::feed(std::string_view octets) {
    crc_ = crc24(crc_, octets);
    if (!line_.empty()) {
        std::size_t take = std::min(octets_a_line - line_.size(), octets.size());
        line_ += octets.substr(0, take);
        octets.remove_prefix(take);
        if (line_.size() == octets_a_line) write_line();
    }
    // Whole lines need not be gathered.
    constexpr std::size_t lines_at_once = 256;
    while (octets.size() >= octets_a_line) {
        std::size_t lines = std::min(octets.size() / octets_a_line, lines_at_once);
        std::string text = base64_encode(octets.substr(0, lines * octets_a_line)), out;
        // Debian 12's resize_and_overwrite() may hand over another size than it was asked for.
        out.resize_and_overwrite(lines * 66, [&](char* to, std::size_t) {
            for (std::size_t at = 0; at < text.size(); at += 64, to += 66) {
                std::memcpy(to, text.data() + at, 64);
                std::memcpy(to + 64, "\r\n", 2);
            }
            return lines * 66;
        });
        octets.remove_prefix(lines * octets_a_line);
        sink_(out);
    }
    while (!octets.empty()) {
        std::size_t take = std::min(octets_a_line - line_.size(), octets.size());
        line_ += octets.substr(0, take);
        octets.remove_prefix(take);
        if (line_.size() == octets_a_line) write_line();
    }
}

void ArmorEncoder::finish() {
    if (!line_.empty()) write_line();
    sink_("=" + base64_encode(crc_octets(crc_)) + "\r\n" + border("END", type_) + "\r\n");
}

std::string armor(ArmorType type, std::string_view octets) {
    std::string out;
    out.reserve(armored_size(type, octets.size()));
    ArmorEncoder encoder(type, [&](std::string_view piece) { out += piece; });
    encoder.feed(octets);
    encoder.finish();
    return out;
}

std::uint64_t armored_size(ArmorType type, std::uint64_t octets) {
    std::uint64_t lines = (octets + octets_a_line - 1) / octets_a_line;
    std::uint64_t frame = border("BEGIN", type).size() + 4 + 5 + 2 + border("END", type).size() + 2;
    return frame + (octets + 2) / 3 * 4 + lines * 2;
}

ArmorDecoder::ArmorDecoder(Sink sink) : sink_(std::move(sink)), crc_(crc_start) {}

Result<> ArmorDecoder::feed(std::string_view text) {
    while (!text.empty()) {
        std::size_t end = text.find('\n');
        std::string_view piece = text.substr(0, end);
        if (line_.size() + piece.size() > line_limit + 1) return bad("a line is too long");
        if (end == text.npos) {
            line_ += piece;
            return {};
        }
        text.remove_prefix(end + 1);
        if (!line_.empty()) {
            line_ += piece;
            piece = line_;
        }
        if (piece.ends_with('\r')) piece.remove_suffix(1);
        TRY(take_line(piece));
        line_.clear();
    }
    return {};
}

Result<ArmorType> ArmorDecoder::finish() {
    if (!line_.empty()) {
        std::string last = std::move(line_);
        line_.clear();
        if (last.ends_with('\r')) last.pop_back();
        TRY(take_line(last));
    }
    if (stage_ != Stage::after) return bad("it ends before its END line");
    return type_;
}

Result<> ArmorDecoder::take_line(std::string_view line) {
    switch (stage_) {
        case Stage::before:
            return blank(line) ? Result<>() : take_begin(line);
        case Stage::headers:
            if (blank(line)) {
                stage_ = Stage::body;
                return {};
            }
            if (line.find(": ") == line.npos && !line.ends_with(':'))
                return bad("a header line has no colon");
            if (++header_lines_ > header_line_limit) return bad("too many header lines");
            return {};
        case Stage::body:
            return take_body(line);
        case Stage::after_checksum:
            return take_end(line);
        case Stage::after:
            return blank(line) ? Result<>() : bad("something follows its END line");
    }
    return {};
}

Result<> ArmorDecoder::take_begin(std::string_view line) {
    for (auto type :
         {ArmorType::message, ArmorType::public_key, ArmorType::private_key, ArmorType::signature})
        if (line == border("BEGIN", type)) {
            type_ = type;
            stage_ = Stage::headers;
            return {};
        }
    return bad("it does not start with a BEGIN line that is known");
}

Result<> ArmorDecoder::take_body(std::string_view line) {
    if (line.starts_with("-----")) return take_end(line);
    // A final quantum may not start with '=', so this can only be the checksum.
    if (line.starts_with('=') && characters_ == 0) return take_checksum(line);
    return take_base64(line);
}

Result<> ArmorDecoder::take_base64(std::string_view line) {
    if (line.empty() || line.size() > base64_limit) return bad("a line of base64 is empty or too long");
    if (padded_) return bad("base64 goes on after its padding");
    std::string octets;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '=') {
            // One or two at the very end, completing the quantum, with the unused bits zero.
            std::string_view padding = line.substr(i);
            int wanted = characters_ == 2 ? 2 : characters_ == 3 ? 1 : 0;
            if (padding != std::string_view("==").substr(0, static_cast<std::size_t>(wanted)) || wanted == 0)
                return bad("its base64 padding is wrong");
            if (bits_ & (wanted == 2 ? 0xFu : 0x3u)) return bad("its base64 has stray bits");
            if (wanted == 1) octets += static_cast<char>(bits_ >> 10);
            octets += static_cast<char>(wanted == 1 ? bits_ >> 2 : bits_ >> 4);
            padded_ = true;
            characters_ = 0;
            break;
        }
        int value = base64_value(line[i]);
        if (value < 0) return bad("a character is not of base64");
        bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
        if (++characters_ == 4) {
            octets += crc_octets(bits_ & 0xFFFFFF);
            characters_ = 0;
            bits_ = 0;
        }
    }
    crc_ = crc24(crc_, octets);
    sink_(octets);
    return {};
}

Result<> ArmorDecoder::take_checksum(std::string_view line) {
    auto octets = base64_decode(line.substr(1));
    if (!octets || octets->size() != 3) return bad("its checksum line is malformed");
    if (*octets != crc_octets(crc_)) return bad("its checksum is wrong");
    stage_ = Stage::after_checksum;
    return {};
}

Result<> ArmorDecoder::take_end(std::string_view line) {
    if (line != border("END", type_)) return bad("its END line is missing or of another type");
    if (characters_ != 0) return bad("its base64 is cut off");
    stage_ = Stage::after;
    return {};
}

Result<Dearmored> dearmor(std::string_view text, std::size_t limit) {
    if (text.size() > limit) return bad("it is too large");
    Dearmored out{};
    out.octets.reserve(text.size() / 4 * 3);
    ArmorDecoder decoder([&](std::string_view octets) { out.octets += octets; });
    TRY(decoder.feed(text));
    out.type = TRY(decoder.finish());
    return out;
}

bool looks_armored(std::string_view text) {
    std::size_t start = text.find_first_not_of(" \t\r\n");
    return start != text.npos && text.substr(start).starts_with("-----BEGIN PGP ");
}

}  // namespace fwmail::crypto
