#include "mime/transfer.hpp"

#include <algorithm>
#include <array>

#include "base/encoding.hpp"

namespace fwmail::mime {

namespace {

constexpr std::array<signed char, 256> base64_values = [] {
    std::array<signed char, 256> t{};
    t.fill(-1);
    std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < 64; ++i)
        t[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
    return t;
}();

constexpr std::size_t max_pending = 1000;

int hex_value(char c) {
    c = ascii_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

TransferEncoding transfer_encoding(std::string_view name) {
    if (equal_ignoring_case(name, "base64")) return TransferEncoding::base64;
    if (equal_ignoring_case(name, "quoted-printable")) return TransferEncoding::quoted_printable;
    return TransferEncoding::identity;
}

void TransferDecoder::feed(std::string_view octets, std::string& out) {
    switch (encoding_) {
        case TransferEncoding::identity:
            out += octets;
            break;
        case TransferEncoding::base64:
            feed_base64(octets, out);
            break;
        case TransferEncoding::quoted_printable:
            feed_quoted_printable(octets, out);
            break;
    }
}

void TransferDecoder::feed_base64(std::string_view octets, std::string& out) {
    for (char c : octets) {
        if (ended_) return;
        int v = base64_values[static_cast<unsigned char>(c)];
        if (v < 0) {
            ended_ = c == '=';
            continue;
        }
        bits_ = (bits_ << 6 | static_cast<std::uint32_t>(v)) & 0xFFFFFF;
        if (++count_ == 4) {
            out += {static_cast<char>(bits_ >> 16), static_cast<char>(bits_ >> 8 & 255),
                    static_cast<char>(bits_ & 255)};
            count_ = 0;
        }
    }
}

void TransferDecoder::feed_quoted_printable(std::string_view octets, std::string& out) {
    for (char c : octets) quoted_octet(c, out);
}

// RFC 2045 6.7. pending_ is either white space, perhaps with a CR at its end, or a '=' with what came after
// it.
void TransferDecoder::quoted_octet(char c, std::string& out) {
    if (pending_.starts_with('=')) {
        bool soft = pending_.find_first_of(" \t\r") == 1;  // "=" and then only white space so far
        if (c == '\n' && (soft || pending_.size() == 1)) {
            pending_.clear();
            return;
        }
        bool space = c == ' ' || c == '\t' || c == '\r';
        if (pending_.size() == 1 && hex_value(c) >= 0) {
            pending_ += c;
            return;
        }
        if (pending_.size() == 2 && !soft && hex_value(c) >= 0) {
            out += static_cast<char>(hex_value(pending_[1]) << 4 | hex_value(c));
            pending_.clear();
            return;
        }
        if ((pending_.size() == 1 || soft) && space && pending_.size() < max_pending) {
            pending_ += c;
            return;
        }
        out += pending_;  // broken: as written
        pending_.clear();
    }
    if (c == '=' || c == ' ' || c == '\t' || c == '\r') {
        bool keep = c == '=' || pending_.size() >= max_pending || pending_.ends_with('\r');
        if (keep) {
            out += pending_;
            pending_.clear();
        }
        pending_ += c;
        return;
    }
    if (c == '\n') {  // white space at the end of a line was added on the way
        if (pending_.ends_with('\r')) out += '\r';
    } else {
        out += pending_;
    }
    pending_.clear();
    out += c;
}

void TransferDecoder::finish(std::string& out) {
    switch (encoding_) {
        case TransferEncoding::identity:
            break;
        case TransferEncoding::base64:
            if (count_ >= 2) out += static_cast<char>(count_ == 2 ? bits_ >> 4 & 255 : bits_ >> 10 & 255);
            if (count_ == 3) out += static_cast<char>(bits_ >> 2 & 255);
            break;
        case TransferEncoding::quoted_printable: {
            bool soft =
                pending_.starts_with('=') && pending_.find_first_not_of(" \t\r", 1) == std::string::npos;
            if (!soft && !pending_.empty() && pending_[0] == '=') out += pending_;
            break;  // else white space at the very end
        }
    }
    *this = TransferDecoder(encoding_);
}

std::string decode_transfer(TransferEncoding encoding, std::string_view octets) {
    std::string out;
    out.reserve(octets.size());
    TransferDecoder decoder(encoding);
    decoder.feed(octets, out);
    decoder.finish(out);
    return out;
}

}  // namespace fwmail::mime
