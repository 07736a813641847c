#include "sync/link.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "support/seeds.hpp"

using namespace fwmail;
using namespace fwmail::sync;

namespace {

constexpr std::int64_t minute = 60'000;
constexpr Epoch own{1, 11}, peer{1, 22};

NumberSet set_of(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> intervals) {
    NumberSet set;
    for (auto [first, last] : intervals) set.add(first, last);
    return set;
}

AccountSection with_entries(std::size_t count) {
    AccountSection section;
    section.epoch = peer;
    section.echo = own;
    for (std::size_t i = 0; i < count; ++i) section.entries.push_back({EntryNumber(i + 1), UnknownEntry{}});
    return section;
}

}  // namespace

TEST_CASE("link: an acknowledgement holds the lowest numbers that fit") {
    for (unsigned seed = 1; seed <= 500; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        NumberSet a;
        for (int i = 0; i < 12; ++i) {
            std::uint64_t first = 1 + random() % 40;
            a.add(first, first + random() % 4);
        }
        Writer whole;
        whole.numbers(a);
        REQUIRE(trim(a, whole.size()) == a);
        for (std::size_t room = 0; room < whole.size(); ++room) {
            NumberSet part = trim(a, room);
            Writer written;
            written.numbers(part);
            REQUIRE(written.size() <= std::max<std::size_t>(room, 1));
            REQUIRE(part.list().size() < a.list().size());
            REQUIRE(std::equal(part.list().begin(), part.list().end(), a.list().begin()));
        }
    }
}

TEST_CASE("link: resending waits 10 minutes, doubling to 6 hours, spread by jitter") {
    std::int64_t expected[] = {10, 20, 40, 80, 160, 320, 360, 360};
    for (std::uint32_t sends = 1; sends <= 8; ++sends) {
        CHECK(resend_due(UnixMillis(5), sends, 0).value == 5 + expected[sends - 1] * minute);
        std::int64_t spread =
            resend_due(UnixMillis(5), sends, 1023).value - resend_due(UnixMillis(5), sends, 0).value;
        CHECK(spread > expected[sends - 1] * minute / 9);
        CHECK(spread <= expected[sends - 1] * minute / 8);
    }
    CHECK(resend_due(UnixMillis(0), UINT32_MAX, UINT32_MAX).value <= 7 * 60 * minute);
}

TEST_CASE("link: a frame takes what is due, in order, up to its size") {
    auto choose = [](std::vector<DueEntry> due, bool under_way = false) {
        auto c = choose_frame(due, 100, under_way);
        return std::tuple(c.count, c.full, c.alone);
    };
    using Chosen = std::tuple<std::size_t, bool, bool>;
    CHECK(choose({}) == Chosen{0, false, false});
    CHECK(choose({{40}, {40}}) == Chosen{2, false, false});
    CHECK(choose({{40}, {40}, {40}}) == Chosen{2, true, false});
    CHECK(choose({{60}, {40}}) == Chosen{2, true, false});
    CHECK(choose({{500}, {1}}) == Chosen{1, true, false});  // larger than a frame should be: by itself
    CHECK(choose({{500}}) == Chosen{1, true, false});
    CHECK(choose({{1, Order::first}, {1}}) == Chosen{2, false, true});
    CHECK(choose({{1}, {1, Order::behind}}) ==
          Chosen{2, false, false});  // in one frame they keep their order
    CHECK(choose({{1}, {1, Order::behind}}, true) == Chosen{1, false, false});
    CHECK(choose({{1, Order::behind}, {1}}, true) == Chosen{0, false, false});
    CHECK(choose({{1, Order::first}}, true) == Chosen{0, false, false});
}

TEST_CASE("link: frames are small until half of an hour's mails are spent") {
    CHECK(frame_target(5 << 20, 0, 1000) == 1 << 20);
    CHECK(frame_target(5 << 20, 499, 1000) == 1 << 20);
    CHECK(frame_target(5 << 20, 500, 1000) == 5 << 20);
    CHECK(frame_target(30 << 10, 0, 1000) == 30 << 10);
    CHECK(frame_target(5 << 20, 0, 1) == 5 << 20);
}

