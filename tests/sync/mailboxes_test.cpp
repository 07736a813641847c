#include "sync/mailboxes.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "lossy_network.hpp"
#include "support/seeds.hpp"

using namespace fwmail;
using namespace fwmail::sync;

namespace {

MailboxId id_of(std::uint32_t n) {
    MailboxId id;
    for (std::size_t i = 0; i < 4; ++i) id.bytes[12 + i] = static_cast<std::uint8_t>(n >> (24 - 8 * i));
    return id;
}

}  // namespace

TEST_CASE("mailboxes: merging is commutative, associative and idempotent") {
    std::mt19937_64 random(1);
    auto some = [&] {
        static const char* names[] = {"", "a", "b", "c"};
        MailboxState s;
        s.name = names[random() % 4];
        s.special_use = names[random() % 3];
        s.named = {random() % 3, static_cast<std::uint32_t>(random() % 2)};
        s.used = {random() % 3, static_cast<std::uint32_t>(random() % 2)};
        s.deleted = random() % 5 == 0;
        return s;
    };
    for (int i = 0; i < 20'000; ++i) {
        auto a = some(), b = some(), c = some();
        REQUIRE(merge_mailboxes(a, b) == merge_mailboxes(b, a));
        REQUIRE(merge_mailboxes(a, a) == a);
        REQUIRE(merge_mailboxes(merge_mailboxes(a, b), c) == merge_mailboxes(a, merge_mailboxes(b, c)));
    }
}

TEST_CASE("mailboxes: the later name wins, what is not heard yet gives way, deleted stays deleted") {
    MailboxState old{"Work", {}, "", {}, false}, renamed{"Job", {5, 1}, "", {}, false};
    CHECK(merge_mailboxes(old, renamed).name == "Job");
    CHECK(merge_mailboxes(renamed, MailboxState{"Other", {5, 2}, "", {}, false}).name == "Other");
    CHECK(merge_mailboxes(MailboxState{}, old).name == "Work");
    CHECK(merge_mailboxes(renamed, MailboxState{"Work", {}, "", {}, true}) ==
          MailboxState{"Job", {5, 1}, "", {}, true});
}

TEST_CASE("mailboxes: the name beside is within bounds and whole characters") {
    CHECK(name_beside("Work", id_of(0x1234)) == "Work (00001234)");
    std::string name;
    for (int i = 0; i < 500; ++i) name += "\xc3\xbc";
    std::string beside = name_beside(name, id_of(1));
    CHECK(beside.size() <= 1000);
    CHECK(beside.substr(0, beside.size() - 11) == name.substr(0, 988));
    // Of a longest name it is the same again, so whoever looks for a free one has to count.
    beside = name_beside(std::string(1000, 'n'), id_of(1));
    CHECK(name_beside(beside, id_of(1)) == beside);
    CHECK(name_beside(beside, id_of(1), 2) != beside);
    CHECK(name_beside(beside, id_of(1), 2).size() <= 1000);
    CHECK(name_beside("Work", id_of(0x1234), 2) == "Work (00001234 2)");
}

TEST_CASE("mailboxes: what core makes of a remote's word") {
    MailboxState made{"Work", {}, "\\Archive", {}, false};
    Stamp core{100, 9};
    auto verdict = judge_at_core({}, id_of(1), made, core);
    CHECK(verdict.act == MailboxVerdict::add);
    CHECK(verdict.state == made);
    CHECK_FALSE(verdict.own);
    SECTION("one mailbox a use") {
        AtCore here;
        here.use_taken = true;
        verdict = judge_at_core(here, id_of(1), made, core);
        CHECK(verdict.state.special_use.empty());
        CHECK(verdict.state.used == core);
        CHECK(verdict.own);
    }
    SECTION("the same name is the same mailbox, while it is new") {
        AtCore here;
        here.same_name = id_of(2);
        CHECK(judge_at_core(here, id_of(1), made, core).act == MailboxVerdict::join);
    }
    SECTION("a name that is taken by another one") {
        AtCore here;
        here.known = MailboxState{"Old", {}, "", {}, false};
        here.same_name = id_of(2);
        verdict = judge_at_core(here, id_of(1), {"Work", {5, 1}, "", {}, false}, core);
        CHECK(verdict.act == MailboxVerdict::update);
        CHECK(verdict.state.name == "Work (00000001)");
        CHECK(verdict.state.named == core);
        CHECK(verdict.own);
        here.known->named = {6, 1};  // renamed here later
        CHECK(judge_at_core(here, id_of(1), {"Work", {5, 1}, "", {}, false}, core).act ==
              MailboxVerdict::nothing);
    }
    SECTION("INBOX is neither renamed nor deleted") {
        AtCore here;
        here.known = MailboxState{"INBOX", {}, "", {}, false};
        here.is_inbox = true;
        CHECK(judge_at_core(here, id_of(1), {"Work", {5, 1}, "", {}, false}, core).act ==
              MailboxVerdict::nothing);
        CHECK(judge_at_core(here, id_of(1), {"INBOX", {}, "", {}, true}, core).act ==
              MailboxVerdict::nothing);
    }
    SECTION("what was deleted") {
        AtCore here;
        here.known = made;
        made.deleted = true;
        CHECK(judge_at_core(here, id_of(1), made, core).act == MailboxVerdict::remove);
        here.known->deleted = true;
        CHECK(judge_at_core(here, id_of(1), made, core).act == MailboxVerdict::nothing);
        CHECK(judge_at_core({}, id_of(1), made, core).act == MailboxVerdict::nothing);
    }
}

