// Strong types for what must not be mixed up.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fwmail {

// A number that is only comparable with its own kind.
template <class Tag, class Rep>
struct Number {
    Rep value{};
    constexpr Number() = default;
    constexpr explicit Number(Rep v) : value(v) {}
    constexpr auto operator<=>(const Number&) const = default;
};

using Uid = Number<struct UidTag, std::uint32_t>;                  // RFC 9051 2.3.1.1; 0 = none
using SeqNum = Number<struct SeqNumTag, std::uint32_t>;            // RFC 9051 2.3.1.2; from 1
using UidValidity = Number<struct UidValidityTag, std::uint32_t>;  // RFC 9051 2.3.1.1
using ModSeq = Number<struct ModSeqTag, std::uint64_t>;            // RFC 7162 3.1.1; below 2^63
using EntryNumber = Number<struct EntryNumberTag, std::uint64_t>;  // number of an entry on a link; from 1
using UnixMillis = Number<struct UnixMillisTag, std::int64_t>;     // milliseconds since 1970-01-01 UTC

// 128 bits: 48 bits of milliseconds, then 80 random ones, so that ids sort by time.
template <class Tag>
struct Id128 {
    std::array<std::uint8_t, 16> bytes{};

    constexpr auto operator<=>(const Id128&) const = default;
    bool is_zero() const { return *this == Id128{}; }
    std::string_view octets() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
    // 32 lower-case hexadecimal digits.
    std::string hex() const {
        static constexpr char digits[] = "0123456789abcdef";
        std::string out;
        out.reserve(32);
        for (auto b : bytes) {
            out += digits[b >> 4];
            out += digits[b & 15];
        }
        return out;
    }
    // Exactly 16 octets, or nothing.
    static std::optional<Id128> from_octets(std::string_view octets) {
        if (octets.size() != 16) return std::nullopt;
        Id128 id;
        std::memcpy(id.bytes.data(), octets.data(), 16);
        return id;
    }
    // Exactly 32 hexadecimal digits of either case, or nothing.
    static std::optional<Id128> from_hex(std::string_view text) {
        if (text.size() != 32) return std::nullopt;
        Id128 id;
        for (std::size_t i = 0; i < 32; ++i) {
            char c = text[i];
            int v = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
            if (v < 0) return std::nullopt;
            id.bytes[i / 2] = static_cast<std::uint8_t>(id.bytes[i / 2] << 4 | v);
        }
        return id;
    }
};

using EmailId = Id128<struct EmailIdTag>;      // one message, whatever server it lies on
using MailboxId = Id128<struct MailboxIdTag>;  // RFC 8474 MAILBOXID
using AccountId = Id128<struct AccountIdTag>;  // one user
using NodeId = Id128<struct NodeIdTag>;        // one core or remote
using ObjectId = Id128<struct ObjectIdTag>;    // one stored body

struct Id128Hash {
    template <class Tag>
    std::size_t operator()(const Id128<Tag>& id) const {
        std::size_t h;
        std::memcpy(&h, id.bytes.data() + 8, sizeof h);
        return h;
    }
};

}  // namespace fwmail