TEST_CASE("link: the receiver tells fresh, duplicate and too far") {
    LinkSettings settings;
    settings.furthest_ahead = 100;
    settings.most_gaps = 3;
    Incoming in;
    CHECK(in.classify(EntryNumber(1), settings) == Arrival::fresh);
    CHECK(in.classify(EntryNumber(101), settings) == Arrival::too_far);
    CHECK(in.classify(EntryNumber(100), settings) == Arrival::fresh);
    for (std::uint64_t n : {10, 20, 30}) in.on_applied(EntryNumber(n));
    CHECK(in.classify(EntryNumber(20), settings) == Arrival::duplicate);
    CHECK(in.classify(EntryNumber(15), settings) == Arrival::too_far);  // a fourth interval
    CHECK(in.classify(EntryNumber(11), settings) == Arrival::fresh);
    CHECK(in.classify(EntryNumber(19), settings) == Arrival::fresh);
    CHECK(in.classify(EntryNumber(1), settings) == Arrival::fresh);  // always, or it would never shrink
    CHECK(in.reachable(set_of({{40, 40}}), settings).empty());
    in.applied.add(in.reachable(set_of({{1, 9}}), settings));
    CHECK(in.applied.contiguous_from_one() == 10);
    CHECK(in.classify(EntryNumber(5), settings) == Arrival::duplicate);
    in.applied.add(in.reachable(set_of({{11, max_number}}), settings));
    CHECK(in.applied == set_of({{1, 110}}));
    CHECK(in.acks(2).empty());
    CHECK(in.acks(10) == in.applied);
}

EpochState at_ease() { return {own, peer, false, true, false, {UnixMillis(1000), 7}}; }
AccountSection of_peer(std::size_t count = 1) {
    AccountSection section = with_entries(count);
    section.life = {UnixMillis(1000), 7};
    section.first = EntryNumber(1);
    return section;
}
NumbersKnown known_up_to(std::uint64_t applied, std::uint64_t given) {
    NumbersKnown known;
    known.highest_applied = applied;
    known.next = EntryNumber(given + 1);
    if (given) known.acknowledged.add(1, given);
    return known;
}

TEST_CASE("epochs: where both know what they knew, nothing changes") {
    AccountSection section = of_peer();
    section.acks.add(1, 9);
    auto verdict = judge_section(at_ease(), section, known_up_to(50, 9), 99);
    CHECK(verdict.entries);
    CHECK(verdict.acks);
    CHECK(verdict.state == at_ease());
    CHECK(verdict.reason.empty());

    // Another life that remembers all.
    section.life = {UnixMillis(2000), 8};
    section.first = EntryNumber(51);
    verdict = judge_section(at_ease(), section, known_up_to(50, 9), 99);
    CHECK(verdict.entries);
    CHECK(verdict.acks);
    CHECK_FALSE(verdict.begun);
    CHECK(verdict.state.peer_life == section.life);
    // What is late from the life before is good.
    section = of_peer();
    auto later = verdict.state;
    verdict = judge_section(later, section, known_up_to(50, 9), 99);
    CHECK(verdict.entries);
    CHECK(verdict.state == later);
}

TEST_CASE("epochs: the first that is heard is the peer's") {
    EpochState fresh{own, {}, false, false, false, {}};
    auto verdict = judge_section(fresh, of_peer(), {}, 99);
    CHECK(verdict.entries);
    CHECK_FALSE(verdict.adopted);
    CHECK_FALSE(verdict.begun);
    CHECK(verdict.state.peer == peer);
    CHECK(verdict.state.heard);
}

TEST_CASE("epochs: what is of an older epoch, or of an unknown one, changes nothing") {
    for (Epoch other : {Epoch{peer.counter - 1, 22}, Epoch{peer.counter, 23}}) {
        AccountSection section = of_peer();
        section.epoch = other;
        auto verdict = judge_section(at_ease(), section, {}, 99);
        CHECK_FALSE(verdict.entries);
        CHECK_FALSE(verdict.acks);
        CHECK(verdict.state == at_ease());
        CHECK_FALSE(verdict.reason.empty());
    }
    AccountSection section = of_peer();
    section.echo = {own.counter - 1, 12};
    section.acks.add(1, 500);
    auto verdict = judge_section(at_ease(), section, {}, 99);
    CHECK(verdict.entries);
    CHECK_FALSE(verdict.acks);
    CHECK_FALSE(verdict.begun);
}

