// The search index: grams, candidates, and that the file may be anything.
#include "store/search_store.hpp"

#include <fstream>
#include <map>
#include <random>

#include "store/grams.hpp"
#include "support.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

namespace {

std::vector<std::string> grams_of(std::string_view text) {
    std::vector<std::string> out;
    each_gram(text, [&](std::size_t at, std::size_t length, bool whole) {
        out.push_back(std::string(text.substr(at, length)) + (whole ? "" : "|"));
    });
    return out;
}

SearchDoc doc(std::int64_t id, std::string text) {
    return {id, id_of<ObjectId>(static_cast<std::uint64_t>(id)), std::nullopt, std::move(text)};
}

const AccountId account = id_of<AccountId>(7);

}  // namespace

TEST_CASE("grams") {
    using Texts = std::vector<std::string>;
    CHECK(grams_of("abcd") == Texts{"abc", "bcd", "cd|", "d|"});
    CHECK(grams_of("会議a") == Texts{"会議", "議a", "a|"});
    CHECK(grams_of("ab会") == Texts{"ab会", "b会", "会|"});
    CHECK(grams_of(std::string_view("ab\0cd", 5)) == Texts{"ab|", "b|", "cd|", "d|"});
    CHECK(grams_of("") == Texts{});
    CHECK(grams_of("\xe4\xbc") == Texts{"\xe4\xbc|", "\xbc|"});
    CHECK(gram_query("") == "");
    CHECK(gram_query("a") == "");
    CHECK(gram_query("ab") == "\"ab\" *");
    CHECK(gram_query("会") == "\"会\" *");
    CHECK(gram_query("会議") == "\"会議\"");
    CHECK(gram_query("abc") == "\"abc\"");
    CHECK(gram_query("abcdefg") == "\"abc\" AND \"def\" AND \"efg\"");
    CHECK(gram_query("a\"b") == "\"a\"\"b\"");
    CHECK(gram_query(std::string_view("ab\0cd", 5)) == "");
    std::string longest = gram_query(std::string(20'000, 'x'));
    CHECK(longest.size() < 100);
}

TEST_CASE("every text that has the needle is a candidate") {
    TempDir dir;
    auto store = must(SearchStore::open(dir.path, account));
    std::mt19937 random(29);
    constexpr std::string_view alphabet[] = {"a",  "b", "c", " ", "\"", "会", "議",
                                             "の", "ü", "☃", "*", "😀", "\n"};
    auto text = [&](std::size_t most) {
        std::string out;
        for (std::size_t n = random() % (most + 1); n > 0; --n) {
            out += alphabet[random() % std::size(alphabet)];
            if (random() % 30 == 0) out += '\0';
        }
        return out;
    };
    std::map<std::int64_t, std::string> texts;
    std::map<std::int64_t, std::size_t> heads;
    std::int64_t last = 0;
    auto check = [&] {
        std::size_t narrowed = 0;
        for (int i = 0; i < 300; ++i) {
            std::string needle = text(5);
            std::erase(needle, '\0');
            auto found = must(store->candidates(needle));
            if (!found) continue;
            narrowed += found->size() < texts.size();
            for (const auto& [id, t] : texts)
                if (t.find(needle) != std::string::npos) {
                    INFO(needle);
                    REQUIRE(std::ranges::binary_search(*found, id));
                }
            for (auto id : *found) REQUIRE(texts.contains(id));
        }
        REQUIRE(narrowed > 100);
        REQUIRE(must(store->check()).empty());
        REQUIRE(must(store->count()) == texts.size());
    };
    for (int round = 0; round < 6; ++round) {
        std::vector<SearchDoc> docs;
        for (int i = 0; i < 40; ++i) {
            docs.push_back(doc(++last, texts[last] = text(25)));
            docs.back().head = heads[last] = random() % (texts[last].size() + 1);
        }
        must(store->add(docs, last));
        must(store->add(docs, last));  // once more changes nothing
        check();
        std::vector<std::pair<std::int64_t, ObjectId>> present;
        for (auto it = texts.begin(); it != texts.end();) {
            if (random() % 4 == 0) {
                it = texts.erase(it);
                continue;
            }
            present.emplace_back(it->first, id_of<ObjectId>(static_cast<std::uint64_t>(it->first)));
            ++it;
        }
        while (must(store->keep_only(0, last, present, 3)) == 3) {
        }
        check();
        for (const auto& [id, t] : texts) {
            REQUIRE(must(store->text(id)) == t);
            REQUIRE(must(store->head(id)) == t.substr(0, heads[id]));
        }
        if (round == 3) {
            store.reset();
            store = must(SearchStore::open(dir.path, account));
        }
    }
    CHECK(must(store->mark()).last == last);
}

TEST_CASE("a row counts for its own body only") {
    TempDir dir;
    auto store = must(SearchStore::open(dir.path, account));
    auto large = doc(2, "");
    large.text.reset();
    large.day = -5;
    must(store->add({doc(1, "alpha"), large}, 2));
    CHECK(must(store->find_between(3, 9)).empty());
    CHECK(must(store->find_between(2, 2)).size() == 1);
    auto known = must(store->find_between(0, 9));
    REQUIRE(known.size() == 2);
    CHECK(known[0].id == 1);
    CHECK(known[0].object == id_of<ObjectId>(1));
    CHECK(known[0].whole);
    CHECK_FALSE(known[0].day);
    CHECK_FALSE(known[1].whole);
    CHECK(known[1].day == -5);
    CHECK_FALSE(store->text(2));
    CHECK(must(store->candidates("alp")) == std::vector<std::int64_t>{1});
    CHECK(must(store->keep_only(0, 2, {{1, id_of<ObjectId>(5)}, {2, id_of<ObjectId>(2)}}, 100)) == 1);
    CHECK(must(store->candidates("alp"))->empty());
    auto before = must(store->mark());
    must(store->clear());
    auto after = must(store->mark());
    CHECK(after.last == 0);
    CHECK(after.epoch != before.epoch);
    CHECK(must(store->count()) == 0);
}

TEST_CASE("a file that is no index of ours is replaced") {
    TempDir dir;
    auto path = SearchStore::path_of(dir.path, account);
    CHECK(SearchStore::open(dir.path, account, Access::read_only).has_value() == false);
    for (int kind = 0; kind < 3; ++kind) {
        {
            auto store = must(SearchStore::open(dir.path, account));
            must(store->add({doc(1, "alpha")}, 1));
            CHECK(must(store->count()) == 1);
        }
        if (kind == 0) std::ofstream(path, std::ios::trunc) << std::string(10'000, 'x');
        if (kind == 1) std::filesystem::resize_file(path, 0);
        if (kind == 2) std::filesystem::remove(path);
        auto store = must(SearchStore::open(dir.path, account));
        INFO(kind);
        CHECK(must(store->count()) == 0);
        CHECK(must(store->mark()).last == 0);
        CHECK(must(store->check()).empty());
    }
}
