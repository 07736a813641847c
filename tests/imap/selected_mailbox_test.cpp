#include "imap/selected_mailbox.hpp"

#include <catch2/catch.hpp>

using namespace fwmail;
using namespace fwmail::imap;

TEST_CASE(
    "selected mailbox: a number that was given up stands for its successor, where it is named by itself, to "
    "what changes messages") {
    Selected selected;
    selected.uids = NumberedUids({Uid{1}, Uid{4}, Uid{9}});
    selected.successors = {{Uid{3}, Uid{9}}, {Uid{5}, Uid{20}}};
    SelectedMailbox mailbox("Drafts", false, selected);
    auto found = [&](std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges) {
        SequenceSet set;
        set.ranges.assign(ranges.begin(), ranges.end());
        return mailbox.resolve_to_change(set, true).value();
    };
    auto read = [&](std::uint32_t uid) {
        SequenceSet set;
        set.ranges.emplace_back(uid, uid);
        return mailbox.resolve(set, true).value();
    };
    UidSet nine;
    nine.add(9);
    CHECK(found({{3, 3}}) == nine);
    CHECK(read(3).empty());
    CHECK(found({{2, 3}}).empty());
    CHECK(found({{5, 5}}).empty());  // it has gone as well
    mailbox.arrive({Uid{20}}, Uid{});
    UidSet twenty;
    twenty.add(20);
    CHECK(found({{5, 5}}) == twenty);
    mailbox.learn_successors({{Uid{6}, Uid{4}}});
    UidSet four;
    four.add(4);
    CHECK(found({{6, 6}}) == four);
    CHECK(found({{4, 4}}) == four);
    CHECK(read(4) == four);
    SequenceSet saved;
    saved.saved = true;
    CHECK(mailbox.resolve_to_change(saved, true).value().empty());
}