TEST_CASE("epochs: whoever has lost what it knew is found out, and told") {
    auto state = at_ease();
    SECTION("it gives numbers again") {
        AccountSection section = of_peer();
        section.life = {UnixMillis(2000), 8};
        section.first = EntryNumber(50);
        auto verdict = judge_section(state, section, known_up_to(50, 0), 99);
        CHECK(verdict.begun);
        CHECK_FALSE(verdict.restored);
        CHECK(verdict.state.own == Epoch{own.counter + 1, 99});
        CHECK(verdict.state.lost);
        CHECK_FALSE(verdict.entries);
        // Until it has heard of that there is nothing more to begin.
        section.life.start.value += 1;
        auto again = judge_section(verdict.state, section, known_up_to(50, 0), 100);
        CHECK_FALSE(again.begun);
        CHECK_FALSE(again.entries);
        CHECK(again.state.own == verdict.state.own);
        // It begins as well, and then all is good again.
        section.epoch = {peer.counter + 1, 55};
        section.echo = verdict.state.own;
        auto answered = judge_section(verdict.state, section, known_up_to(50, 0), 100);
        CHECK(answered.adopted);
        CHECK_FALSE(answered.begun);
        CHECK(answered.entries);
        CHECK(answered.state.heard);
        CHECK_FALSE(answered.state.lost);
    }
    SECTION("in an earlier life it acknowledged more") {
        AccountSection section = of_peer();
        section.life = {UnixMillis(2000), 8};
        section.first = EntryNumber(51);
        section.acks.add(1, 9);
        auto known = known_up_to(50, 9);
        known.next = EntryNumber(21);
        auto later = judge_section(state, section, known, 99);
        CHECK(later.acks);
        section.life = state.peer_life;
        section.acks.add(10, 20);
        auto verdict = judge_section(later.state, section, known, 99);
        CHECK_FALSE(verdict.acks);
        CHECK(verdict.entries);
        CHECK(verdict.state == later.state);
    }
    SECTION("we have, once more, in the epoch that we had begun for that") {
        state.begun = true;
        state.heard = false;
        AccountSection section = of_peer();
        section.epoch = {peer.counter + 1, 55};
        section.lost = true;
        auto verdict = judge_section(state, section, {}, 99);
        CHECK(verdict.begun);
        CHECK(verdict.restored);
        CHECK(verdict.state.own.counter > own.counter);
        // Not where it has not heard of that epoch: it speaks of the one before.
        section.echo = {own.counter - 1, 5};
        CHECK_FALSE(judge_section(state, section, {}, 99).begun);
    }
    SECTION("it has not what it had acknowledged") {
        AccountSection section = of_peer();
        section.life = {UnixMillis(2000), 8};
        section.first = EntryNumber(51);
        section.acks.add(1, 8);
        CHECK(judge_section(state, section, known_up_to(50, 9), 99).begun);
        section.acks.add(9);
        CHECK_FALSE(judge_section(state, section, known_up_to(50, 9), 99).begun);
    }
    SECTION("we have: it acknowledges numbers that were never given") {
        AccountSection section = of_peer();
        section.acks.add(1, 10);
        auto verdict = judge_section(state, section, known_up_to(50, 9), 99);
        CHECK(verdict.begun);
        CHECK(verdict.restored);
        CHECK_FALSE(verdict.acks);
        CHECK(verdict.entries);
    }
    SECTION("we have: it knows an epoch of ours that we do not") {
        for (Epoch echo : {Epoch{own.counter + 3, 1}, Epoch{own.counter, 1}}) {
            AccountSection section = of_peer();
            section.echo = echo;
            auto verdict = judge_section(state, section, {}, 99);
            CHECK(verdict.begun);
            CHECK(verdict.restored);
            CHECK(verdict.state.own == Epoch{echo.counter + 1, 99});
        }
    }
    SECTION("we have, as it says") {
        AccountSection section = of_peer();
        section.epoch = {peer.counter + 1, 55};
        section.lost = true;
        auto verdict = judge_section(state, section, {}, 99);
        CHECK(verdict.adopted);
        CHECK(verdict.begun);
        CHECK(verdict.restored);
        CHECK(verdict.entries);
    }
}

