#include "sync/link.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

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

TEST_CASE("link: set operations agree with std::set") {
    for (unsigned seed = 1; seed <= 500; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        NumberSet a, b;
        std::set<std::uint64_t> in_a, in_b;
        for (int i = 0; i < 12; ++i) {
            std::uint64_t first = 1 + random() % 40, last = first + random() % 4;
            bool to_a = random() & 1;
            (to_a ? a : b).add(first, last);
            for (auto v = first; v <= last; ++v) (to_a ? in_a : in_b).insert(v);
        }
        NumberSet sum = unite(a, b), rest = subtract(a, b);
        for (std::uint64_t v = 0; v < 50; ++v) {
            REQUIRE(sum.contains(v) == (in_a.contains(v) || in_b.contains(v)));
            REQUIRE(rest.contains(v) == (in_a.contains(v) && !in_b.contains(v)));
        }
        NumberSet both = a;
        both.add(b);
        REQUIRE(sum == both);
        Writer whole;
        whole.numbers(a);
        REQUIRE(trim(a, whole.size()) == a);
        for (std::size_t room = 0; room < whole.size(); ++room) {
            Writer part;
            part.numbers(trim(a, room));
            REQUIRE(part.size() <= std::max<std::size_t>(room, 1));
            REQUIRE(subtract(trim(a, room), a).empty());
        }
    }
}

