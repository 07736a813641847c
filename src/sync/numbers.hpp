// UIDs that a remote gives itself, and what core makes of them. Pure: the caller keeps the rows.
//
// Where a client of a remote appends, copies or moves a message, the remote must name its UID at once. It
// takes the next above the highest that it shows in that mailbox, which is provisional until core has said
// what became of it.
//
// Invariants: no node shows a UID below one that it has shown, or one UID for two messages. A number that two
// nodes have used is given up by both: each message gets another one at the end. A remote never shows core's
// message of a number that it has given itself; so core must give such a message another number, whatever
// else becomes of the remote's word.
#pragma once

#include <algorithm>

#include "base/ids.hpp"
#include "sync/stamp.hpp"

namespace fwmail::sync {

// A number further ahead of core's than this is not taken: there are only 2^32.
inline constexpr std::uint32_t furthest_number = 1 << 20;

enum class Number {
    adopt,    // core has not used it: it is the message's everywhere
    give_up,  // core has used it: whatever it named gets another number, and so does the remote's message
    ignore,   // out of all reason: the remote's message gets another number
};
// `next`: core's next number in that mailbox.
inline Number judge_number(Uid next, Uid given) {
    if (given < next) return Number::give_up;
    return given.value - next.value < furthest_number ? Number::adopt : Number::ignore;
}

// Where a message is, is a register like any other: of two moves the later one holds. `placed`: when it came
// to where it is; zero: it was never moved. Whoever moves a message from where it still is knew of that,
// whatever its clock says: `still_there`.
inline bool move_holds(bool still_there, const Stamp& placed, const Stamp& moved) {
    return still_there || placed < moved;
}
// The register's stamp after a move that holds.
inline Stamp placed_by(const Stamp& placed, const Stamp& moved) {
    return placed < moved ? moved : Stamp{std::min(placed.time + 1, max_stamp_time), moved.origin};
}

}  // namespace fwmail::sync