// Two nodes, each of which may lose what it knew, over a way that loses, repeats and reorders.
TEST_CASE("epochs: two that begin at any time come to rest, and each knows the other's") {
    for (unsigned seed : fwmail::test::seeds(3'000)) {
        INFO("seed " << seed);
        std::mt19937_64 random(seed);
        auto below = [&](std::size_t n) { return random() % n; };
        struct Node {
            EpochState state;
            Life life;
        };
        Node nodes[2] = {{{own, peer, false, false, false, {}}, {UnixMillis(1), 1}},
                         {{peer, own, false, false, false, {}}, {UnixMillis(1), 2}}};
        std::deque<std::pair<std::size_t, AccountSection>> air;
        auto send = [&](std::size_t n) {
            AccountSection section;
            section.epoch = nodes[n].state.own;
            section.echo = nodes[n].state.peer;
            section.life = nodes[n].life;
            section.first = EntryNumber(1);
            section.lost = nodes[n].state.lost;
            air.emplace_back(1 - n, section);
        };
        auto receive = [&](std::size_t n, const AccountSection& section) {
            nodes[n].state = judge_section(nodes[n].state, section, {}, random()).state;
        };
        std::vector<EpochState> backups[2];
        std::int64_t now = 1;
        for (int step = 0; step < 60; ++step) {
            std::size_t n = below(2);
            switch (below(8)) {
                case 0:
                    backups[n].push_back(nodes[n].state);
                    break;
                case 1:
                    if (backups[n].empty()) break;
                    nodes[n] = {backups[n][below(backups[n].size())], {UnixMillis(++now), random()}};
                    break;
                case 2:
                case 3:
                    send(n);
                    break;
                default: {
                    if (air.empty()) break;
                    std::size_t which = below(air.size());
                    auto [to, section] = air[which];
                    if (below(4)) air.erase(air.begin() + static_cast<std::ptrdiff_t>(which));
                    if (below(3)) receive(to, section);
                }
            }
        }
        for (int round = 0; round < 8; ++round) {
            for (std::size_t n : {0u, 1u}) send(n);
            for (; !air.empty(); air.pop_front()) receive(air.front().first, air.front().second);
        }
        for (std::size_t n : {0u, 1u}) {
            REQUIRE(nodes[n].state.peer == nodes[1 - n].state.own);
            REQUIRE(nodes[n].state.heard);
        }
        auto before = nodes[0].state;
        send(1);
        receive(0, air.front().second);
        REQUIRE(nodes[0].state == before);
    }
}

TEST_CASE("link: acknowledgements are due after quiet, at the latest, or by number; never for themselves") {
    AckTimer timer;
    CHECK_FALSE(timer.due());
    AccountSection ack_only;
    ack_only.acks.add(1, 5);
    ack_only.voids.add(6);
    CHECK(ack_only.ack_only());
    timer.on_section(ack_only, UnixMillis(0));
    CHECK_FALSE(timer.due());
    timer.on_section(with_entries(2), UnixMillis(10'000));
    CHECK(timer.due() == UnixMillis(12'000));
    timer.on_section(with_entries(2), UnixMillis(11'500));
    CHECK(timer.due() == UnixMillis(13'500));
    timer.on_section(ack_only, UnixMillis(13'000));
    CHECK(timer.due() == UnixMillis(13'500));
    timer.on_section(with_entries(1), UnixMillis(39'500));
    CHECK(timer.due() == UnixMillis(40'000));
    timer.on_section(with_entries(995), UnixMillis(39'600));
    CHECK(timer.due() == UnixMillis(39'600));
    timer.on_sent();
    CHECK_FALSE(timer.due());
}

TEST_CASE("link: a thousand entries arrive once each through loss, repetition and reordering") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        LinkSettings settings;
        struct Row {
            std::uint32_t sends = 0;
            UnixMillis due;
            bool voided = false;
        };
        std::map<std::uint64_t, Row> outbox;
        std::set<std::uint64_t> superseded;
        for (std::uint64_t n = 1; n <= 1000; ++n) outbox[n] = {};
        Incoming in;
        std::map<std::uint64_t, int> applied;
        struct Mail {
            std::vector<std::uint64_t> entries;
            NumberSet voids;
        };
        std::vector<Mail> mails;  // on the way
        std::vector<NumberSet> answers;
        std::int64_t now = 0;
        std::size_t rounds = 0;
        auto pick = [&](auto& list) {  // out of order; sometimes it stays, to come again
            std::size_t i = random() % list.size();
            auto taken = list[i];
            if (random() % 5) list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
            return taken;
        };
        while (!outbox.empty()) {
            REQUIRE(++rounds < 5000);
            now += 5 * minute;
            std::vector<std::uint64_t> due;
            for (const auto& [n, row] : outbox)
                if (row.due.value <= now) due.push_back(n);
            due.resize(choose_frame(std::vector<DueEntry>(due.size(), {100}), 5000, false).count);
            Mail mail;
            for (std::uint64_t n : due) {
                Row& row = outbox[n];
                row.due = resend_due(UnixMillis(now), ++row.sends, random() % 1024, settings);
                if (row.voided)
                    mail.voids.add(n);
                else
                    mail.entries.push_back(n);
            }
            if (random() % 3) mails.push_back(mail);
            if (rounds % 10 == 0 && !outbox.empty()) {
                auto gone = std::next(outbox.begin(), static_cast<std::ptrdiff_t>(random() % outbox.size()));
                gone->second.voided = true;
                gone->second.due = UnixMillis(now);
                superseded.insert(gone->first);
            }
            if (!mails.empty()) {
                Mail came = pick(mails);
                for (std::uint64_t n : came.entries)
                    if (in.classify(EntryNumber(n), settings) == Arrival::fresh) {
                        ++applied[n];
                        in.on_applied(EntryNumber(n));
                    }
                in.applied.add(in.reachable(came.voids, settings));
                answers.push_back(in.acks(40));
            }
            if (!answers.empty() && random() % 3) {
                NumberSet acks = pick(answers);
                std::erase_if(outbox, [&](const auto& row) { return acks.contains(row.first); });
            }
        }
        REQUIRE(in.applied == set_of({{1, 1000}}));
        for (std::uint64_t n = 1; n <= 1000; ++n)
            REQUIRE((applied[n] == 1 || (applied[n] == 0 && superseded.contains(n))));
    }
}
