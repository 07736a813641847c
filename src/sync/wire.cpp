#include "sync/wire.hpp"

#include <algorithm>

namespace fwmail::sync {

namespace {

std::unexpected<Error> damaged(const char* what) { return fail(ErrorKind::protocol, what); }

template <class Rep>
void write_set(Writer& out, const Intervals<Rep>& set) {
    out.varint(set.list().size());
    std::uint64_t next = 1;  // the least that the interval can begin with
    for (const auto& interval : set.list()) {
        out.varint(interval.first - next);
        out.varint(interval.last - interval.first);
        next = static_cast<std::uint64_t>(interval.last) + 2;  // the set's intervals never touch
    }
}

template <class Rep>
Result<Intervals<Rep>> read_set(Reader& in, std::size_t max_intervals, std::uint64_t max_value) {
    std::uint64_t count = TRY(in.varint());
    // Each interval takes two octets at least.
    if (count > max_intervals || count > in.remaining() / 2) return damaged("a set of numbers is too long");
    Intervals<Rep> set;
    std::uint64_t next = 1;
    for (std::uint64_t i = 0; i < count; ++i) {
        if (next > max_value) return damaged("a set of numbers goes too far");
        std::uint64_t first = next + TRY(in.varint(max_value - next));
        std::uint64_t last = first + TRY(in.varint(max_value - first));
        set.add(static_cast<Rep>(first), static_cast<Rep>(last));
        next = last + 2;
    }
    return set;
}

}  // namespace

void Writer::varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
    byte(static_cast<std::uint8_t>(value));
}

void Writer::zigzag(std::int64_t value) {
    varint(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
}

void Writer::fixed64(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(value >> shift));
}

void Writer::octets(std::string_view value) {
    varint(value.size());
    raw(value);
}

void Writer::numbers(const NumberSet& set) { write_set(*this, set); }
void Writer::uids(const UidSet& set) { write_set(*this, set); }

Result<std::uint8_t> Reader::byte() {
    if (rest_.empty()) return damaged("cut short");
    auto value = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return value;
}

Result<std::uint64_t> Reader::varint(std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        std::uint8_t octet = TRY(byte());
        std::uint64_t bits = octet & 0x7f;
        if (shift == 63 && (octet & 0xfe)) return damaged("a number of more than 64 bits");
        value |= bits << shift;
        if (octet & 0x80) continue;
        if (octet == 0 && shift != 0) return damaged("a number in a needlessly long form");
        if (value > max) return damaged("a number is out of range");
        return value;
    }
}

Result<std::int64_t> Reader::zigzag(std::int64_t min, std::int64_t max) {
    std::uint64_t coded = TRY(varint());
    auto value = static_cast<std::int64_t>(coded >> 1 ^ (~(coded & 1) + 1));
    if (value < min || value > max) return damaged("a number is out of range");
    return value;
}

Result<std::uint64_t> Reader::fixed64() {
    std::uint64_t value = 0;
    for (char c : TRY(raw(8))) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
}

Result<std::string_view> Reader::raw(std::size_t count) {
    if (count > rest_.size()) return damaged("cut short");
    std::string_view value = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return value;
}

Result<std::string_view> Reader::octets(std::size_t max) {
    std::uint64_t size = TRY(varint());
    if (size > max) return damaged("a field is too long");
    return raw(size);
}

Result<bool> Reader::boolean() { return TRY(varint(1)) == 1; }

Result<Sha256> Reader::sha256() {
    Sha256 hash;
    std::ranges::copy(TRY(raw(hash.size())), hash.begin());
    return hash;
}

Result<NumberSet> Reader::numbers(std::size_t max_intervals) {
    return read_set<std::uint64_t>(*this, max_intervals, max_number);
}

Result<UidSet> Reader::uids(std::size_t max_intervals) {
    return read_set<std::uint32_t>(*this, max_intervals, UINT32_MAX);
}

Result<void> Reader::extensions() {
    while (!at_end()) {
        std::uint64_t tag = TRY(varint());
        TRY(octets(remaining()));
        if (tag % 2 == 0)
            return fail(ErrorKind::refused, "an addition that this version does not know; update fwmail");
    }
    return {};
}

}  // namespace fwmail::sync
