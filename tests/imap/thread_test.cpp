#include "imap/thread.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>

using namespace fwmail;
using namespace fwmail::imap;

namespace {

struct Mail {
    std::uint64_t id;
    std::vector<std::uint64_t> references = {};
    std::uint64_t subject = 0;
    bool reply = false;
    std::int64_t sent = 0;  // 0: by sequence number
};

ThreadInput input_of(const std::vector<Mail>& mails) {
    ThreadInput input;
    std::uint32_t number = 0;
    for (const auto& mail : mails) {
        ++number;
        input.messages.push_back({Uid(number), mail.sent ? mail.sent : 1000 + number, mail.id, mail.subject,
                                  mail.reply, static_cast<std::uint32_t>(input.references.size()),
                                  static_cast<std::uint32_t>(mail.references.size())});
        input.references.insert(input.references.end(), mail.references.begin(), mail.references.end());
    }
    return input;
}

// A node's children in parentheses behind it; 0 is a dummy.
std::string shape(const std::vector<ThreadNode>& nodes) {
    std::string out;
    std::uint32_t depth = 0;
    for (const auto& node : nodes) {
        if (!out.empty()) out += node.depth > depth ? "(" : std::string(depth - node.depth, ')') + ' ';
        out += std::to_string(node.uid.value);
        depth = node.depth;
    }
    return out + std::string(depth, ')');
}
std::string references(const std::vector<Mail>& mails, bool by_subject = true) {
    return shape(thread(ThreadBy::references, input_of(mails), by_subject));
}
std::string ordered(const std::vector<Mail>& mails) {
    return shape(thread(ThreadBy::ordered_subject, input_of(mails)));
}

}  // namespace

TEST_CASE("thread: parents and children") {
    CHECK(references({}) == "");
    CHECK(references({{1}, {2, {1}}, {3, {1, 2}}, {4, {1}}}) == "1(2(3) 4)");
    // The order of arrival does not matter, but siblings stand by date.
    CHECK(references({{3, {1, 2}}, {2, {1}}, {1}}) == "3(2(1))");
    CHECK(references({{1}, {2, {1}, 0, false, 9000}, {3, {1}}}) == "1(3 2)");
}

TEST_CASE("thread: missing parents") {
    CHECK(references({{2, {1}}}) == "1");
    CHECK(references({{2, {1}}, {3, {1}}}) == "0(1 2)");
    CHECK(references({{2, {9, 1}}, {3, {9, 8}}}) == "0(1 2)");
    // A message that is not there between others is left out.
    CHECK(references({{1}, {3, {1, 2}}, {4, {1, 2}}}) == "1(2 3)");
    CHECK(references({{5, {1, 2, 3, 4}}}) == "1");
    // Threads of a missing head stand where its first child does.
    CHECK(references({{2, {1}, 0, false, 500}, {7}, {3, {1}, 0, false, 100}}) == "0(3 1) 2");
}

TEST_CASE("thread: loops") {
    CHECK(references({{1, {1}}}) == "1");
    CHECK(references({{1, {2}}, {2, {1}}}) == "2(1)");
    CHECK(references({{1, {3}}, {2, {1}}, {3, {2}}}) == "3(1(2))");
    CHECK(references({{1, {2, 3, 2}}, {2, {3, 1}}, {3}}).size() > 0);
    CHECK(references({{1}, {9, {5, 6, 5, 6}}, {5}, {6}}).find('4') != std::string::npos);
}

TEST_CASE("thread: an id that comes twice belongs to the first") {
    CHECK(references({{1}, {1}, {2, {1}}}) == "1(3) 2");
    CHECK(references({{1}, {1, {2}}, {2}}) == "1 3(2)");
    CHECK(references({{0}, {0, {1}}, {1}}) == "1 3(2)");
}

TEST_CASE("thread: shortened references") {
    // 3's list lacks 2; what 3 says itself of 4 is only a guess, which 4 sets right.
    CHECK(references({{1}, {2, {1}}, {4, {1, 3}}, {3, {1, 2}}}) == "1(2(4(3)))");
    // A message without references has no parent, whatever was said before.
    CHECK(references({{2, {1, 3}}, {3}}) == "2(1)");
}

