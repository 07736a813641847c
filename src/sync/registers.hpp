// The flags of a message as registers: each flag and each keyword is one, and the last writer wins. What
// merges them is here and nowhere else.
//
// A register that nobody has changed since the message came has no stamp: all nodes know its first value from
// the message itself. So only what was changed takes room. A flag that was taken away keeps its stamp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/flags.hpp"
#include "base/result.hpp"
#include "sync/stamp.hpp"
#include "sync/wire.hpp"

namespace fwmail::sync {

inline constexpr std::size_t max_keywords = 100;        // that a client may give a message
inline constexpr std::size_t max_keyword_octets = 100;  // of one keyword
// Of a message, keywords that were taken away among them: more than clients of several nodes can make at
// once.
inline constexpr std::size_t max_registers = 1000;

struct Register {
    // A keyword in lower case; or one octet, 1 to 5, for \Seen, \Answered, \Flagged, \Deleted, \Draft.
    std::string key;
    Stamp stamp;  // not zero
    bool operator==(const Register&) const = default;
};
using Registers = std::vector<Register>;  // ascending keys, each once

struct FlagState {
    FlagSet flags;
    Registers registers;
    bool operator==(const FlagState&) const = default;
};

// The state in which each register has the value of the later stamp. Commutative, associative, idempotent.
// Where two registers have one stamp, or none, and differ all the same, being set wins, then the lesser
// spelling.
FlagState merge_flags(const FlagState& a, const FlagState& b);

// The flags become these: each one that differs gets the stamp.
FlagState change_flags(FlagState state, const FlagSet& flags, const Stamp& stamp);

// Takes out the registers whose stamps are too far ahead, and their flags: what is left says nothing of them.
// True: there were any.
bool drop_ahead(FlagState& state, UnixMillis now);

// The latest time in them, or 0.
std::uint64_t latest_time(const Registers& registers);

// Bounds, order, and that no key is anything else than a flag's.
Result<void> validate_registers(const Registers& registers);
void write_stamp(Writer& out, const Stamp& stamp);
Result<Stamp> read_stamp(Reader& in);
void write_registers(Writer& out, const Registers& registers);
Result<Registers> read_registers(Reader& in);
// By themselves, as a database keeps them: empty octets for none.
std::string encode_registers(const Registers& registers);
Result<Registers> decode_registers(std::string_view octets);

}  // namespace fwmail::sync