TEST_CASE("link: acknowledgements settle what was given, and nothing else") {
    Outgoing out;
    for (int i = 0; i < 10; ++i) out.give();
    CHECK(out.last_given == EntryNumber(10));
    out.supersede(EntryNumber(4));
    CHECK(out.voids == set_of({{4, 4}}));
    CHECK(out.on_acks(set_of({{1, 3}, {6, 6}})).value() == set_of({{1, 3}, {6, 6}}));
    CHECK(out.on_acks(set_of({{2, 6}})).value() == set_of({{4, 5}}));
    CHECK(out.voids.empty());
    CHECK(out.on_acks(set_of({{2, 6}})).value().empty());
    CHECK(out.on_acks({}).value().empty());
    out.supersede(EntryNumber(2));  // it had arrived after all
    CHECK(out.voids.empty());
    Outgoing before = out;
    auto refused = out.on_acks(set_of({{7, 11}}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::refused);
    CHECK(out.settled == before.settled);
    CHECK(out.on_acks(set_of({{7, 10}})).value() == set_of({{7, 10}}));
    CHECK(out.settled == set_of({{1, 10}}));
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

TEST_CASE("link: what is due, within the window") {
    LinkSettings settings;
    settings.window_entries = 3;
    settings.window_octets = 100;
    UnixMillis now(1000);
    using Chosen = std::vector<std::size_t>;
    auto choose = [&](std::vector<OutgoingEntry> entries) { return choose_due(entries, now, settings); };
    auto fresh = [](std::uint64_t n, std::uint64_t octets) {
        return OutgoingEntry{EntryNumber(n), octets, 0, UnixMillis(0)};
    };
    auto sent = [](std::uint64_t n, std::uint64_t octets, std::int64_t due) {
        return OutgoingEntry{EntryNumber(n), octets, 1, UnixMillis(due)};
    };
    CHECK(choose({}).empty());
    CHECK(choose({fresh(1, 10), fresh(2, 10), fresh(3, 10), fresh(4, 10)}) == Chosen{0, 1, 2});
    CHECK(choose({fresh(1, 60), fresh(2, 60), fresh(3, 10)}) == Chosen{0});  // none overtakes
    CHECK(choose({fresh(1, 500), fresh(2, 10)}) == Chosen{0});               // larger than the window: alone
    CHECK(choose({sent(1, 10, 2000), fresh(2, 500)}).empty());
    CHECK(choose({sent(1, 10, 2000), sent(2, 10, 1000), fresh(3, 10), fresh(4, 10)}) == Chosen{1, 2});
    CHECK(choose({fresh(1, 10), sent(2, 80, 1000), fresh(3, 20)}) == Chosen{0, 1});
    std::vector<OutgoingEntry> waiting{sent(1, 1, 5000), sent(2, 1, 3000), fresh(3, 1)};
    CHECK(next_due(waiting) == UnixMillis(3000));
    hasten(waiting[0], now);
    CHECK(next_due(waiting) == now);
    hasten(waiting[0], UnixMillis(2000));
    CHECK(next_due(waiting) == now);
    CHECK_FALSE(next_due(std::vector{fresh(1, 1)}));
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
    in.on_voids(set_of({{40, 40}}), settings);
    CHECK_FALSE(in.applied.contains(40));
    in.on_voids(set_of({{1, 9}}), settings);
    CHECK(in.applied.contiguous_from_one() == 10);
    CHECK(in.classify(EntryNumber(5), settings) == Arrival::duplicate);
    in.on_voids(set_of({{11, max_number}}), settings);
    CHECK(in.applied == set_of({{1, 110}}));
    CHECK(in.acks(2).empty());
    CHECK(in.acks(10) == in.applied);
}

TEST_CASE("link: an entry of another epoch is refused with a reason") {
    AccountSection section = with_entries(1);
    section.acks.add(1);
    auto check = check_epochs(own, peer, section);
    CHECK(check.entries);
    CHECK(check.acks);
    CHECK_FALSE(check.first);
    CHECK(check.reason.empty());

    check = check_epochs(own, {}, section);
    CHECK(check.entries);
    CHECK(check.first);

    for (Epoch other : {Epoch{2, 22}, Epoch{1, 23}, Epoch{}}) {
        section.epoch = other;
        check = check_epochs(own, peer, section);
        CHECK_FALSE(check.entries);
        CHECK_FALSE(check.acks);
        CHECK_FALSE(check.reason.empty());
    }
    section.epoch = peer;
    section.echo = {1, 12};  // of our life before the backup
    check = check_epochs(own, peer, section);
    CHECK(check.entries);
    CHECK_FALSE(check.acks);
    CHECK(check.reason.find("1/000000000000000c") != std::string::npos);
    section.acks.clear();
    section.echo = {};
    check = check_epochs(own, peer, section);
    CHECK(check.entries);
    CHECK(check.reason.empty());
    CHECK_FALSE(check_epochs(own, {}, AccountSection{}).entries);
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
        settings.window_entries = 100;
        Outgoing out;
        std::vector<OutgoingEntry> outbox;
        std::set<std::uint64_t> superseded;
        for (int i = 0; i < 1000; ++i) outbox.push_back({out.give(), 100, 0, UnixMillis(0)});
        Incoming in;
        std::map<std::uint64_t, int> applied;
        std::vector<std::vector<std::uint64_t>> mails;  // on the way
        std::vector<NumberSet> answers;
        std::int64_t now = 0;
        std::size_t rounds = 0;
        auto pick = [&](auto& list) {  // out of order; sometimes it stays, to come again
            std::size_t i = random() % list.size();
            auto taken = list[i];
            if (random() % 5) list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
            return taken;
        };
        while (!outbox.empty() || !out.voids.empty()) {
            REQUIRE(++rounds < 5000);
            now += 5 * minute;
            std::vector<std::uint64_t> mail;
            for (std::size_t i : choose_due(outbox, UnixMillis(now), settings)) {
                ++outbox[i].sends;
                outbox[i].due = resend_due(UnixMillis(now), outbox[i].sends, random() % 1024, settings);
                mail.push_back(outbox[i].number.value);
            }
            if (random() % 3) mails.push_back(mail);
            if (rounds % 10 == 0 && !outbox.empty()) {
                auto gone = outbox.begin() + static_cast<std::ptrdiff_t>(random() % outbox.size());
                out.supersede(gone->number);
                superseded.insert(gone->number.value);
                outbox.erase(gone);
            }
            if (!mails.empty()) {
                for (std::uint64_t n : pick(mails))
                    if (in.classify(EntryNumber(n), settings) == Arrival::fresh) {
                        ++applied[n];
                        in.on_applied(EntryNumber(n));
                    }
                in.on_voids(out.voids, settings);
                answers.push_back(in.acks(40));
            }
            if (!answers.empty() && random() % 3) {
                auto news = out.on_acks(pick(answers));
                REQUIRE(news);
                std::erase_if(outbox, [&](const auto& e) { return news->contains(e.number.value); });
            }
        }
        REQUIRE(out.settled == set_of({{1, 1000}}));
        REQUIRE(in.applied == set_of({{1, 1000}}));
        for (std::uint64_t n = 1; n <= 1000; ++n)
            REQUIRE((applied[n] == 1 || (applied[n] == 0 && superseded.contains(n))));
    }
}