TEST_CASE("thread: equal subjects") {
    CHECK(references({{1, {}, 7}, {2, {}, 7, true}}) == "1(2)");
    CHECK(references({{1, {}, 7, true}, {2, {}, 7}}) == "2(1)");
    CHECK(references({{1, {}, 7}, {2, {}, 7}}) == "0(1 2)");
    CHECK(references({{1, {}, 7, true}, {2, {}, 7, true}, {3, {}, 7, true}}) == "0(1 2 3)");
    CHECK(references({{1, {}, 7}, {2, {}, 7}, {3, {}, 7, true}}) == "0(1 2 3)");
    CHECK(references({{1, {}, 7}, {2, {}, 8}, {3, {}, 7, true}, {4, {3}, 9}}) == "1(3(4)) 2");
    CHECK(references({{1}, {2}}) == "1 2");
    CHECK(references({{1, {}, 7}, {2, {}, 7}}, false) == "1 2");
    // Dummies: two become one, and one takes what is not.
    CHECK(references({{1, {90}, 7}, {2, {90}, 7}, {3, {91}, 7}, {4, {91}, 7}}) == "0(1 2 3 4)");
    CHECK(references({{5, {}, 7}, {1, {90}, 7}, {2, {90}, 7}, {6, {}, 7, true}}) == "0(1 2 3 4)");
}

TEST_CASE("thread: ordered subject") {
    CHECK(ordered({}) == "");
    CHECK(ordered({{1, {}, 7}, {2, {}, 8}, {3, {}, 7}, {4, {}, 7}}) == "1(3 4) 2");
    CHECK(ordered({{1, {}, 7, false, 500}, {2, {}, 8, false, 200}, {3, {}, 7, false, 100}}) == "3(1) 2");
    CHECK(ordered({{1}, {2}}) == "1(2)");
}

namespace {

std::vector<Mail> chain(std::uint64_t length) {
    std::vector<Mail> mails;
    for (std::uint64_t i = 1; i <= length; ++i)
        mails.push_back({i, i > 1 ? std::vector{i - 1} : std::vector<std::uint64_t>{}});
    return mails;
}

// Every message once, each behind its parent.
void check_whole(const std::vector<ThreadNode>& nodes, std::size_t messages) {
    std::vector<std::uint32_t> uids;
    std::uint32_t depth = 0;
    for (const auto& node : nodes) {
        CHECK(node.depth <= depth);
        depth = node.depth + 1;
        if (node.uid.value) uids.push_back(node.uid.value);
        if (!node.uid.value) CHECK(node.depth == 0);
    }
    std::ranges::sort(uids);
    CHECK(uids.size() == messages);
    CHECK(std::ranges::adjacent_find(uids) == uids.end());
}

}  // namespace

TEST_CASE("thread: deep ones") {
    auto mails = chain(10'000);
    CHECK(thread(ThreadBy::references, input_of(mails)).back().depth == 9'999);
    std::ranges::reverse(mails);
    CHECK(thread(ThreadBy::references, input_of(mails)).back().depth == 9'999);
    std::ranges::shuffle(mails, std::mt19937(1));
    auto nodes = thread(ThreadBy::references, input_of(mails));
    CHECK(nodes.back().depth == 9'999);
    CHECK(nodes.size() == 10'000);
}

// Each of many small threads is hung below a long chain; and chains of messages that are not there.
TEST_CASE("thread: hostile mail takes no quadratic time") {
    auto mails = chain(20'000);
    for (std::uint64_t i = 0; i < 20'000; ++i) mails.push_back({100'000 + i, {200'000 + i}});
    for (std::uint64_t i = 0; i < 20'000; ++i) mails.push_back({200'000 + i, {20'000}});
    check_whole(thread(ThreadBy::references, input_of(mails)), mails.size());
    mails.clear();
    for (std::uint64_t i = 1; i < 40'000; ++i) mails.push_back({500'000 + i, {i, i + 1}});
    check_whole(thread(ThreadBy::references, input_of(mails)), mails.size());
    std::vector<std::uint64_t> many;
    for (std::uint64_t i = 1; i <= 100'000; ++i) many.push_back(i);
    CHECK(references({{7'000'000, many}}) == "1");
}

TEST_CASE("thread: any mail at all") {
    for (unsigned seed = 0; seed < 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        auto number = [&](std::uint64_t n) {
            return std::uniform_int_distribution<std::uint64_t>(0, n)(random);
        };
        std::vector<Mail> mails(1 + number(40));
        for (auto& mail : mails) {
            mail.id = number(30);
            for (auto n = number(5); n > 0; --n) mail.references.push_back(1 + number(40));
            mail.subject = number(6);
            mail.reply = number(1);
            mail.sent = static_cast<std::int64_t>(1 + number(20));
        }
        check_whole(thread(ThreadBy::references, input_of(mails)), mails.size());
        check_whole(thread(ThreadBy::ordered_subject, input_of(mails)), mails.size());
    }
}
