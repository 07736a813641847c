// Runs of UIDs behave as the plain list would.
#include "imap/numbered_uids.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace fwmail;
using namespace fwmail::imap;

TEST_CASE("numbered UIDs: whatever is added and removed, as a plain list") {
    std::uint32_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 30; ++round) {
        NumberedUids uids;
        std::vector<Uid> list;
        std::uint32_t next = random() % 5 + 1;
        for (int step = 0; step < 40; ++step) {
            for (unsigned i = random() % 10; i > 0; --i, next += random() % 3 + 1) {
                uids.append(Uid(next));
                list.emplace_back(next);
            }
            UidSet set;
            for (unsigned i = random() % 3; i > 0; --i) {
                std::uint32_t from = random() % (next + 2) + 1;
                set.add(from, from + random() % 6);
            }
            auto in_set = [&](Uid uid) { return set.contains(uid.value); };
            std::vector<Uid> common;
            std::ranges::copy_if(list, std::back_inserter(common), in_set);
            CHECK(uids.common(set) == common);
            uids.remove(set);
            std::erase_if(list, in_set);

            REQUIRE(uids.count() == list.size());
            CHECK(uids.last() == (list.empty() ? Uid{} : list.back()));
            for (std::size_t i = 0; i < list.size(); ++i)
                CHECK(uids.uid_of(static_cast<std::uint32_t>(i + 1)) == list[i]);
            for (std::uint32_t uid = 0; uid < next + 2; ++uid) {
                auto it = std::ranges::lower_bound(list, Uid(uid));
                auto below = static_cast<std::uint32_t>(it - list.begin());
                CHECK(uids.count_below(uid) == below);
                bool there = it != list.end() && it->value == uid;
                CHECK(uids.number_of(Uid(uid)) == (there ? std::optional(SeqNum(below + 1)) : std::nullopt));
                CHECK(uids.any_in(uid, uid + 2) == (it != list.end() && it->value <= uid + 2));
            }
        }
        CHECK(NumberedUids(list).common(UidSet{}).empty());
        UidSet every;
        every.add(1, UINT32_MAX);
        CHECK(NumberedUids(list).common(every) == list);
    }
}

TEST_CASE("numbered UIDs: the largest UID there can be") {
    NumberedUids uids({Uid(1), Uid(4294967294), Uid(4294967295)});
    UidSet all;
    all.add(1, 4294967295);
    CHECK(uids.common(all).size() == 3);
    UidSet last;
    last.add(4294967295);
    uids.remove(last);
    CHECK(uids.last() == Uid(4294967294));
    CHECK(uids.count() == 2);
}
