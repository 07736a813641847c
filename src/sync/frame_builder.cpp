#include "sync/frame_builder.hpp"

#include <algorithm>

#include "sync/entries.hpp"
#include "sync/frame.hpp"

namespace fwmail::sync {

namespace {

// A chunk entry without its data: number, tag, length, email, hash, offset, total, size.
constexpr std::size_t chunk_overhead = 9 + 1 + 1 + 16 + 32 + 6 + 6 + 4;
// A section without entries and with empty sets.
constexpr std::size_t bare_section = 96;

// What a frame has taken so far.
struct Room {
    std::size_t octets = frame_overhead;
    std::size_t meta = 0;
    std::size_t entries = 0;
    std::size_t sections = 0;

    void add(std::size_t overhead, std::size_t entry, bool new_section) {
        octets += entry + (new_section ? overhead : 0);
        // An entry larger than this is a chunk, and its data is no metadata. A smaller one is counted as if
        // it were: that errs on the safe side.
        meta += (entry > max_payload_octets + chunk_overhead ? chunk_overhead : entry) +
                (new_section ? overhead : 0);
        entries += 1;
        sections += new_section;
    }
    bool within(std::size_t max_octets) const {
        constexpr FrameLimits limits;
        return octets <= std::min(max_octets, limits.octets) && meta <= limits.meta_octets &&
               entries <= limits.entries && sections <= limits.sections;
    }
};

}  // namespace

std::size_t max_frame_octets(std::size_t max_mail_size) {
    max_mail_size = std::clamp(max_mail_size, least_max_mail_size, most_max_mail_size);
    // 57 octets make a line of 76 characters and CRLF (RFC 2045 6.8).
    return (max_mail_size - mail_header_octets) / 78 * 57 - openpgp_octets;
}

std::size_t sets_room_for(std::size_t max_mail_size) {
    return std::min<std::size_t>(64 << 10, max_frame_octets(max_mail_size) / 8);
}

std::size_t chunk_size_for(std::size_t max_mail_size) {
    std::size_t taken = frame_overhead + bare_section + sets_room_for(max_mail_size) + chunk_overhead;
    return std::min(max_frame_octets(max_mail_size) - taken, max_chunk_octets);
}

std::vector<Stretch> split_object(std::uint64_t total, std::size_t chunk_size) {
    std::vector<Stretch> stretches;
    if (chunk_size == 0) return stretches;
    for (std::uint64_t offset = 0; offset < total; offset += stretches.back().size)
        stretches.push_back({offset, std::min<std::uint64_t>(chunk_size, total - offset)});
    return stretches;
}

Packing pack(std::span<const PackSection> sections, std::size_t max_octets) {
    Packing packing;
    PackedFrame frame;
    Room room;
    auto close = [&] {
        if (!frame.entries.empty()) {
            frame.octets = room.octets;
            packing.frames.push_back(std::move(frame));
        }
        frame = {};
        room = {};
    };
    for (std::size_t s = 0; s < sections.size(); ++s) {
        const PackSection& section = sections[s];
        for (std::size_t e = 0; e < section.entries.size(); ++e) {
            Room alone;
            alone.add(section.overhead, section.entries[e].octets, true);
            if (!alone.within(max_octets)) {
                packing.too_large.push_back({s, e});
                continue;
            }
            Room with = room;
            with.add(section.overhead, section.entries[e].octets,
                     frame.entries.empty() || frame.entries.back().section != s);
            if (!with.within(max_octets)) close();
            room = frame.entries.empty() ? alone : with;
            frame.entries.push_back({s, e});
        }
    }
    close();
    return packing;
}

}  // namespace fwmail::sync
