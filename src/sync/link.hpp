// Bookkeeping of one direction of one link for one account: pure decisions over values. The store keeps the
// values; the service asks, does, and writes back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"
#include "sync/epoch.hpp"
#include "sync/frame.hpp"

namespace fwmail::sync {

// Times in milliseconds.
struct LinkSettings {
    std::int64_t first_resend =
        10 * 60'000;  // after the first sending without an acknowledgement; then doubling
    std::int64_t longest_resend = 6 * 3'600'000;  // up to this
    std::int64_t ack_quiet = 2'000;               // acknowledge when nothing has come for so long,
    std::int64_t ack_latest = 30'000;             // but so long after the first entry at the latest,
    std::uint64_t ack_entries = 1'000;            // or at once when so many wait
    std::uint64_t furthest_ahead = 1'000'000;     // numbers beyond the first gap that a receiver takes
    std::size_t most_gaps = 10'000;               // intervals that a receiver keeps
};

// Sender.

// When an entry is due again that was sent at `sent` for the `sends`th time (from 1). `jitter`, 0 to 1023,
// spreads it over up to an eighth more, so that links do not beat in time.
UnixMillis resend_due(UnixMillis sent, std::uint32_t sends, std::uint32_t jitter,
                      const LinkSettings& settings = {});

// Frames of an account may overtake each other on the way. Any order is right in the end, but some cost the
// receiver a resending.
enum class Order {
    any,     // messages and their bodies, mailboxes, expunges
    behind,  // flags: not beside a frame that may carry their message
    first,   // the account, which the receiver must know before anything else
};
struct DueEntry {
    std::uint64_t octets = 0;  // about what it takes in a frame
    Order order = Order::any;
};
struct FrameChoice {
    std::size_t count =
        0;              // of the due entries, from the first on; 0 = wait until what is under way has arrived
    bool full = false;  // more would not have fitted
    bool alone = false;  // no other frame of the account until this one has arrived
};
// What the next frame of an account takes, of entries in the order in which they are due. `target`: the
// octets that it should have. `under_way`: other frames of the account have been sent and did not arrive yet.
FrameChoice choose_frame(std::span<const DueEntry> due, std::uint64_t target, bool under_way);

// The octets of a frame while more waits. Small frames overlap better on their way, but each is a mail: when
// half of an hour's mails are spent only whole ones are sent.
std::uint64_t frame_target(std::uint64_t largest, std::uint64_t mails_spent, std::uint64_t mails_allowed);

// Receiver.

enum class Arrival {
    fresh,      // apply it, then add it to `applied` in the same transaction
    duplicate,  // applied before; acknowledge again
    too_far,    // beyond what is kept: drop it unacknowledged, it will be sent again
};

struct Incoming {
    NumberSet applied;  // with the voids that were heard

    Arrival classify(EntryNumber number, const LinkSettings& settings = {}) const;
    void on_applied(EntryNumber number) { applied.add(number.value); }
    // What of a peer's void numbers is taken down as applied; the rest is listed again until acknowledged.
    NumberSet reachable(const NumberSet& voids, const LinkSettings& settings = {}) const;
    // The acknowledgement to send, as much as fits in `max_octets` of a frame, lowest numbers first.
    NumberSet acks(std::size_t max_octets) const;
};

// What a node knows of the epochs of one account on one link.
//
// An epoch is begun when one of the two has lost what it knew: its backup was restored, its file is new. Then
// both begin one, and tell each other all that there is in it. Its counter is above every one that either has
// heard of, so that what is under way from before is nothing but old.
struct EpochState {
    Epoch own;
    Epoch peer;          // none: not heard of
    bool begun = false;  // `own` was begun since the link was made: all that there is is being told in it
    bool heard = false;  // the peer has named `own`
    bool lost = false;   // `own` was begun because the peer has lost what it knew: it is told so
    Life peer_life;      // the latest that was heard of
    bool operator==(const EpochState&) const = default;
};

// Numbers that a node knows of, for judge_section().
struct NumbersKnown {
    EntryNumber next{1};  // of the node's own: the one to be given next
    // Something of what the peer has told in its present epoch has been relied upon.
    bool state_used = false;
    // These two are needed only where the section is of another life.
    std::uint64_t highest_applied = 0;  // of the peer's
    NumberSet acknowledged = {};        // of the node's own
};

struct SectionVerdict {
    EpochState state;       // from now on
    bool entries = false;   // its entries and voids may be applied
    bool acks = false;      // its acknowledgements are about our present numbers
    bool adopted = false;   // the peer has begun an epoch: none of its numbers has been applied
    bool begun = false;     // so does this node: all its numbers are to be given anew
    bool restored = false;  // it is this node that has lost what it knew
    std::string reason;     // for the log; empty when all is as it was
};
// `random`: of the epoch that is begun, if one is.
SectionVerdict judge_section(const EpochState& state, const AccountSection& section,
                             const NumbersKnown& known, std::uint64_t random);
// A new epoch that was not asked for by the peer: above all that is known.
EpochState begin_epoch(const EpochState& state, std::uint64_t random);

// When an acknowledgement mail is due. Frames without entries never start it.
struct AckTimer {
    std::uint64_t waiting = 0;  // entries, duplicates too, since the last acknowledgement went out
    UnixMillis first, last;     // when the first and the last of them came

    void on_section(const AccountSection& section, UnixMillis now);
    // The peer is to hear from us, as if so many entries had come.
    void ask(UnixMillis now, std::uint64_t entries = 1);
    // None = nothing to acknowledge.
    std::optional<UnixMillis> due(const LinkSettings& settings = {}) const;
    // A frame with acknowledgements has been sent.
    void on_sent() { *this = {}; }
};

// The lowest intervals that encode into at most `max_octets`.
NumberSet trim(const NumberSet& set, std::size_t max_octets);

}  // namespace fwmail::sync
