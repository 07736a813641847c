// Seeded damage to what clients send: the session must neither crash nor grow nor lose step.
#include <catch2/catch.hpp>
#include <random>

#include "support/imap_replay.hpp"

using namespace fwmail::imap;

namespace {

std::string answer(const std::string& request) {
    std::string kind = request.substr(0, request.find(' '));
    if (kind == "ListMailboxes") return "mailboxes INBOX,sub|Sent,\\Sent|a/b";
    if (kind == "Select") return "selected uids=10,20,30 validity=7 next=31 recent=30";
    if (kind == "Status") return "status messages=1";
    if (kind == "AppendEnd") return "appended 7 31";
    if (kind == "Fetch") return "batch+ vanished=5:7|uid=10 flags=\\Seen mod=9 sec=@0+9|uid=20";
    if (kind == "FetchMore") return "batch uid=30";
    if (kind == "Store") return "stored 10=\\Seen|99=";
    if (kind == "Copy" || kind == "Move") return "copied 7 10 99";
    if (kind == "Create") return "created F1";
    if (kind == "Expunge") return "expunged 20";
    if (kind == "Search") return "found 10,30 8,9";
    if (kind == "Poll") return "changes arrived=40 flags=10=\\Seen gone=30";
    return "done";
}

class Mutator {
  public:
    Mutator(std::uint32_t seed, const std::vector<std::string>& corpus) : random_(seed), corpus_(corpus) {}

    std::size_t below(std::size_t n) { return n ? random_() % n : 0; }
    std::string operator()() {
        std::string text = corpus_[below(corpus_.size())];
        for (std::size_t n = 1 + below(6); n > 0; --n) change(text);
        return text;
    }

  private:
    void change(std::string& text) {
        static constexpr std::string_view spice[] = {"{",
                                                     "}",
                                                     "{3}\r\n",
                                                     "{3+}\r\n",
                                                     "{70000}\r\n",
                                                     "{70000+}\r\n",
                                                     "\r\n",
                                                     "\n",
                                                     "\0",
                                                     "\"",
                                                     "(",
                                                     ")",
                                                     "((((((((",
                                                     "*",
                                                     "%",
                                                     "[",
                                                     "]<",
                                                     "\\",
                                                     "\xff",
                                                     " ",
                                                     "0",
                                                     "4294967296",
                                                     ",",
                                                     ":",
                                                     "&",
                                                     "NOT NOT",
                                                     "UID ",
                                                     "$",
                                                     "RETURN (SAVE PARTIAL 1:2) ",
                                                     " (CHANGEDSINCE 1 VANISHED)",
                                                     "A ENABLE QRESYNC UIDONLY IMAP4rev2\r\n",
                                                     " {3+}\r\nabc {2+}\r\n",
                                                     "~",
                                                     "DONE\r\n",
                                                     "{18446744073709551616+}\r\n",
                                                     "A OR "};
        std::size_t at = below(text.size() + 1);
        switch (below(6)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(below(256));
                break;
            case 1:
                text.insert(at, spice[below(std::size(spice))]);
                break;
            case 2:
                text.erase(at, 1 + below(20));
                break;
            case 3:
                text.insert(at, text.substr(below(text.size() + 1), below(60)));
                break;
            case 4: {
                const std::string& other = corpus_[below(corpus_.size())];
                text.insert(at, other.substr(below(other.size() + 1), below(100)));
                break;
            }
            case 5:
                text.resize(at);
                break;
        }
    }

    std::mt19937 random_;
    const std::vector<std::string>& corpus_;
};

// Every line of the server's that is a tagged answer begins with a tag that some line of the client's began
// with, and comes no more often than that.
bool answers_are_asked_for(const std::vector<std::string>& seen, const std::string& sent) {
    std::map<std::string, int> balance;
    std::string line;
    std::istringstream in(sent);
    while (std::getline(in, line)) ++balance[line.substr(0, line.find_first_of(" \r"))];
    for (const auto& l : seen) {
        if (!l.starts_with("S: ")) continue;
        std::size_t space = l.find(' ', 3);
        if (space == std::string::npos) continue;
        std::string rest = l.substr(space + 1);
        bool tagged = rest.starts_with("OK ") || rest.starts_with("NO ") || rest.starts_with("BAD ");
        if (!tagged || l[3] == '*') continue;
        // Within a literal's line the tag may stand at another place: those are rare enough to look for.
        std::string tag = l.substr(3, space - 3);
        if (--balance[tag] < 0 && sent.find(tag) == std::string::npos) return false;
    }
    return true;
}

// The last three tagged answers are to NAMEa, NAMEb, NAMEc.
bool ends_in_step(const std::vector<std::string>& seen, const std::string& name) {
    std::string tags;
    for (const auto& line : seen)
        for (char c : {'a', 'b', 'c'})
            if (line.starts_with("S: " + name + c + " OK")) tags += c;
    return tags == "abc";
}

}  // namespace

TEST_CASE("20,000 mutated dialogues keep the session in step") {
    std::vector<std::string> corpus;
    for (const auto& transcript : Transcript::load_all()) {
        std::string text;
        for (const auto& input : transcript.inputs)
            if (input.kind != 'E') text += input.text;
        if (!text.empty()) corpus.push_back(text);
    }
    static constexpr const char* all_states[] = {"fresh",    "loopback", "login",
                                                 "selected", "readonly", "empty"};
    std::size_t closed = 0, in_step = 0;
    for (std::uint32_t seed = 0; seed < 20000; ++seed) {
        Mutator mutate(seed, corpus);
        const std::string mutated = mutate();
        std::string sent = mutated;
        Replay replay(all_states[seed % std::size(all_states)], 100'000);
        replay.answer_with(answer);
        std::string_view left = mutated;
        while (!left.empty() && !replay.closed()) {
            std::size_t count = 1 + mutate.below(left.size());
            replay.bytes(left.substr(0, count));
            left.remove_prefix(count);
        }
        // Whatever literal, IDLE or AUTHENTICATE is open ends at last, and then each NOOP is answered, in
        // order.
        bool stepping = false;
        for (int round = 0; round < 20 && !stepping && !replay.closed(); ++round) {
            std::string filler = "\r\n";
            for (int i = 0; round > 1 && i < 1000; ++i) filler += "FILL NOOP\r\n";
            std::string name = "END" + std::to_string(round);
            std::string tail = filler + name + "a NOOP\r\n" + name + "b NOOP\r\n" + name + "c NOOP\r\n";
            replay.event("tls");
            replay.bytes(tail);
            sent += tail;
            stepping = ends_in_step(replay.seen(), name);
        }
        INFO("seed " << seed << "\n" << fwmail::imap::text::escape(mutated));
        bool good = replay.closed() || stepping;
        if (!good) REQUIRE(good);
        closed += replay.closed();
        in_step += stepping;
        if (!answers_are_asked_for(replay.seen(), sent)) REQUIRE(false);
    }
    // Were all closed, nothing would have been tested.
    CHECK(in_step > 10000);
    CHECK(closed > 500);
}
