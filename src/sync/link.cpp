#include "sync/link.hpp"

#include <algorithm>

#include "sync/wire.hpp"

namespace fwmail::sync {

// Sender.

void Outgoing::supersede(EntryNumber number) {
    if (!settled.contains(number.value)) voids.add(number.value);
}

Result<NumberSet> Outgoing::on_acks(const NumberSet& acks) {
    if (acks.empty()) return NumberSet{};
    std::uint64_t highest = acks.list().back().last;
    if (highest > last_given.value)
        return fail(ErrorKind::refused, "entry " + std::to_string(highest) + " is acknowledged, but only " +
                                            std::to_string(last_given.value) +
                                            " were ever numbered; was one side restored from a backup?");
    NumberSet news = subtract(acks, settled);
    settled = unite(settled, acks);
    voids = subtract(voids, acks);
    return news;
}

UnixMillis resend_due(UnixMillis sent, std::uint32_t sends, std::uint32_t jitter,
                      const LinkSettings& settings) {
    std::int64_t wait = settings.first_resend;
    for (std::uint32_t i = 1; i < sends && wait < settings.longest_resend; ++i) wait *= 2;
    wait = std::min(wait, settings.longest_resend);
    return UnixMillis(sent.value + wait + wait / 8 * std::min<std::int64_t>(jitter, 1023) / 1024);
}

std::vector<std::size_t> choose_due(std::span<const OutgoingEntry> entries, UnixMillis now,
                                    const LinkSettings& settings) {
    std::vector<std::size_t> chosen;
    std::size_t in_flight = 0;
    std::uint64_t octets = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].sends == 0) continue;
        ++in_flight;
        octets += entries[i].octets;
        if (entries[i].due <= now) chosen.push_back(i);
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].sends != 0 || entries[i].due > now) continue;
        bool fits =
            in_flight < settings.window_entries && octets + entries[i].octets <= settings.window_octets;
        if (!fits && in_flight != 0) break;  // none overtakes a new one that must wait
        ++in_flight;
        octets += entries[i].octets;
        chosen.push_back(i);
    }
    std::ranges::sort(chosen);
    return chosen;
}

std::optional<UnixMillis> next_due(std::span<const OutgoingEntry> entries) {
    std::optional<UnixMillis> next;
    for (const auto& entry : entries)
        if (entry.sends != 0 && (!next || entry.due < *next)) next = entry.due;
    return next;
}

void hasten(OutgoingEntry& entry, UnixMillis now) { entry.due = std::min(entry.due, now); }

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

void Incoming::on_voids(const NumberSet& voids, const LinkSettings& settings) {
    NumberSet near;
    std::uint64_t furthest = applied.contiguous_from_one() + settings.furthest_ahead;
    for (const auto& interval : voids.list()) {
        if (interval.first > furthest) break;  // listed again until acknowledged
        near.add(interval.first, std::min(interval.last, furthest));
    }
    NumberSet all = unite(applied, near);
    if (all.list().size() <= std::max(settings.most_gaps, applied.list().size())) applied = std::move(all);
}

NumberSet Incoming::acks(std::size_t max_octets) const { return trim(applied, max_octets); }

EpochCheck check_epochs(const Epoch& own, const Epoch& peer, const AccountSection& section) {
    EpochCheck check;
    if (section.epoch.is_none()) {
        check.reason = "the peer names no epoch of its own";
        return check;
    }
    check.first = peer.is_none();
    if (!check.first && section.epoch != peer) {
        check.reason = "the peer is in epoch " + section.epoch.text() + ", the link in " + peer.text();
        return check;
    }
    check.entries = true;
    check.acks = section.echo == own;
    if (!check.acks && !section.acks.empty())
        check.reason =
            "the peer acknowledges numbers of our epoch " + section.echo.text() + ", ours is " + own.text();
    return check;
}

void AckTimer::on_section(const AccountSection& section, UnixMillis now) {
    if (section.entries.empty()) return;
    if (waiting == 0) first = now;
    last = now;
    waiting += section.entries.size();
}

std::optional<UnixMillis> AckTimer::due(const LinkSettings& settings) const {
    if (waiting == 0) return std::nullopt;
    if (waiting >= settings.ack_entries) return last;
    return UnixMillis(std::min(last.value + settings.ack_quiet, first.value + settings.ack_latest));
}

// Sets.

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

NumberSet subtract(const NumberSet& a, const NumberSet& b) {
    NumberSet out;
    auto cut = b.list().begin();
    for (auto [first, last] : a.list()) {
        while (cut != b.list().end() && cut->last < first) ++cut;
        bool left = true;
        for (auto c = cut; c != b.list().end() && c->first <= last; ++c) {
            if (c->first > first) out.add(first, c->first - 1);
            left = c->last < last;
            if (!left) break;
            first = c->last + 1;
            cut = c;
        }
        if (left) out.add(first, last);
    }
    return out;
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