// Nodes that make, rename, delete and subscribe at once, and mail between them that is lost, repeated and
// reordered. The first node is core, which alone gets new messages; the others are linked with it only.

namespace {

struct Box {
    MailboxState state;
    std::string shown;
    std::uint32_t last_uid = 0, last_seen = 0;  // seen: by whoever deleted it
    std::map<std::uint32_t, int> mail;          // by UID: which message
};
struct Entry {
    MailboxId id;
    MailboxState state = {};
    std::uint32_t last_seen = 0;
    std::string name = {};  // of a subscription
    Subscription subscription = {};
    std::uint32_t uid = 0;  // of a message
    int message = 0;
};
struct Row {
    enum { mailbox, subscription, message } what = mailbox;
    MailboxId id = {};
    std::string name = {};
    std::uint32_t uid = 0;
};
struct Node {
    std::map<MailboxId, Box> boxes;
    std::map<std::string, Subscription> subscriptions;
    std::set<int> seen;  // messages that were ever shown here
};

class Network : public sync::test::LossyNetwork<Row, Entry> {
  public:
    explicit Network(unsigned seed) : LossyNetwork(seed) {
        for (auto& node : nodes_) node.boxes[id_of(1)] = {{"INBOX", {}, "", {}, false}, "INBOX"};
    }
    void check() {
        REQUIRE(is_quiet());
        std::set<int> kept;
        for (std::size_t n = 0; n < nodes; ++n) {
            REQUIRE(nodes_[n].subscriptions == nodes_[0].subscriptions);
            std::map<MailboxId, std::string> names, core_names;
            std::set<std::string> unique;
            for (auto& [id, box] : nodes_[n].boxes) {
                if (box.state.deleted) continue;
                names[id] = box.shown;
                REQUIRE(box.shown == box.state.name);
                REQUIRE(unique.insert(box.shown).second);
                REQUIRE(nodes_[0].boxes.at(id).state == box.state);
                REQUIRE(nodes_[0].boxes.at(id).mail == box.mail);
                if (n == 0)
                    for (auto& [uid, message] : box.mail) kept.insert(message);
            }
            for (auto& [id, box] : nodes_[0].boxes)
                if (!box.state.deleted) core_names[id] = box.shown;
            REQUIRE(names == core_names);
            REQUIRE(unique.contains("INBOX"));
        }
        // Nothing is lost: what is not there was deleted by somebody who had seen it.
        for (int m = 1; m <= last_message_; ++m) REQUIRE(kept.contains(m) != removed_.contains(m));
    }

