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
    std::size_t window_entries = 20'000;          // sent and not acknowledged
    std::uint64_t window_octets = 64 << 20;       // the same in octets; one entry may always go
    std::int64_t ack_quiet = 2'000;               // acknowledge when nothing has come for so long,
    std::int64_t ack_latest = 30'000;             // but so long after the first entry at the latest,
    std::uint64_t ack_entries = 1'000;            // or at once when so many wait
    std::uint64_t furthest_ahead = 1'000'000;     // numbers beyond the first gap that a receiver takes
    std::size_t most_gaps = 10'000;               // intervals that a receiver keeps
};

// Sender.

// One entry in the outbox.
struct OutgoingEntry {
    EntryNumber number;
    std::uint64_t octets = 0;  // encoded_size()
    std::uint32_t sends = 0;   // times sent
    UnixMillis due;            // when it is to be sent (again); a new entry: any time not in the future
    bool operator==(const OutgoingEntry&) const = default;
};

struct Outgoing {
    EntryNumber last_given;  // the highest number given out, 0 = none
    NumberSet settled;       // acknowledged
    NumberSet voids;         // given out, superseded, and not yet acknowledged: listed in each frame

    // The next number. Store it before it is sent.
    EntryNumber give() { return last_given = EntryNumber(last_given.value + 1); }
    // The number will never be sent again: what it said is said by a later one.
    void supersede(EntryNumber number);
    // Takes in acknowledgements; returns those that are news, whose outbox entries can go.
    // Refused, with nothing changed, when a number is acknowledged that was never given: one side's state is
    // not what it was (a restored backup), and a new epoch must begin.
    Result<NumberSet> on_acks(const NumberSet& acks);
};

// When an entry is due again that was sent at `sent` for the `sends`th time (from 1). `jitter`, 0 to 1023,
// spreads it over up to an eighth more, so that links do not beat in time.
UnixMillis resend_due(UnixMillis sent, std::uint32_t sends, std::uint32_t jitter,
                      const LinkSettings& settings = {});
// Which of `entries` (ascending numbers) are to be sent now: indices, in order. Those in flight fill the
// window first; those due again go before new ones.
std::vector<std::size_t> choose_due(std::span<const OutgoingEntry> entries, UnixMillis now,
                                    const LinkSettings& settings = {});
// When to ask again, given that what choose_due() named has been sent; none = nothing waits for time.
std::optional<UnixMillis> next_due(std::span<const OutgoingEntry> entries);
// A DSN says that a mail did not arrive: it hastens. The entry is due at `now` unless it is due before.
void hasten(OutgoingEntry& entry, UnixMillis now);

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
    void on_voids(const NumberSet& voids, const LinkSettings& settings = {});
    // The acknowledgement to send, as much as fits in `max_octets` of a frame, lowest numbers first.
    NumberSet acks(std::size_t max_octets) const;
};

// Whether a section belongs to the pair of epochs that the link is in.
struct EpochCheck {
    bool entries = false;  // its entries and voids may be applied
    bool acks = false;     // its acknowledgements are about our present numbers
    bool first = false;    // no epoch of the peer was known: remember this one
    std::string reason;    // why not, for the log; empty when all is well
};
EpochCheck check_epochs(const Epoch& own, const Epoch& peer, const AccountSection& section);

// When an acknowledgement mail is due. Frames without entries never start it.
struct AckTimer {
    std::uint64_t waiting = 0;  // entries, duplicates too, since the last acknowledgement went out
    UnixMillis first, last;     // when the first and the last of them came

    void on_section(const AccountSection& section, UnixMillis now);
    // None = nothing to acknowledge.
    std::optional<UnixMillis> due(const LinkSettings& settings = {}) const;
    // A frame with acknowledgements has been sent.
    void on_sent() { *this = {}; }
};

// Linear set operations.
NumberSet unite(const NumberSet& a, const NumberSet& b);
NumberSet subtract(const NumberSet& a, const NumberSet& b);
// The lowest intervals that encode into at most `max_octets`.
NumberSet trim(const NumberSet& set, std::size_t max_octets);

}  // namespace fwmail::sync
