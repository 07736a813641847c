// Nodes that change the flags of the same messages at once, and a network between them that loses, repeats,
// delays and reorders what they send. When it is quiet in the end, all of them show the same.
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>

#include "sync/link.hpp"
#include "sync/registers.hpp"

using namespace fwmail;
using namespace fwmail::sync;

namespace {

constexpr std::uint32_t messages = 4;
constexpr std::size_t nodes = 3;  // the first is core; the others are linked with it only

struct Sent {
    std::size_t from, to;
    std::map<std::uint64_t, std::pair<std::uint32_t, FlagState>> entries;  // by number
    NumberSet voids, acks;
};

// What a node keeps on its disk about one peer.
struct Link {
    std::uint64_t next = 1;
    std::map<std::uint64_t, std::uint32_t> outbox;  // number: which message; 0: void
    Incoming incoming;
};

class Network {
  public:
    explicit Network(unsigned seed) : random_(seed) {
        for (auto& node : nodes_) node.drift = static_cast<std::int64_t>(below(400'000)) - 200'000;
        for (auto& node : nodes_)
            for (auto& state : node.state) state.flags = FlagSet::from_text("\\Draft first");
    }

    void run(std::size_t steps) {
        for (std::size_t i = 0; i < steps; ++i) {
            now_ += static_cast<std::int64_t>(below(1000));
            std::size_t which = below(nodes);
            switch (below(6)) {
                case 0:
                case 1:
                    change(which);
                    break;
                case 2:
                    send_all(which);
                    break;
                case 3:
                    if (below(4) == 0)
                        nodes_[which].drift = static_cast<std::int64_t>(below(400'000)) - 200'000;
                    break;
                default:
                    deliver();
            }
        }
        // In the end mail flows.
        for (int round = 0; round < 8; ++round) {
            now_ += 600'000;  // and clocks that are ahead are caught up with
            for (std::size_t n = 0; n < nodes; ++n) send_all(n);
            while (!air_.empty()) {
                receive(air_.front());
                air_.pop_front();
            }
        }
    }

    void check() const {
        for (std::uint32_t m = 0; m < messages; ++m)
            for (std::size_t n = 1; n < nodes; ++n) REQUIRE(nodes_[n].state[m] == nodes_[0].state[m]);
        for (const auto& node : nodes_)
            for (const auto& [peer, link] : node.links) REQUIRE(link.outbox.empty());
        // The last writer of each flag has won, by the stamps as they were given.
        for (std::uint32_t m = 0; m < messages; ++m)
            for (const auto& [key, last] : last_[m]) {
                bool found = false;
                for (const auto& r : nodes_[0].state[m].registers) found |= r.key == key && r.stamp == last;
                REQUIRE(found);
            }
    }
    std::uint64_t sent() const { return sent_; }

  private:
    struct Node {
        std::int64_t drift = 0;
        std::uint64_t clock = 0;
        FlagState state[messages];
        std::map<std::size_t, Link> links;
    };

    std::size_t below(std::size_t n) { return random_() % n; }

    void change(std::size_t n) {
        static constexpr const char* words[] = {"\\Seen", "\\Flagged", "\\Deleted",
                                                "first",  "Second",    "second"};
        auto& node = nodes_[n];
        std::uint32_t m = static_cast<std::uint32_t>(below(messages));
        FlagSet flags = node.state[m].flags, word = FlagSet::from_text(words[below(6)]);
        if (below(2))
            flags.add(word);
        else
            flags.remove(word);
        node.clock = next_stamp_time(node.clock, UnixMillis{now_ + node.drift});
        Stamp stamp{node.clock, static_cast<std::uint32_t>(n)};
        FlagState after = change_flags(node.state[m], flags, stamp);
        if (after == node.state[m]) return;
        for (const auto& r : after.registers)
            if (r.stamp == stamp) last_[m][r.key] = std::max(last_[m][r.key], stamp);
        node.state[m] = std::move(after);
        plan(n, m, n);
    }

    // For every peer but the one from whom it came.
    void plan(std::size_t n, std::uint32_t m, std::size_t from) {
        for (std::size_t peer = 0; peer < nodes; ++peer) {
            if (peer == n || peer == from || (n != 0 && peer != 0)) continue;
            auto& link = nodes_[n].links[peer];
            for (auto& [number, what] : link.outbox)
                if (what == m + 1) what = 0;
            link.outbox[link.next++] = m + 1;
        }
    }

    void send_all(std::size_t n) {
        for (auto& [peer, link] : nodes_[n].links) {
            Sent mail{n, peer, {}, {}, link.incoming.applied};
            for (const auto& [number, what] : link.outbox)
                if (what)
                    mail.entries[number] = {what - 1, nodes_[n].state[what - 1]};
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
        auto& node = nodes_[mail.to];
        auto& link = node.links[mail.from];
        for (const auto& i : mail.acks.list())
            std::erase_if(link.outbox,
                          [&](const auto& row) { return row.first >= i.first && row.first <= i.last; });
        for (const auto& [number, entry] : mail.entries) {
            if (link.incoming.classify(EntryNumber{number}) != Arrival::fresh) continue;
            FlagState theirs = entry.second;
            UnixMillis here{now_ + node.drift};
            bool ahead = drop_ahead(theirs, here);
            node.clock = std::max(node.clock, latest_time(theirs.registers));
            auto& mine = node.state[entry.first];
            FlagState after = merge_flags(mine, theirs);
            if (after != mine) {
                mine = after;
                plan(mail.to, entry.first, after == theirs ? mail.from : mail.to);
            }
            if (!ahead) link.incoming.on_applied(EntryNumber{number});
        }
        for (const auto& i : mail.voids.list()) link.incoming.applied.add(i.first, i.last);
    }

    std::mt19937_64 random_;
    std::int64_t now_ = 1'700'000'000'000;
    Node nodes_[nodes];
    std::deque<Sent> air_;
    std::map<std::string, Stamp> last_[messages];
    std::uint64_t sent_ = 0;
};

}  // namespace

TEST_CASE("agreement: flags changed everywhere at once are the same everywhere in the end") {
    std::uint64_t sent = 0;
    for (unsigned seed = 1; seed <= 3'000; ++seed) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(20 + seed % 100);
        network.check();
        sent += network.sent();
    }
    CHECK(sent > 50'000);
}
