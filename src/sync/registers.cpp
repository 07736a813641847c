#include "sync/registers.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "base/encoding.hpp"
#include "base/keyword.hpp"

namespace fwmail::sync {

namespace {

constexpr std::array<FlagSet::System, 5> system_flags{FlagSet::seen, FlagSet::answered, FlagSet::flagged,
                                                      FlagSet::deleted, FlagSet::draft};

std::string system_key(std::size_t index) { return std::string(1, static_cast<char>(index + 1)); }

bool is_system_key(std::string_view key) {
    return key.size() == 1 && key[0] >= 1 && key[0] <= static_cast<char>(system_flags.size());
}

// A register with what it holds: nothing, or the flag as it is spelled.
struct Cell {
    Stamp stamp;
    bool set = false;
    std::string spelling;  // of a keyword
    bool beats(const Cell& other) const {
        return std::tie(stamp, set, other.spelling) > std::tie(other.stamp, other.set, spelling);
    }
};
using Cells = std::map<std::string, Cell, std::less<>>;

Cells cells_of(const FlagState& state) {
    Cells cells;
    for (std::size_t i = 0; i < system_flags.size(); ++i)
        if (state.flags.has(system_flags[i])) cells[system_key(i)].set = true;
    for (const auto& word : state.flags.keywords) cells[ascii_lower(word)] = {{}, true, word};
    for (const auto& r : state.registers) cells[r.key].stamp = r.stamp;
    return cells;
}

FlagState state_of(const Cells& cells) {
    FlagState state;
    for (const auto& [key, cell] : cells) {
        if (!cell.stamp.is_zero()) state.registers.push_back({key, cell.stamp});
        if (!cell.set) continue;
        if (is_system_key(key))
            state.flags.system |= system_flags[static_cast<std::size_t>(key[0]) - 1];
        else
            state.flags.keywords.push_back(cell.spelling);
    }
    std::ranges::sort(state.flags.keywords);
    return state;
}

}  // namespace

FlagState merge_flags(const FlagState& a, const FlagState& b) {
    Cells cells = cells_of(a);
    for (auto& [key, cell] : cells_of(b)) {
        auto [mine, fresh] = cells.try_emplace(key, cell);
        if (!fresh && cell.beats(mine->second)) mine->second = cell;
    }
    return state_of(cells);
}

FlagState change_flags(FlagState state, const FlagSet& flags, const Stamp& stamp) {
    Cells cells = cells_of(state);
    Cells wanted = cells_of({flags, {}});
    for (const auto& [key, cell] : wanted) {
        Cell& mine = cells[key];
        if (!mine.set || mine.spelling != cell.spelling) mine = {stamp, true, cell.spelling};
    }
    for (auto& [key, mine] : cells)
        if (mine.set && !wanted.contains(key)) mine = {stamp, false, {}};
    return state_of(cells);
}

bool drop_ahead(FlagState& state, UnixMillis now) {
    if (std::ranges::none_of(state.registers, [&](const auto& r) { return is_ahead(r.stamp, now); }))
        return false;
    Cells cells = cells_of(state);
    std::erase_if(cells, [&](const auto& cell) { return is_ahead(cell.second.stamp, now); });
    state = state_of(cells);
    return true;
}

std::uint64_t latest_time(const Registers& registers) {
    std::uint64_t latest = 0;
    for (const auto& r : registers) latest = std::max(latest, r.stamp.time);
    return latest;
}

Result<void> validate_registers(const Registers& registers) {
    auto check = [](bool good, const char* what) -> Result<void> {
        if (!good) return fail(ErrorKind::protocol, what);
        return {};
    };
    TRY(check(registers.size() <= max_registers, "flags: too many registers"));
    for (std::size_t i = 0; i < registers.size(); ++i) {
        const auto& [key, stamp] = registers[i];
        TRY(check(is_system_key(key) ||
                      (key.size() <= max_keyword_octets && is_keyword(key) && ascii_lower(key) == key),
                  "flags: a register of no flag"));
        TRY(check(i == 0 || registers[i - 1].key < key, "flags: registers are not in order"));
        TRY(check(!stamp.is_zero() && stamp.time <= max_stamp_time, "flags: not a stamp"));
    }
    return {};
}

void write_stamp(Writer& out, const Stamp& stamp) {
    out.fixed64(stamp.time);
    for (int shift = 24; shift >= 0; shift -= 8) out.byte(static_cast<std::uint8_t>(stamp.origin >> shift));
}

Result<Stamp> read_stamp(Reader& in) {
    Stamp stamp;
    stamp.time = TRY(in.fixed64());
    for (int i = 0; i < 4; ++i) stamp.origin = stamp.origin << 8 | TRY(in.byte());
    return stamp;
}

void write_registers(Writer& out, const Registers& registers) {
    out.varint(registers.size());
    for (const auto& [key, stamp] : registers) {
        out.octets(key);
        write_stamp(out, stamp);
    }
}

Result<Registers> read_registers(Reader& in) {
    // Each takes some octets, so nothing is reserved that cannot come.
    Registers registers(TRY(in.varint(std::min<std::uint64_t>(max_registers, in.remaining()))));
    for (auto& [key, stamp] : registers) {
        key = TRY(in.octets(max_keyword_octets));
        stamp = TRY(read_stamp(in));
    }
    return registers;
}

std::string encode_registers(const Registers& registers) {
    if (registers.empty()) return {};
    Writer out;
    write_registers(out, registers);
    return std::move(out).text();
}

Result<Registers> decode_registers(std::string_view octets) {
    if (octets.empty()) return Registers();
    Reader in(octets);
    auto registers = TRY(read_registers(in));
    if (!in.at_end() || !validate_registers(registers))
        return fail(ErrorKind::internal, "the stamps of a message's flags cannot be read");
    return registers;
}

}  // namespace fwmail::sync
