// What the index answers is what the bodies answer: over the corpus, for texts that are in it and for others.
#include "service/search_candidate.hpp"

#include "corpus.hpp"
#include "mime/fold.hpp"
#include "mime/serialize.hpp"
#include "mime/structure.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
namespace {

using namespace store::test;

struct Mailbox {
    TempDir dir;
    std::unique_ptr<store::SystemStore> system = must(store::SystemStore::open(dir.path));
    std::unique_ptr<store::SearchStore> index = must(store::SearchStore::open(dir.path, id_of<AccountId>(1)));
    std::vector<store::Message> messages;
    std::vector<std::string> texts;  // folded
    std::vector<mime::SearchText> search_texts;
    std::vector<std::optional<imap::Day>> days;

    void add(const std::string& octets) {
        store::Message message;
        auto n = static_cast<std::uint64_t>(messages.size() + 1);
        message.uid = Uid{static_cast<std::uint32_t>(n)};
        message.object = id_of<ObjectId>(n);
        message.storage_id = static_cast<std::int64_t>(n);
        message.size = octets.size();
        message.texts.parts = mime::write_part(mime::parse_structure(octets));
        must(system->put_object(message.object, octets, t0));
        messages.push_back(message);
        StoredCandidate candidate(message, *system);
        auto text = candidate.text();
        texts.push_back(text.header + text.body);
        search_texts.push_back(std::move(text));
        days.push_back(candidate.sent_day());
    }
    void index_all() {
        for (const auto& message : messages)
            must(index->add({read_search_doc(message, *system).value()}, message.storage_id));
    }
};

// The plainest way: every text is looked through.
class Naive final : public RowCandidate {
  public:
    Naive(const store::Message& message, const mime::SearchText& text, std::optional<imap::Day> day)
        : RowCandidate(message), text_(text), day_(day) {}
    std::optional<imap::Day> sent_day() override { return day_; }
    bool header_contains(std::string_view name, std::string_view needle) override {
        return text_.header_contains(name, needle);
    }
    bool contains_in_body(std::string_view needle) override { return text_.body_contains(needle); }
    bool contains_in_text(std::string_view needle) override { return text_.text_contains(needle); }

  private:
    const mime::SearchText& text_;
    std::optional<imap::Day> day_;
};

imap::SearchKey random_key(std::mt19937& random, const std::vector<std::string>& texts, int depth = 0) {
    using Kind = imap::SearchKey::Kind;
    imap::SearchKey key;
    auto pick = random() % 10;
    if (depth < 3 && pick < 3) {
        key.kind = pick == 0 ? Kind::negation : pick == 1 ? Kind::conjunction : Kind::disjunction;
        for (int i = 0; i < (pick == 0 ? 1 : 2); ++i)
            key.children.push_back(random_key(random, texts, depth + 1));
        return key;
    }
    if (pick == 3) {
        constexpr Kind kinds[] = {Kind::sent_before, Kind::sent_on, Kind::sent_since};
        key.kind = kinds[random() % 3];
        key.day = 20000 + static_cast<int>(random() % 1500);
        return key;
    }
    constexpr Kind kinds[] = {Kind::header, Kind::body, Kind::text, Kind::text};
    key.kind = kinds[random() % 4];
    constexpr std::string_view names[] = {"subject", "from", "to", "content-type", "x-none", "date"};
    key.name = names[random() % std::size(names)];
    // Of some message, at any place, of any length; now and then with a character more.
    const std::string& text = texts[random() % texts.size()];
    auto boundary = [&](std::size_t at) {
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
        return at;
    };
    std::size_t first = boundary(text.empty() ? 0 : random() % text.size());
    std::size_t last = boundary(std::min<std::size_t>(text.size(), first + 1 + random() % 12));
    key.text = text.substr(first, last - first);
    key.text = key.text.substr(0, key.text.find('\0'));
    if (random() % 6 == 0) key.text += "q";
    return key;
}

TEST_CASE("the index answers as the bodies do") {
    Mailbox mailbox;
    for (const auto& [name, octets] : corpus())
        if (octets.size() < 100'000) mailbox.add(octets);
    mailbox.add("Subject: large\r\n\r\n" + std::string((3 << 20) / 2, 'x') + "needle");
    mailbox.add("");
    mailbox.index_all();
    std::mt19937 random(20261122);
    std::size_t found = 0, by_index = 0, by_body = 0;
    auto docs = must(mailbox.index->find_between(0, 1'000'000));
    for (int round = 0; round < 200; ++round) {
        auto key = random_key(random, mailbox.texts);
        auto view = must(look_into_index(*mailbox.index, key));
        for (std::size_t n = 0; n < mailbox.messages.size(); ++n) {
            const auto& message = mailbox.messages[n];
            IndexedCandidate indexed(message, *mailbox.index, view, docs);
            bool here = imap::matches(key, indexed);
            if (indexed.unanswered()) {
                ++by_body;
                continue;
            }
            ++by_index;
            Naive naive(message, mailbox.search_texts[n], mailbox.days[n]);
            bool there = imap::matches(key, naive);
            if (here != there) {
                INFO(message.uid.value << ": " << key.text << " in " << key.name);
                REQUIRE(here == there);
            }
            found += there;
        }
    }
    INFO(found << " found, " << by_index << " by the index, " << by_body << " by bodies");
    CHECK(found > 100);
    CHECK(by_index > 20 * by_body);
}

TEST_CASE("what the index does not know it does not answer") {
    Mailbox mailbox;
    for (int i = 0; i < 4; ++i) mailbox.add("Subject: number " + std::to_string(i) + "\r\n\r\nbody\r\n");
    for (std::size_t i = 0; i < 2; ++i)
        must(mailbox.index->add({read_search_doc(mailbox.messages[i], *mailbox.system).value()},
                                mailbox.messages[i].storage_id));
    imap::SearchKey key;
    key.kind = imap::SearchKey::Kind::text;
    key.text = "body";
    auto view = must(look_into_index(*mailbox.index, key));
    // What comes into the index from now on is not in the view's lists.
    must(mailbox.index->add({read_search_doc(mailbox.messages[2], *mailbox.system).value()}, 3));
    auto docs = must(mailbox.index->find_between(0, 1'000'000));
    auto unanswered = [&](const store::Message& message) {
        IndexedCandidate candidate(message, *mailbox.index, view, docs);
        bool match = imap::matches(key, candidate);
        CHECK((match || candidate.unanswered()));
        return candidate.unanswered();
    };
    CHECK_FALSE(unanswered(mailbox.messages[0]));
    CHECK_FALSE(unanswered(mailbox.messages[1]));
    CHECK(unanswered(mailbox.messages[2]));
    CHECK(unanswered(mailbox.messages[3]));
    auto other = mailbox.messages[0];
    other.object = id_of<ObjectId>(77);  // its id was given once more
    IndexedCandidate candidate(other, *mailbox.index, view, docs);
    (void)imap::matches(key, candidate);
    CHECK(candidate.unanswered());
    CHECK_FALSE(read_search_doc(other, *mailbox.system));
}

}  // namespace
}  // namespace fwmail::service::test
