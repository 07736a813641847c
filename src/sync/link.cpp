#include "sync/link.hpp"

#include <algorithm>

#include "sync/wire.hpp"

namespace fwmail::sync {

namespace {

constexpr std::size_t short_acks = 100;  // intervals that always fit in a frame

// Linear.
NumberSet unite(const NumberSet& a, const NumberSet& b) {
    NumberSet out;
    auto i = a.list().begin(), j = b.list().begin();
    while (i != a.list().end() || j != b.list().end()) {
        bool from_a = j == b.list().end() || (i != a.list().end() && i->first <= j->first);
        const auto& next = from_a ? *i++ : *j++;
        out.add(next.first, next.last);  // at the end, so in constant time
    }
    return out;
}

}  // namespace

// Sender.

UnixMillis resend_due(UnixMillis sent, std::uint32_t sends, std::uint32_t jitter,
                      const LinkSettings& settings) {
    std::int64_t wait = settings.first_resend;
    for (std::uint32_t i = 1; i < sends && wait < settings.longest_resend; ++i) wait *= 2;
    wait = std::min(wait, settings.longest_resend);
    return UnixMillis(sent.value + wait + wait / 8 * std::min<std::int64_t>(jitter, 1023) / 1024);
}

FrameChoice choose_frame(std::span<const DueEntry> due, std::uint64_t target, bool under_way) {
    FrameChoice choice;
    std::uint64_t octets = 0;
    for (const auto& entry : due) {
        choice.full = choice.count > 0 && octets + entry.octets > target;
        if (choice.full || (under_way && entry.order != Order::any)) return choice;
        octets += entry.octets;
        choice.alone |= entry.order == Order::first;
        ++choice.count;
    }
    choice.full = octets >= target;
    return choice;
}

std::uint64_t frame_target(std::uint64_t largest, std::uint64_t mails_spent, std::uint64_t mails_allowed) {
    constexpr std::uint64_t overlapping = 1 << 20;
    return mails_spent < mails_allowed / 2 ? std::min(largest, overlapping) : largest;
}

// Receiver.

Arrival Incoming::classify(EntryNumber number, const LinkSettings& settings) const {
    if (applied.contains(number.value)) return Arrival::duplicate;
    std::uint64_t complete = applied.contiguous_from_one();
    // The first gap's own number is always taken, or a full set could never shrink.
    if (number.value == complete + 1) return Arrival::fresh;
    if (number.value - complete > settings.furthest_ahead) return Arrival::too_far;
    bool joins = applied.contains(number.value - 1) || applied.contains(number.value + 1);
    if (!joins && applied.list().size() >= settings.most_gaps) return Arrival::too_far;
    return Arrival::fresh;
}

NumberSet Incoming::reachable(const NumberSet& voids, const LinkSettings& settings) const {
    NumberSet near;
    std::uint64_t furthest = applied.contiguous_from_one() + settings.furthest_ahead;
    for (const auto& interval : voids.list()) {
        if (interval.first > furthest) break;
        near.add(interval.first, std::min(interval.last, furthest));
    }
    std::size_t most = std::max(settings.most_gaps, applied.list().size());
    return unite(applied, near).list().size() <= most ? near : NumberSet();
}

NumberSet Incoming::acks(std::size_t max_octets) const { return trim(applied, max_octets); }

EpochState begin_epoch(const EpochState& state, std::uint64_t random) {
    EpochState next = state;
    next.own = {state.own.counter + 1, random};
    next.begun = true;
    next.heard = next.lost = false;
    return next;
}

SectionVerdict judge_section(const EpochState& state, const AccountSection& section,
                             const NumbersKnown& known, std::uint64_t random) {
    SectionVerdict verdict;
    verdict.state = state;
    auto& next = verdict.state;
    // The peer has not heard yet that we have begun anew: until then there is nothing more to begin.
    bool unheard = state.begun && !state.heard && !known.state_used;
    std::uint64_t above = state.own.counter;
    auto begin = [&](std::string reason) {
        verdict.begun = true;
        verdict.reason = std::move(reason);
    };

    if (section.echo == state.own) {
        next.heard = true;
    } else if (section.echo.counter >= state.own.counter) {
        above = section.echo.counter;
        verdict.restored = true;
        begin("it knows an epoch of ours, " + section.echo.text() + ", that we do not: ours is " +
              state.own.text());
    }

    if (state.peer.is_none()) {
        next.peer = section.epoch;
        next.peer_life = section.life;
    } else if (section.epoch.counter > state.peer.counter) {
        verdict.adopted = true;
        next.peer = section.epoch;
        next.peer_life = section.life;
        verdict.restored |= section.lost;
        // Or it has heard of that one, and we have lost what we knew in it.
        bool lost_since = section.lost && section.echo == state.own;
        if ((!unheard || lost_since) && !verdict.begun)
            begin("it has begun epoch " + section.epoch.text() +
                  (section.lost ? ": we have lost what we knew" : ""));
    } else if (section.epoch != state.peer) {
        verdict.reason = "it is of epoch " + section.epoch.text() + ", the link is in " + state.peer.text();
        if (!verdict.begun) return verdict;
    } else if (section.life > state.peer_life) {
        NumberSet forgotten;
        if (section.echo == state.own) {
            forgotten = known.acknowledged;
            for (const auto& i : section.acks.list()) forgotten.remove(i.first, i.last);
            // Of a long list what did not fit may be missing.
            if (section.acks.list().size() >= short_acks) {
                std::uint64_t last = section.acks.list().back().last;
                if (last < max_number) forgotten.remove(last + 1, max_number);
            }
        }
        bool reused = known.highest_applied >= section.first.value;
        if (!reused && forgotten.empty()) {
            next.peer_life = section.life;
        } else {
            next.lost = true;
            if (unheard) {
                verdict.reason = "it has lost what it knew";
                return verdict;
            }
            begin(std::string("it has lost what it knew: ") +
                  (reused ? "it gives numbers that it had given" : "it has not what it had acknowledged"));
        }
    }
    if (section.echo == state.own && !section.acks.empty() &&
        section.acks.list().back().last >= known.next.value && !verdict.begun) {
        verdict.restored = true;
        begin("it acknowledges numbers that we have not given");
    }
    if (verdict.adopted) next.lost = false;
    if (verdict.begun) {
        next.own = {above + 1, random};
        next.begun = true;
        next.heard = false;
    }
    // An earlier life of the peer may have acknowledged what the present one has lost.
    bool earlier = section.epoch == state.peer && section.life < state.peer_life;
    verdict.acks = section.echo == next.own && !earlier;
    // Its numbers are no good: it will begin anew when it hears of that.
    verdict.entries = section.epoch == next.peer && !next.lost;
    return verdict;
}

void AckTimer::on_section(const AccountSection& section, UnixMillis now) {
    if (!section.entries.empty()) ask(now, section.entries.size());
}

void AckTimer::ask(UnixMillis now, std::uint64_t entries) {
    if (waiting == 0) first = now;
    last = now;
    waiting += entries;
}

std::optional<UnixMillis> AckTimer::due(const LinkSettings& settings) const {
    if (waiting == 0) return std::nullopt;
    if (waiting >= settings.ack_entries) return last;
    return UnixMillis(std::min(last.value + settings.ack_quiet, first.value + settings.ack_latest));
}

NumberSet trim(const NumberSet& set, std::size_t max_octets) {
    NumberSet out;
    Writer count;
    count.varint(set.list().size());
    std::size_t octets = count.size();
    std::uint64_t next = 1;
    for (const auto& interval : set.list()) {
        Writer one;
        one.varint(interval.first - next);
        one.varint(interval.last - interval.first);
        octets += one.size();
        if (octets > max_octets) break;
        out.add(interval.first, interval.last);
        next = interval.last + 2;
    }
    return out;
}

}  // namespace fwmail::sync
