// Packs outbox entries into frames that keep the resulting mail within max-mail-size. Pure.
//
// An object is split when its entries are numbered, so that a number means the same octets at every sending;
// packing then only distributes whole entries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"

namespace fwmail::sync {

inline constexpr std::size_t least_max_mail_size = 32 << 10;
inline constexpr std::size_t most_max_mail_size = 64 << 20;
// What node_mail and the MTAs on the way add at most to the base64 lines.
inline constexpr std::size_t mail_header_octets = 2 << 10;
// What signing and sealing a frame adds at most.
inline constexpr std::size_t openpgp_octets = 1 << 10;

// The largest frame whose mail is within `max_mail_size` octets, which is first brought into the two bounds
// above.
std::size_t max_frame_octets(std::size_t max_mail_size);
// The data octets of one chunk: with them a frame still has room for its section, acknowledgements included.
std::size_t chunk_size_for(std::size_t max_mail_size);
// Octets that the sets of one section (acks and voids together) may take beside a whole chunk.
std::size_t sets_room_for(std::size_t max_mail_size);

struct Stretch {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    bool operator==(const Stretch&) const = default;
};
// The chunks of an object of `total` octets: adjacent, in order, each of `chunk_size` but the last. Nothing
// for 0.
std::vector<Stretch> split_object(std::uint64_t total, std::size_t chunk_size);

struct PackEntry {
    EntryNumber number;
    std::size_t octets = 0;  // encoded_size()
};
struct PackSection {
    std::size_t overhead = 0;  // section_overhead(), counted in each frame that has entries of this section
    std::vector<PackEntry> entries;  // ascending numbers
};
struct PackedEntry {
    std::size_t section = 0;  // index into the input
    std::size_t entry = 0;    // index into its entries
    bool operator==(const PackedEntry&) const = default;
};
struct PackedFrame {
    std::vector<PackedEntry> entries;  // by section, then by number
    std::size_t octets = 0;            // upper bound of the written frame
};
struct Packing {
    std::vector<PackedFrame> frames;
    std::vector<PackedEntry> too_large;  // fit into no frame, not even alone
};
// Every entry once, in `frames` or in `too_large`; no frame above `max_octets`. Linear; order is kept but for
// small entries, which may move up into room left beside a large one.
Packing pack(std::span<const PackSection> sections, std::size_t max_octets);

}  // namespace fwmail::sync
