// Nodes that are linked with core only, and between them a way that loses, repeats, delays and reorders.
// Their clocks are wrong. What a node knows and does is its user's; numbers, acknowledgements and voids are
// as in sync/link.hpp.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <random>

#include "sync/link.hpp"
#include "sync/stamp.hpp"

namespace fwmail::sync::test {

// Row: what an outbox keeps; the entry is made of it whenever it is sent.
template <class Row, class Entry>
class LossyNetwork {
  public:
    static constexpr std::size_t nodes = 3;  // the first is core

    virtual ~LossyNetwork() = default;

    // So many things happen; then mail flows, until all clocks have caught up with all stamps.
    void run(std::size_t steps) {
        for (std::size_t i = 0; i < steps; ++i) {
            now_ += static_cast<std::int64_t>(below(1000));
            std::size_t n = below(nodes);
            switch (below(6)) {
                case 0:
                case 1:
                    act(n);
                    break;
                case 2:
                    send_all(n);
                    break;
                case 3:
                    if (below(4) == 0) places_[n].drift = drift();
                    break;
                default:
                    deliver();
            }
        }
        for (int round = 0; round < 12; ++round) {
            now_ += 600'000;
            for (std::size_t n = 0; n < nodes; ++n) send_all(n);
            for (; !air_.empty(); air_.pop_front()) receive(air_.front());
        }
    }
    std::uint64_t sent() const { return sent_; }
    bool is_quiet() const {
        for (const auto& place : places_)
            for (const auto& [peer, link] : place.links)
                if (!link.outbox.empty()) return false;
        return true;
    }

  protected:
    explicit LossyNetwork(unsigned seed) : random_(seed) {
        for (auto& place : places_) place.drift = drift();
    }

    // A client does something at this node.
    virtual void act(std::size_t n) = 0;
    // Nothing: the number is void.
    virtual std::optional<Entry> make(std::size_t n, const Row& row) = 0;
    // False: it has to come again.
    virtual bool apply(std::size_t n, std::size_t from, const Entry& entry) = 0;
    // Whether an older row need not be sent any more.
    virtual bool overtakes(const Row& row, const Row& older) const = 0;

    // For every peer but one; itself: for all.
    void plan(std::size_t n, const Row& row, std::size_t but) {
        for (std::size_t peer = 0; peer < nodes; ++peer) {
            if (peer == n || peer == but || (n != 0 && peer != 0)) continue;
            auto& link = places_[n].links[peer];
            for (auto& [number, older] : link.outbox)
                if (older && overtakes(row, *older)) older.reset();
            link.outbox[link.next++] = row;
        }
    }
    std::size_t below(std::size_t n) { return random_() % n; }
    UnixMillis time_at(std::size_t n) const { return UnixMillis{now_ + places_[n].drift}; }
    Stamp stamp(std::size_t n) {
        places_[n].clock = next_stamp_time(places_[n].clock, time_at(n));
        return {places_[n].clock, static_cast<std::uint32_t>(n)};
    }
    void see(std::size_t n, std::uint64_t time) { places_[n].clock = std::max(places_[n].clock, time); }

  private:
    struct Link {
        std::uint64_t next = 1;
        std::map<std::uint64_t, std::optional<Row>> outbox;  // by number; nothing: void
        Incoming incoming;
    };
    struct Place {
        std::int64_t drift = 0;
        std::uint64_t clock = 0;
        std::map<std::size_t, Link> links;
    };
    struct Sent {
        std::size_t from, to;
        std::map<std::uint64_t, Entry> entries;
        NumberSet voids, acks;
    };

    std::int64_t drift() { return static_cast<std::int64_t>(below(400'000)) - 200'000; }

    void send_all(std::size_t n) {
        for (auto& [peer, link] : places_[n].links) {
            Sent mail{n, peer, {}, {}, link.incoming.applied};
            for (const auto& [number, row] : link.outbox)
                if (auto entry = row ? make(n, *row) : std::nullopt)
                    mail.entries[number] = std::move(*entry);
                else
                    mail.voids.add(number);
            ++sent_;
            air_.push_back(std::move(mail));
        }
    }
    void deliver() {
        if (air_.empty()) return;
        std::size_t which = below(air_.size());
        Sent mail = air_[which];
        std::size_t fate = below(10);
        if (fate > 1) air_.erase(air_.begin() + static_cast<std::ptrdiff_t>(which));  // else it comes again
        if (fate < 7) receive(mail);                                                  // else it is lost
    }
    void receive(const Sent& mail) {
        auto& link = places_[mail.to].links[mail.from];
        for (const auto& i : mail.acks.list())
            std::erase_if(link.outbox,
                          [&](const auto& row) { return row.first >= i.first && row.first <= i.last; });
        for (const auto& [number, entry] : mail.entries)
            if (link.incoming.classify(EntryNumber{number}) == Arrival::fresh &&
                apply(mail.to, mail.from, entry))
                link.incoming.on_applied(EntryNumber{number});
        for (const auto& i : mail.voids.list()) link.incoming.applied.add(i.first, i.last);
    }

    std::mt19937_64 random_;
    std::int64_t now_ = 1'700'000'000'000;
    Place places_[nodes];
    std::deque<Sent> air_;
    std::uint64_t sent_ = 0;
};

}  // namespace fwmail::sync::test
