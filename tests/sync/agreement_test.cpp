// Nodes that change the flags of the same messages at once. When it is quiet in the end, all of them show the
// same.
#include <catch2/catch.hpp>

#include "lossy_network.hpp"
#include "support/seeds.hpp"
#include "sync/registers.hpp"

using namespace fwmail;
using namespace fwmail::sync;

namespace {

constexpr std::uint32_t messages = 4;

struct Flags {
    std::uint32_t message;
    FlagState state;
};

// A row names the message.
class Network : public sync::test::LossyNetwork<std::uint32_t, Flags> {
  public:
    explicit Network(unsigned seed) : LossyNetwork(seed) {
        for (auto& node : states_)
            for (auto& state : node) state.flags = FlagSet::from_text("\\Draft first");
    }

    void check() const {
        for (std::uint32_t m = 0; m < messages; ++m)
            for (std::size_t n = 1; n < nodes; ++n) REQUIRE(states_[n][m] == states_[0][m]);
        REQUIRE(is_quiet());
        // The last writer of each flag has won, by the stamps as they were given.
        for (std::uint32_t m = 0; m < messages; ++m)
            for (const auto& [key, last] : last_[m]) {
                bool found = false;
                for (const auto& r : states_[0][m].registers) found |= r.key == key && r.stamp == last;
                REQUIRE(found);
            }
    }

  private:
    void act(std::size_t n) override {
        static constexpr const char* words[] = {"\\Seen", "\\Flagged", "\\Deleted",
                                                "first",  "Second",    "second"};
        std::uint32_t m = static_cast<std::uint32_t>(below(messages));
        FlagSet flags = states_[n][m].flags, word = FlagSet::from_text(words[below(6)]);
        if (below(2))
            flags.add(word);
        else
            flags.remove(word);
        Stamp now = stamp(n);
        FlagState after = change_flags(states_[n][m], flags, now);
        if (after == states_[n][m]) return;
        for (const auto& r : after.registers)
            if (r.stamp == now) last_[m][r.key] = std::max(last_[m][r.key], now);
        states_[n][m] = std::move(after);
        plan(n, m, n);
    }
    std::optional<Flags> make(std::size_t n, const std::uint32_t& m) override {
        return Flags{m, states_[n][m]};
    }
    bool overtakes(const std::uint32_t& m, const std::uint32_t& older) const override { return m == older; }
    bool apply(std::size_t n, std::size_t from, const Flags& entry) override {
        FlagState theirs = entry.state;
        bool ahead = drop_ahead(theirs, time_at(n));
        see(n, latest_time(theirs.registers));
        auto& mine = states_[n][entry.message];
        FlagState after = merge_flags(mine, theirs);
        if (after != mine) {
            mine = after;
            plan(n, entry.message, after == theirs ? from : n);
        }
        return !ahead;
    }

    FlagState states_[nodes][messages];
    std::map<std::string, Stamp> last_[messages];
};

}  // namespace

TEST_CASE("agreement: flags changed everywhere at once are the same everywhere in the end") {
    std::uint64_t sent = 0, histories = 0;
    for (unsigned seed : fwmail::test::seeds(3'000)) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(20 + seed % 100);
        network.check();
        sent += network.sent();
        ++histories;
    }
    CHECK(sent > 16 * histories);
}