  private:
    MailboxId find(std::size_t n, const std::string& name) {
        for (auto& [id, box] : nodes_[n].boxes)
            if (!box.state.deleted && box.shown == name) return id;
        return {};
    }
    std::string some_name() {
        static const char* names[] = {"a", "b", "c", "d"};
        return names[below(4)];
    }
    void act(std::size_t n) override {
        auto& node = nodes_[n];
        std::string name = some_name();
        MailboxId here = find(n, name);
        switch (below(n == 0 ? 6 : 4)) {
            case 0: {
                if (!here.is_zero()) return;
                MailboxId id = id_of(++last_id_);
                node.boxes[id] = {{name, {}, "", {}, false}, name};
                return plan(n, {Row::mailbox, id}, n);
            }
            case 1: {
                std::string to = some_name();
                if (here.is_zero() || !find(n, to).is_zero()) return;
                auto& box = node.boxes[here];
                box.shown = box.state.name = to;
                box.state.named = stamp(n);
                settle(n);
                return plan(n, {Row::mailbox, here}, n);
            }
            case 2: {
                if (here.is_zero() || below(2)) return;
                auto& box = node.boxes[here];
                if (n == 0)
                    for (auto& [uid, message] : box.mail) removed_.insert(message);
                box.mail.clear();
                box.state.deleted = true;
                box.last_seen = box.last_uid;
                settle(n);
                return plan(n, {Row::mailbox, here}, n);
            }
            case 3:
                node.subscriptions[name] = {below(2) == 0, stamp(n)};
                return plan(n, {Row::subscription, {}, name}, n);
            default:
                if (here.is_zero()) here = id_of(1);
                add(here, ++last_message_);
        }
    }
    void add(MailboxId id, int message) {
        auto& box = nodes_[0].boxes[id];
        box.mail[++box.last_uid] = message;
        plan(0, {Row::message, id, {}, box.last_uid}, 0);
    }
    bool overtakes(const Row& row, const Row& older) const override {
        return row.what == Row::mailbox && older.what == Row::mailbox && older.id == row.id;
    }
    std::optional<Entry> make(std::size_t n, const Row& row) override {
        auto& node = nodes_[n];
        if (row.what == Row::subscription) return Entry{{}, {}, 0, row.name, node.subscriptions.at(row.name)};
        auto& box = node.boxes.at(row.id);
        if (row.what == Row::mailbox) return Entry{row.id, box.state, box.last_seen};
        auto mail = box.mail.find(row.uid);
        if (mail == box.mail.end()) return std::nullopt;
        return Entry{row.id, {}, 0, {}, {}, row.uid, mail->second};
    }
    bool apply(std::size_t n, std::size_t from, const Entry& entry) override {
        auto& node = nodes_[n];
        for (auto s : {entry.state.named, entry.state.used, entry.subscription.stamp}) {
            if (is_ahead(s, time_at(n))) return false;
            see(n, s.time);
        }
        if (!entry.name.empty()) {
            auto& mine = node.subscriptions[entry.name];
            auto merged = merge_subscriptions(mine, entry.subscription);
            if (merged != mine) {
                mine = merged;
                plan(n, {Row::subscription, {}, entry.name}, from);
            }
        } else if (entry.uid) {
            auto known = node.boxes.find(entry.id);
            if (known == node.boxes.end()) return false;
            if (known->second.state.deleted || entry.uid <= known->second.last_uid) return true;
            if (entry.uid > known->second.last_uid + 1) return false;  // shown in order
            known->second.mail[entry.uid] = entry.message;
            known->second.last_uid = entry.uid;
            node.seen.insert(entry.message);
        } else if (n == 0) {
            take_from_remote(from, entry);
        } else {
            take_from_core(n, entry);
        }
        return true;
    }
    void take_from_remote(std::size_t peer, const Entry& entry) {
        auto& core = nodes_[0];
        auto known = core.boxes.find(entry.id);
        AtCore here;
        if (known != core.boxes.end()) here.known = known->second.state;
        if (auto other = find(0, entry.state.name); !other.is_zero() && other != entry.id)
            here.same_name = other;
        here.is_inbox = entry.id == id_of(1);
        auto verdict = judge_at_core(here, entry.id, entry.state, stamp(0));
        if (verdict.act == MailboxVerdict::nothing) return;
        if (verdict.act == MailboxVerdict::remove) {
            auto& box = core.boxes[entry.id];
            auto mail = std::move(box.mail);
            box.mail.clear();
            box.state.deleted = true;
            std::string name = box.shown;
            MailboxId heir;
            for (auto& [uid, message] : mail) {
                if (uid <= entry.last_seen) {
                    REQUIRE(nodes_[peer].seen.contains(message));
                    removed_.insert(message);
                    continue;
                }
                if (heir.is_zero()) {
                    heir = id_of(++last_id_);
                    core.boxes[heir] = {{name, {}, "", {}, false}, name};
                    plan(0, {Row::mailbox, heir}, 0);
                }
                add(heir, message);
            }
            return plan(0, {Row::mailbox, entry.id}, peer);
        }
        if (verdict.act == MailboxVerdict::join) {
            core.boxes[entry.id] = {entry.state, entry.state.name};
            core.boxes[entry.id].state.deleted = true;
            return plan(0, {Row::mailbox, entry.id}, 0);
        }
        auto& box = core.boxes[entry.id];
        box.state = verdict.state;
        bool own = verdict.own;
        for (auto other = find(0, box.state.name); !other.is_zero() && other != entry.id;
             other = find(0, box.state.name)) {
            box.state.name = name_beside(box.state.name, entry.id);
            box.state.named = stamp(0);
            own = true;
        }
        box.shown = box.state.name;
        plan(0, {Row::mailbox, entry.id}, own ? 0 : peer);
    }
    void take_from_core(std::size_t n, const Entry& entry) {
        auto& node = nodes_[n];
        bool known = node.boxes.contains(entry.id);
        auto& box = node.boxes[entry.id];
        if (box.state.deleted) return;
        box.state = known ? merge_mailboxes(box.state, entry.state) : entry.state;
        box.shown = box.state.name;
        if (box.state.deleted) {
            box.mail.clear();
        } else {
            for (auto& [id, other] : node.boxes)
                if (id != entry.id && !other.state.deleted && other.shown == box.shown)
                    other.shown = name_beside(box.shown, id);
        }
        settle(n);
    }
    void settle(std::size_t n) {
        auto& node = nodes_[n];
        for (auto& [id, waiting] : node.boxes)
            if (!waiting.state.deleted && waiting.shown != waiting.state.name &&
                find(n, waiting.state.name).is_zero())
                waiting.shown = waiting.state.name;
    }

    std::uint32_t last_id_ = 1;
    int last_message_ = 0;
    Node nodes_[nodes];
    std::set<int> removed_;  // deleted by somebody who had seen them
};

}  // namespace

TEST_CASE(
    "agreement: mailboxes made, renamed and deleted everywhere at once are the same everywhere in the end") {
    for (unsigned seed : fwmail::test::seeds(5'000)) {
        INFO("seed " << seed);
        Network network(seed);
        network.run(20 + seed % 150);
        network.check();
    }
}
