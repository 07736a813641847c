// A frame: what one node mail (or one dock message) carries, before it is signed and sealed. fwmail-sync(7)
// gives the octets. Metadata is compressed as one block; the data of chunks lies behind it, as it is
// encrypted already.
//
// Invariants: parse_frame(write_frame(f)) == f; whatever parse_frame() accepts, write_frame() accepts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"
#include "sync/entries.hpp"
#include "sync/epoch.hpp"

namespace fwmail::sync {

inline constexpr std::uint64_t frame_version = 1;

using FrameId = Id128<struct FrameIdTag>;

struct Numbered {
    EntryNumber number;  // from 1, below 2^63
    Entry entry;
    bool operator==(const Numbered&) const = default;
};

// What an account was like at one moment, in which the sender had nothing to tell: all that it had told was
// acknowledged. Compared by a receiver that stands at the same cut, and by no other.
struct Digests {
    struct One {
        MailboxId mailbox;  // zero: the subscribed names
        Sha256 sha256{};
        bool operator==(const One&) const = default;
    };
    std::uint64_t sent = 0;     // the sender had told its entries 1 to this,
    std::uint64_t applied = 0;  // and applied the receiver's 1 to this; both below 2^63
    UnixMillis since;           // what is older is in none of them; years 1 to 9999
    std::vector<One> list;      // of all mailboxes; ascending
    bool operator==(const Digests&) const = default;
};

// What came of comparing the receiver's digests with the sender's own.
struct Compared {
    std::uint64_t digests = 0;    // how many; below 2^63
    std::uint64_t differing = 0;  // at most so many; what they stand for is told whole
    bool operator==(const Compared&) const = default;
};

// One account's share of a frame. The account id zero is the node's own section.
struct AccountSection {
    AccountId account;
    Epoch epoch;           // the sender's
    Epoch echo;            // the receiver's, as the sender last heard it; none = not heard
    NumberSet acks;        // numbers of the other direction that the sender has applied, in epoch `echo`
    NumberSet voids;       // numbers of this direction that will never come: superseded
    Life life;             // the sender's
    EntryNumber first{1};  // numbers from this one on have been given in this life only
    bool lost = false;     // the receiver does not know any more what it knew: this is why the epoch is new
    std::optional<Digests> digests;
    std::optional<Compared> compared;
    std::vector<Numbered> entries;  // numbers strictly ascending
    bool operator==(const AccountSection&) const = default;

    // Nothing in it wants an acknowledgement.
    bool ack_only() const { return entries.empty(); }
};

struct Frame {
    std::uint64_t version = frame_version;
    NodeId from, to;  // neither zero, not the same
    FrameId id;       // random
    UnixMillis created;
    std::vector<AccountSection> sections;  // each account once
    bool operator==(const Frame&) const = default;
};

struct FrameLimits {
    std::size_t octets = 64 << 20;       // of the whole frame
    std::size_t meta_octets = 16 << 20;  // of its metadata, uncompressed
    std::size_t sections = 10'000;
    std::size_t entries = 100'000;   // in all sections
    std::size_t intervals = 50'000;  // in one set of numbers
    std::size_t digests = 100'000;   // of one section
};

// Fails (protocol, with the reason) where the frame breaks an invariant or a limit, so that nothing is sent
// that the peer must refuse. `compress` false leaves the metadata readable.
Result<std::string> write_frame(const Frame& frame, const FrameLimits& limits = {}, bool compress = true);
// Kind refused: of a later version, or with a critical part that this version does not know. Kind protocol:
// damaged.
Result<Frame> parse_frame(std::string_view octets, const FrameLimits& limits = {});

// Octets of a frame without sections, at most.
inline constexpr std::size_t frame_overhead = 128;
// Octets of a section without its entries, at most.
std::size_t section_overhead(const AccountSection& section);
// What one digest takes.
inline constexpr std::size_t digest_octets = 16 + 32;

}  // namespace fwmail::sync
