// Binary writing and bounded reading, under every frame and entry: LEB128 numbers, length-prefixed octets,
// sets. The reader never reads past its end, and checks every length before anything is allocated for it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"

namespace fwmail::sync {

// Numbers of entries stay below 2^63, so that differences and a database's signed integers hold them.
inline constexpr std::uint64_t max_number = (1ull << 63) - 1;

using Sha256 = std::array<std::uint8_t, 32>;

class Writer {
  public:
    void byte(std::uint8_t value) { out_ += static_cast<char>(value); }
    // LEB128: seven bits an octet, least significant first, no needless octets.
    void varint(std::uint64_t value);
    // Signed, as 0, -1, 1, -2, ... = 0, 1, 2, 3, ...
    void zigzag(std::int64_t value);
    // Eight octets, most significant first: for random values, which a varint would only make longer.
    void fixed64(std::uint64_t value);
    // As they are; the reader knows how many.
    void raw(std::string_view octets) { out_ += octets; }
    // Length (varint), then the octets.
    void octets(std::string_view value);
    template <class Tag>
    void id(const Id128<Tag>& value) {
        raw(value.octets());
    }
    void sha256(const Sha256& hash) { raw({reinterpret_cast<const char*>(hash.data()), hash.size()}); }
    // Number of intervals; then for each the distance from the one before and the length less one.
    void numbers(const NumberSet& set);
    void uids(const UidSet& set);

    std::size_t size() const { return out_.size(); }
    const std::string& text() const& { return out_; }
    std::string text() && { return std::move(out_); }

  private:
    std::string out_;
};

class Reader {
  public:
    explicit Reader(std::string_view octets) : rest_(octets) {}

    bool at_end() const { return rest_.empty(); }
    std::size_t remaining() const { return rest_.size(); }

    Result<std::uint8_t> byte();
    // Refuses more than 64 bits and forms longer than needed, so that a value has one form only.
    Result<std::uint64_t> varint(std::uint64_t max = UINT64_MAX);
    Result<std::int64_t> zigzag(std::int64_t min = INT64_MIN, std::int64_t max = INT64_MAX);
    Result<std::uint64_t> fixed64();
    // Views into what is read.
    Result<std::string_view> raw(std::size_t count);
    Result<std::string_view> octets(std::size_t max);
    Result<bool> boolean();
    template <class Tag>
    Result<Id128<Tag>> id() {
        return *Id128<Tag>::from_octets(TRY(raw(16)));
    }
    Result<Sha256> sha256();
    // Numbers 1 to max_number; ascending, not touching.
    Result<NumberSet> numbers(std::size_t max_intervals);
    Result<UidSet> uids(std::size_t max_intervals);
    // What later versions may add: pairs (tag, octets) up to the end. Odd tags are skipped, even ones
    // refused.
    Result<void> extensions();

  private:
    std::string_view rest_;
};

}  // namespace fwmail::sync
