// Mailboxes and messages of one account.
#include <random>

#include "store/database.hpp"
#include "support.hpp"
#include "sync/entries.hpp"

using namespace fwmail;
using namespace fwmail::store;
using namespace fwmail::store::test;

TEST_CASE("mailboxes are made and found, INBOX in any case") {
    Account a;
    CHECK(a.inbox.name == "INBOX");
    CHECK(a.inbox.uidvalidity.value > t0.value / 1000);
    CHECK(a.inbox.uidvalidity < a.inbox.sealed_uidvalidity);
    CHECK(must(a.store->find_mailbox("InBoX"))->id == a.inbox.id);
    CHECK(error_of(a.store->create_mailbox("INBOX", "", t0)) == ErrorKind::refused);
    CHECK(!a.store->create_mailbox("", "", t0));
    CHECK(!a.store->create_mailbox("a\nb", "", t0));
}

constexpr Author renamer{{}, t0};

TEST_CASE("mailboxes are renamed with their inferiors or not at all, and deleted") {
    Account a;
    auto work = must(a.store->create_mailbox("Work", "", t0));
    auto deep = must(a.store->create_mailbox("Work/b/x", "", t0));
    must(a.store->create_mailbox("Work/b", "", t0));
    auto beside = must(a.store->create_mailbox("Workshop", "", t0));
    must(a.store->create_mailbox("Old/b/x", "", t0));
    auto before = must(a.store->highest_modseq());
    CHECK(error_of(a.store->rename_mailbox("Work", "Old", renamer)) == ErrorKind::refused);
    CHECK(error_of(a.store->rename_mailbox("Work", "Work/y", renamer)) == ErrorKind::refused);
    CHECK(error_of(a.store->rename_mailbox("Inbox", "x", renamer)) == ErrorKind::refused);
    CHECK(error_of(a.store->rename_mailbox("nothing", "x", renamer)) == ErrorKind::refused);
    CHECK(must(a.store->highest_modseq()) == before);
    CHECK(must(a.store->find_mailbox(deep.id))->name == "Work/b/x");

    must(a.store->rename_mailbox("Work", "New", renamer));
    CHECK(must(a.store->find_mailbox(deep.id))->name == "New/b/x");
    CHECK(must(a.store->find_mailbox(beside.id))->name == "Workshop");
    CHECK(must(a.store->mailboxes_changed_since(before)).size() == 3);
    // Where a new name is the old one of another that moves too.
    must(a.store->create_mailbox("New/b/b", "", t0));
    must(a.store->create_mailbox("New/b/b/x", "", t0));
    must(a.store->rename_mailbox("New/b", "New/c", renamer));
    CHECK(must(a.store->find_mailbox("New/c/b/x")));

    must(a.store->delete_mailbox(work.id));
    CHECK(!must(a.store->find_mailbox("New")));
    CHECK(must(a.store->find_mailbox(work.id))->deleted);
    CHECK(must(a.store->create_mailbox("New", "", t0)).id != work.id);
    CHECK(error_of(a.store->status(work.id)) == ErrorKind::refused);
}

TEST_CASE("a mailbox of another node is taken over, and an equal one is no change") {
    Account a;
    Mailbox m;
    m.id = id_of<MailboxId>(77);
    m.name = "Sent";
    m.special_use = "\\Sent";
    m.uidvalidity = UidValidity{5};
    m.sealed_uidvalidity = UidValidity{6};
    m.uidnext = Uid{10};
    m.created = t0;
    CHECK(must(a.store->upsert_mailbox(m)).uidnext == Uid{10});
    auto before = must(a.store->highest_modseq());
    m.uidnext = Uid{4};
    CHECK(must(a.store->upsert_mailbox(m)).uidnext == Uid{10});
    CHECK(must(a.store->highest_modseq()) == before);
    m.name = "INBOX";
    CHECK(error_of(a.store->upsert_mailbox(m)) == ErrorKind::refused);
    m.name = m.wanted = "Gesendet";
    CHECK(must(a.store->upsert_mailbox(m)).name == "Gesendet");
    m.deleted = true;
    CHECK(must(a.store->upsert_mailbox(m)).deleted);
    CHECK(!must(a.store->find_mailbox("Gesendet")));
    must(a.store->set_uid_state(a.inbox.id, UidValidity{0}, UidValidity{99}, Uid{1000}));
    auto inbox = *must(a.store->find_mailbox(a.inbox.id));
    CHECK(inbox.uidvalidity == a.inbox.uidvalidity);
    CHECK(inbox.sealed_uidvalidity == UidValidity{99});
    CHECK(a.add() == Uid{1000});
}

TEST_CASE("a delivery is applied once, whatever is repeated") {
    Account a;
    auto one = a.message(a.inbox.id), two = a.message(a.inbox.id);
    auto first = must(a.store->deliver({one}));
    auto again = must(a.store->deliver({one, two, one}));
    REQUIRE(again.size() == 3);
    CHECK(again[0].repeated);
    CHECK(again[0].uid == first[0].uid);
    CHECK(again[1].uid == Uid{2});
    CHECK(again[2].repeated);
    // Also when the message has gone meanwhile.
    must(a.store->expunge_any(a.inbox.id, range(1, 2)));
    CHECK(must(a.store->deliver({two}))[0].repeated);
    CHECK(a.all(a.inbox.id).empty());
    must(a.store->forget_deliveries({one.hold, two.hold}));
    auto lost = a.message(id_of<MailboxId>(999));
    CHECK(error_of(a.store->deliver({a.message(a.inbox.id), lost})) == ErrorKind::refused);
    CHECK(a.all(a.inbox.id).empty());
}

TEST_CASE("given UIDs only rise") {
    Account a;
    auto m = a.message(a.inbox.id);
    m.uid = Uid{7};
    CHECK(must(a.store->append(m)) == Uid{7});
    auto n = a.message(a.inbox.id);
    n.uid = Uid{7};
    CHECK(error_of(a.store->append(n)) == ErrorKind::refused);
    n.uid = Uid{0xfffffffe};
    CHECK(must(a.store->append(n)) == Uid{0xfffffffe});
    CHECK(error_of(a.store->append(a.message(a.inbox.id))) == ErrorKind::refused);
}

TEST_CASE("flags are set, added and removed, and each change has a modseq of its own") {
    Account a;
    for (int i = 0; i < 4; ++i) a.add("\\Seen kw1");
    auto before = must(a.store->highest_modseq());
    auto r = must(a.store->store_flags(a.inbox.id, uids({1, 2, 9}), StoreMode::add,
                                       flags("\\Flagged KW1 kw2"), author));
    REQUIRE(r.rows.size() == 2);
    CHECK(r.rows[0].flags == flags("\\Seen \\Flagged kw1 kw2"));
    CHECK(r.rows[0].modseq < r.rows[1].modseq);
    CHECK(r.rows[0].modseq > before);
    auto same = must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Flagged"), author));
    CHECK(!same.rows[0].changed);
    CHECK(same.rows[0].modseq == r.rows[0].modseq);
    auto guarded = must(a.store->store_flags(a.inbox.id, range(1, 4), StoreMode::remove, flags("\\Seen"),
                                             author, std::optional(before)));
    CHECK(guarded.modified == range(1, 2));
    CHECK(guarded.rows.size() == 2);
    must(a.store->store_flags(a.inbox.id, uids({4}), StoreMode::set, flags("\\Deleted"), author));

    auto s = must(a.store->status(a.inbox.id));
    CHECK(s.messages == 4);
    CHECK(s.unseen == 2);
    CHECK(s.deleted == 1);
    CHECK(s.octets == 101 + 102 + 103 + 104);
    CHECK(s.recent == 4);
    auto snapshot = must(a.store->select_snapshot(a.inbox.id));
    CHECK(snapshot.uids == uid_list({1, 2, 3, 4}));
    CHECK(snapshot.first_unseen == Uid{3});
    CHECK(snapshot.keywords == std::vector<std::string>{"kw1", "kw2"});
    CHECK(snapshot.mailbox.highest_modseq == must(a.store->highest_modseq()));
    auto changes = must(a.store->changes_since(a.inbox.id, before));
    CHECK(changes.rows.size() == 4);
    CHECK(changes.added.empty());
    CHECK(changes.highest == snapshot.mailbox.highest_modseq);
}

TEST_CASE("a snapshot that is known stands until a message changes, comes or goes") {
    Account a;
    for (int i = 0; i < 3; ++i) a.add();
    auto known = must(a.store->select_snapshot(a.inbox.id));
    auto same = [&] {
        auto fresh = must(a.store->select_snapshot(a.inbox.id));
        auto again = must(a.store->select_snapshot(a.inbox.id, &known));
        CHECK(again.uids == fresh.uids);
        CHECK(again.first_unseen == fresh.first_unseen);
        CHECK(again.keywords == fresh.keywords);
        CHECK(again.recent == fresh.recent);
        CHECK(again.unseen == fresh.unseen);
        bool read = again.uids != known.uids || again.first_unseen != known.first_unseen ||
                    again.keywords != known.keywords;
        known = std::move(again);
        return !read;
    };
    CHECK(same());
    must(a.store->claim_recent(a.inbox.id));
    CHECK(same());
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("\\Seen"), author));
    CHECK_FALSE(same());
    must(a.store->store_flags(a.inbox.id, uids({2}), StoreMode::add, flags("kw"), author));
    CHECK_FALSE(same());
    a.add();
    CHECK_FALSE(same());
    must(a.store->expunge_any(a.inbox.id, uids({2})));
    CHECK_FALSE(same());
    auto other = must(a.store->create_mailbox("Other", "", UnixMillis{5}));
    must(a.store->move(a.inbox.id, uids({1}), other.id, UnixMillis{6}));
    CHECK_FALSE(same());
    // It is really taken: what it says comes back.
    known.uids = uid_list({77});
    CHECK(must(a.store->select_snapshot(a.inbox.id, &known)).uids == uid_list({77}));
    CHECK(must(a.store->select_snapshot(other.id, &known)).uids == uid_list({1}));
}

TEST_CASE("a snapshot that is brought up to date is what a fresh one is") {
    Account a;
    for (int i = 0; i < 40; ++i) a.add(i % 3 ? "" : "\\Seen");
    auto other = must(a.store->create_mailbox("Other", "", UnixMillis{5}));
    auto seed = Catch::rngSeed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto any = [&](std::uint32_t most) { return random() % most; };
    auto known = must(a.store->select_snapshot(a.inbox.id));
    const char* words[] = {"\\Seen", "\\Flagged", "\\Deleted", "kw1", "kw2 kw3"};
    for (int round = 0; round < 300; ++round) {
        // Mostly so few that they are put into the known one, sometimes so many that all is read.
        for (std::uint32_t deeds = any(10) ? any(6) : 60; deeds-- > 0;) {
            Uid uid =
                known.uids.empty() ? Uid{1} : known.uids[any(static_cast<std::uint32_t>(known.uids.size()))];
            auto mode = any(2) ? StoreMode::add : StoreMode::remove;
            if (std::uint32_t deed = any(12); deed < 4)
                a.add(words[any(5)]);
            else if (deed == 4)
                must(a.store->expunge_any(a.inbox.id, uids({uid.value})));
            else if (deed == 5)
                must(a.store->move(a.inbox.id, uids({uid.value}), other.id, UnixMillis{6}));
            else
                must(a.store->store_flags(a.inbox.id, uids({uid.value}), mode, flags(words[any(5)]), author));
        }
        auto fresh = must(a.store->select_snapshot(a.inbox.id));
        known = must(a.store->select_snapshot(a.inbox.id, &known));
        REQUIRE(known.uids == fresh.uids);
        REQUIRE(known.keywords == fresh.keywords);
        REQUIRE(known.first_unseen == fresh.first_unseen);
        REQUIRE(known.states.size() == known.uids.size());
        for (std::size_t i = 0; i < known.uids.size(); ++i) {
            REQUIRE(known.flags(i) == fresh.flags(i));
            REQUIRE(known.states[i].modseq == fresh.states[i].modseq);
        }
    }
}

TEST_CASE("expunging takes what is deleted and journals the releases") {
    Account a;
    for (int i = 0; i < 5; ++i) a.add(i % 2 ? "\\Deleted" : "");
    auto before = must(a.store->highest_modseq());
    CHECK(must(a.store->expunge(a.inbox.id, range(3, 3))).uids.empty());
    CHECK(must(a.store->expunge(a.inbox.id, range(3, 9))).uids == uid_list({4}));
    CHECK(must(a.store->expunge(a.inbox.id)).uids == uid_list({2}));
    CHECK(must(a.store->expunge_any(a.inbox.id, uids({1}))).uids == uid_list({1}));
    CHECK(a.all(a.inbox.id) == uid_list({3, 5}));
    auto changes = must(a.store->changes_since(a.inbox.id, before));
    CHECK(changes.expunged == uids({1, 2, 4}));
    CHECK(changes.rows.empty());
    CHECK(must(a.store->expunged_since(before, 2)).size() == 2);

    auto releases = must(a.store->load_pending_releases(10));
    CHECK(releases.size() == 3);
    auto references = must(a.store->load_references());
    CHECK(references.references.size() == 2);
    CHECK(references.releasing.size() == 3);
    must(a.store->forget_releases(releases));
    CHECK(must(a.store->load_pending_releases(10)).empty());
    CHECK(a.add() == Uid{6});
}

TEST_CASE("copies share the body under a hold of their own") {
    Account a;
    auto target = must(a.store->create_mailbox("Target", "", t0));
    for (int i = 0; i < 3; ++i) a.add("\\Seen kw");
    must(a.store->record_seal(
        {a.inbox.id, Uid{1}, {std::string(32, 's'), 500, std::string(32, 'h'), SealState::sealed, ""}}));
    auto plan = must(a.store->plan_copy(a.inbox.id, range(1, 3), at(77)));
    REQUIRE(plan.size() == 3);
    // Holds begin with the time at which they were made: reconcile_references goes by it.
    for (const auto& item : plan)
        CHECK(item.hold.hex().substr(0, 12) == make_id<HoldIdTag>(at(77)).hex().substr(0, 12));
    must(a.store->expunge_any(a.inbox.id, uids({2})));
    must(a.store->forget_releases(must(a.store->load_pending_releases(9))));
    CHECK(must(a.store->copy(a.inbox.id, plan, target.id, at(5))) ==
          std::vector<UidPair>{{Uid{1}, Uid{1}}, {Uid{3}, Uid{2}}});
    // The hold that was taken for the lost one is given back.
    CHECK(must(a.store->load_pending_releases(9)) == std::vector<Reference>{{plan[1].object, plan[1].hold}});
    auto rows = must(a.store->load_messages(target.id, range(1, 9), ~0u, 10));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].object == plan[0].object);
    CHECK(rows[0].hold == plan[0].hold);
    CHECK(rows[0].flags == flags("\\Seen kw"));
    CHECK(rows[0].seal.sha256 == std::string(32, 'h'));
    CHECK(rows[0].texts.envelope == "env1");
    CHECK(rows[0].saved_at == at(5));
    CHECK(must(a.store->find_by_email_id(rows[0].email_id)).size() == 2);
}

TEST_CASE("moves keep the hold, and moving to the same mailbox renumbers") {
    Account a;
    auto target = must(a.store->create_mailbox("Target", "", t0));
    for (int i = 0; i < 3; ++i) a.add();
    auto before = must(a.store->load_messages(a.inbox.id, range(1, 3), column_identity, 10));
    CHECK(must(a.store->move(a.inbox.id, range(1, 2), target.id, t0)) ==
          std::vector<UidPair>{{Uid{1}, Uid{1}}, {Uid{2}, Uid{2}}});
    CHECK(must(a.store->move(a.inbox.id, uids({3}), a.inbox.id, t0)) ==
          std::vector<UidPair>{{Uid{3}, Uid{4}}});
    CHECK(a.all(a.inbox.id) == uid_list({4}));
    CHECK(must(a.store->load_pending_releases(9)).empty());
    auto after = must(a.store->load_messages(target.id, range(1, 3), column_identity, 10));
    CHECK(after[0].hold == before[0].hold);
    CHECK(must(a.store->find_by_storage_id(after[0].storage_id))->uid == Uid{1});
    CHECK(must(a.store->changes_since(a.inbox.id, ModSeq{})).expunged == range(1, 3));
}

TEST_CASE("messages are loaded in pages with the wanted columns only") {
    Account a;
    for (int i = 0; i < 10; ++i) a.add("\\Seen");
    auto page =
        must(a.store->load_messages(a.inbox.id, range(2, 0xffffffff), column_flags | column_parts, 4));
    REQUIRE(page.size() == 4);
    CHECK(page[0].uid == Uid{2});
    CHECK(page[0].flags == flags("\\Seen"));
    CHECK(page[0].texts.parts == std::string("p\0q", 3));
    CHECK(page[0].texts.envelope.empty());
    CHECK(page[0].size == 0);
    page = must(a.store->load_messages(a.inbox.id, range(2, 0xffffffff), column_size | column_date, 100,
                                       page.back().uid));
    REQUIRE(page.size() == 5);
    CHECK(page[0].uid == Uid{6});
    CHECK(page[0].size == 106);
    CHECK(page[0].zone_minutes == -90);
    CHECK(page[0].flags == FlagSet{});
    CHECK(must(a.store->load_messages(a.inbox.id, uids({1, 3, 10, 11}), 0, 100)).size() == 3);
    CHECK(must(a.store->load_messages(a.inbox.id, uids({1, 3}), 0, 100, Uid{3})).empty());
}

TEST_CASE("headers are kept beside messages that have one, and go with them") {
    Account a;
    auto target = must(a.store->create_mailbox("Target", "", t0));
    for (int i = 0; i < 2; ++i) a.add();
    auto without = a.message(a.inbox.id, "\\Deleted");
    without.texts.header.clear();
    must(a.store->append(without));
    auto headers = [&](MailboxId mailbox) {
        std::vector<std::string> out;
        for (const auto& m : must(a.store->load_messages(mailbox, range(1, 9), column_header, 9)))
            out.push_back(m.texts.header);
        return out;
    };
    std::string one("h\0001", 3), two("h\0002", 3);
    CHECK(headers(a.inbox.id) == std::vector<std::string>{one, two, ""});
    CHECK(must(a.store->load_messages(a.inbox.id, range(1, 9), column_parts, 9))[0].texts.header.empty());
    must(a.store->copy(a.inbox.id, must(a.store->plan_copy(a.inbox.id, range(2, 3), t0)), target.id, t0));
    must(a.store->move(a.inbox.id, uids({1}), target.id, t0));
    CHECK(headers(target.id) == std::vector<std::string>{two, "", one});
    must(a.store->expunge_any(a.inbox.id, range(1, 9)));
    must(a.store->expunge_any(target.id, range(1, 9)));
    CHECK(headers(target.id).empty());
    a.check();  // would see one that was left
}

TEST_CASE("visiting messages ends when it is told to") {
    Account a;
    for (int i = 0; i < 5; ++i) a.add(i == 2 ? "\\Seen kw" : "");
    std::vector<Uid> seen;
    std::vector<FlagSet> with;
    auto take = [&](Message& m) -> Result<bool> {
        seen.push_back(m.uid);
        with.push_back(std::move(m.flags));
        return seen.size() < 4;
    };
    auto first = [&](Message& m) -> Result<bool> {
        (void)take(m);
        return false;
    };
    CHECK(!must(a.store->visit_messages(a.inbox.id, uids({1, 2, 3, 5}), column_flags, Uid{1}, first)));
    CHECK(seen == uid_list({2}));
    CHECK(!must(a.store->visit_messages(a.inbox.id, range(3, 9), column_flags, Uid{}, take)));
    CHECK(seen == uid_list({2, 3, 4, 5}));
    CHECK(with[1] == flags("\\Seen kw"));
    CHECK(with[2] == FlagSet{});  // nothing of the one before
    seen.clear();
    CHECK(must(a.store->visit_messages(a.inbox.id, range(3, 9), 0, Uid{3}, take)));
    CHECK(seen == uid_list({4, 5}));
}

TEST_CASE("recent messages belong to the first session that may write") {
    Account a;
    a.add();
    CHECK(must(a.store->status(a.inbox.id)).recent == 1);
    CHECK(must(a.store->claim_recent(a.inbox.id)) == Uid{1});
    a.add();
    CHECK(must(a.store->select_snapshot(a.inbox.id)).recent == 1);
    CHECK(must(a.store->claim_recent(a.inbox.id)) == Uid{2});
    CHECK(must(a.store->claim_recent(a.inbox.id)) == Uid{3});
}

TEST_CASE("the change list can be walked page by page without a gap") {
    Account a;
    auto other = must(a.store->create_mailbox("Other", "", t0));
    for (int i = 0; i < 20; ++i) must(a.store->append(a.message(i % 3 ? a.inbox.id : other.id)));
    must(a.store->store_flags(a.inbox.id, range(1, 100), StoreMode::add, flags("\\Seen"), author));
    ModSeq cursor{};
    std::size_t seen = 0;
    for (;;) {
        auto page = must(a.store->messages_changed_since(cursor, 3));
        if (page.empty()) break;
        for (const auto& row : page) {
            CHECK(row.modseq > cursor);
            cursor = row.modseq;
            ++seen;
        }
    }
    CHECK(seen == 20);
}

TEST_CASE("state survives a reopening, and a file belongs to one account") {
    Account a;
    a.add("\\Seen kw");
    must(a.store->set_value("shadow", "x"));
    a.reopen();
    CHECK(a.all(a.inbox.id) == uid_list({1}));
    CHECK(must(a.store->value("shadow")) == "x");
    CHECK(a.add() == Uid{2});
    a.store.reset();
    auto other = id_of<AccountId>(2);
    std::filesystem::copy(AccountStore::path_of(a.dir.path, a.id), AccountStore::path_of(a.dir.path, other));
    CHECK(error_of(AccountStore::open(a.dir.path, other, t0)) == ErrorKind::internal);
    a.reopen();
}

TEST_CASE("check sees what is wrong") {
    Account a;
    a.add();
    a.add();
    auto broken_by = [&](const char* sql) {
        must(a.store->database().execute("BEGIN"));
        must(a.store->database().execute(sql));
        auto count = must(a.store->check([](ObjectId) { return true; })).size();
        must(a.store->database().execute("ROLLBACK"));
        return count;
    };
    CHECK(broken_by("UPDATE mailboxes SET unseen=7") == 1);
    CHECK(broken_by("UPDATE mailboxes SET uidnext=2") == 1);
    CHECK(broken_by("UPDATE meta SET highest_modseq=2") == 1);
    CHECK(broken_by("DELETE FROM message_texts WHERE id=1") == 1);
    CHECK(broken_by("DELETE FROM message_keys WHERE id=1") == 1);
    CHECK(broken_by("INSERT INTO message_keys VALUES(77,x'')") == 1);
    CHECK(broken_by("INSERT INTO message_headers VALUES(77,x'')") == 1);
    CHECK(broken_by("DELETE FROM message_headers WHERE id=1") == 0);
    CHECK(broken_by("UPDATE messages SET modseq=(SELECT max(modseq) FROM messages)") == 1);
    CHECK(
        broken_by(
            "INSERT INTO expunged SELECT mailbox,uid,modseq,modseq,0,0,0,email FROM messages WHERE uid=1") ==
        2);
    CHECK(must(a.store->check([](ObjectId) { return false; })).size() == 2);
}

TEST_CASE("keys are visited as they were given, wherever the message goes") {
    Account a;
    auto target = must(a.store->create_mailbox("Target", "", t0));
    for (int i = 0; i < 5; ++i) a.add();
    auto visit = [&](MailboxId mailbox, const UidSet& wanted, Uid after, std::size_t most) {
        std::vector<std::pair<std::uint32_t, std::string>> seen;
        bool all =
            must(a.store->visit_keys(mailbox, wanted, after, true, [&](const KeyRow& row) -> Result<bool> {
                CHECK(row.size == 100 + static_cast<std::uint64_t>(row.keys.back() - '0'));
                seen.emplace_back(row.uid.value, row.keys);
                return seen.size() < most;
            }));
        return std::pair(all, seen);
    };
    using Seen = std::vector<std::pair<std::uint32_t, std::string>>;
    auto key = [](const char* serial) { return std::string("k\0", 2) + serial; };
    UidSet some = uids({1, 2, 4});
    some.add(9, 0xffffffff);
    CHECK(visit(a.inbox.id, some, Uid{}, 9) ==
          std::pair(true, Seen{{1, key("1")}, {2, key("2")}, {4, key("4")}}));
    CHECK(visit(a.inbox.id, some, Uid{}, 2) == std::pair(false, Seen{{1, key("1")}, {2, key("2")}}));
    CHECK(visit(a.inbox.id, some, Uid{2}, 9) == std::pair(true, Seen{{4, key("4")}}));
    auto plan = must(a.store->plan_copy(a.inbox.id, uids({3}), at(1)));
    must(a.store->copy(a.inbox.id, plan, target.id, at(1)));
    must(a.store->move(a.inbox.id, uids({5}), target.id, t0));
    must(a.store->expunge_any(a.inbox.id, uids({3, 4})));
    CHECK(visit(target.id, range(1, 9), Uid{}, 9) == std::pair(true, Seen{{1, key("3")}, {2, key("5")}}));
    auto bare = [](const KeyRow& row) -> Result<bool> { return row.keys.empty() && row.size > 100; };
    CHECK(must(a.store->visit_keys(a.inbox.id, range(1, 9), Uid{}, false, bare)));
}

TEST_CASE("a mailbox of 100,000 messages is listed") {
    Account a;
    std::vector<NewMessage> messages;
    for (int i = 0; i < 100'000; ++i) messages.push_back(a.message(a.inbox.id, i % 2 ? "\\Seen" : "$Label1"));
    must(a.store->deliver(messages));
    auto snapshot = must(a.store->select_snapshot(a.inbox.id));
    CHECK(snapshot.uids.size() == 100'000);
    CHECK(snapshot.unseen == 50'000);
}

TEST_CASE("a message has as many keywords as a remote can be told of, and no more") {
    Account a;
    a.add();
    FlagSet many;
    for (std::size_t i = 0; i < sync::max_keywords; ++i) many.add_keyword("k" + std::to_string(i));
    must(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, many, author));
    auto more = a.store->store_flags(a.inbox.id, uids({1}), StoreMode::add, flags("one-more"), author);
    REQUIRE_FALSE(more);
    CHECK(more.error().text.starts_with("[LIMIT]"));
    FlagSet longest;
    longest.add_keyword(std::string(sync::max_keyword_octets + 1, 'k'));
    CHECK_FALSE(a.store->store_flags(a.inbox.id, uids({1}), StoreMode::set, longest, author));
    CHECK(sync::validate(sync::FlagsEntry{a.inbox.id, Uid{1}, many}));
}

TEST_CASE("a mailbox name holds no control characters, of C1 neither") {
    Account a;
    CHECK_FALSE(a.store->create_mailbox("a\xc2\x80", "", t0));
    CHECK_FALSE(a.store->create_mailbox("a\x01", "", t0));
}

TEST_CASE("what has changed since: only that, and expunges up to a bound") {
    Account a;
    for (int i = 0; i < 6; ++i) a.add();
    auto since = must(a.store->status(a.inbox.id)).mailbox.highest_modseq;
    CHECK(must(a.store->changed_uids(a.inbox.id, since, since)).changed.empty());
    must(a.store->store_flags(a.inbox.id, uids({5}), StoreMode::add, flags("\\Seen"), author));
    must(a.store->expunge_any(a.inbox.id, uids({2, 3})));
    auto until = must(a.store->status(a.inbox.id)).mailbox.highest_modseq;
    a.add();
    must(a.store->expunge_any(a.inbox.id, uids({6})));
    auto changes = must(a.store->changed_uids(a.inbox.id, since, until));
    CHECK(changes.changed == uids({5, 7}));
    CHECK(changes.expunged == uids({2, 3}));
    auto later = must(a.store->status(a.inbox.id)).mailbox.highest_modseq;
    CHECK(must(a.store->changed_uids(a.inbox.id, since, later)).expunged == uids({2, 3, 6}));
    CHECK(must(a.store->changed_uids(a.inbox.id, until, later)).changed == uids({7}));
    // A message that moved is gone from the one and new in the other.
    auto other = must(a.store->create_mailbox("Other", "", t0));
    must(a.store->move(a.inbox.id, uids({1}), other.id, t0));
    CHECK(must(a.store->changed_uids(a.inbox.id, later, ModSeq{later.value + 1000})).expunged == uids({1}));
    CHECK(must(a.store->changed_uids(other.id, other.highest_modseq, later)).changed == uids({1}));
}

TEST_CASE("who knows an earlier file is told of all that is not there") {
    Account a;
    for (int i = 0; i < 7; ++i) a.add();
    must(a.store->expunge_any(a.inbox.id, uids({1, 4, 5, 6})));
    must(
        a.store->database().execute("DELETE FROM expunged"));  // as where they went before this file was made
    must(a.store->expunge_any(a.inbox.id, uids({3})));
    auto until = must(a.store->status(a.inbox.id)).mailbox.highest_modseq;
    must(a.store->expunge_any(a.inbox.id, uids({7})));
    for (ModSeq before : {ModSeq{0}, ModSeq{static_cast<std::uint64_t>(t0.value) - 1}}) {
        auto changes = must(a.store->changed_uids(a.inbox.id, before, until));
        CHECK(changes.changed == uids({2}));
        CHECK(changes.expunged == uids({1, 3, 4, 5, 6}));  // not 7: of that the session has not been told
    }
    CHECK(must(a.store->changed_uids(a.inbox.id, ModSeq{static_cast<std::uint64_t>(t0.value)}, until))
              .expunged == uids({3}));
}

TEST_CASE("several messages are appended, or none") {
    Account a;
    a.add();
    CHECK(must(a.store->append(std::vector{a.message(a.inbox.id), a.message(a.inbox.id, "\\Seen")})) ==
          uid_list({2, 3}));
    auto stray = a.message(id_of<MailboxId>(99));
    CHECK(error_of(a.store->append(std::vector{a.message(a.inbox.id), stray})) == ErrorKind::refused);
    CHECK(a.all(a.inbox.id) == uid_list({1, 2, 3}));
}

TEST_CASE("what an account holds is known, and no more comes in than may") {
    Account a;
    CHECK(must(a.store->usage()).messages == 0);
    a.add();
    auto one = must(a.store->usage());
    CHECK(one.messages == 1);
    REQUIRE(one.octets > 0);
    must(a.store->append(a.message(must(a.store->create_mailbox("Other", "", t0)).id)));
    auto two = must(a.store->usage());
    CHECK(two.messages == 2);
    CHECK(two.octets > one.octets);
    // What is marked and what is not.
    CHECK(must(a.store->status(a.inbox.id)).deleted_octets == 0);
    must(a.store->store_flags(a.inbox.id, range(1, 1), StoreMode::add, flags("\\Deleted"), author));
    CHECK(must(a.store->status(a.inbox.id)).deleted_octets == one.octets);
    Quota by_octets{two.octets + one.octets, 0}, by_count{0, 3};
    CHECK(a.store->check_quota(by_octets, {one.octets, 1}));
    CHECK(a.store->check_quota(by_count, {one.octets, 1}));
    CHECK(a.store->check_quota({}, {one.octets << 30, 1000}));
    CHECK_THAT(a.store->check_quota(by_octets, {one.octets + 1, 1}).error().text,
               Catch::Contains("[OVERQUOTA]"));
    CHECK(error_of(a.store->check_quota(by_count, {1, 2})) == ErrorKind::refused);
    CHECK(error_of(a.store->check_quota({1, 0}, {0, 0})) == ErrorKind::refused);  // full before
    must(a.store->expunge(a.inbox.id));
    CHECK(must(a.store->usage()).messages == 1);
    CHECK(must(a.store->status(a.inbox.id)).deleted_octets == 0);
    a.check();
}

TEST_CASE("a subscription is of a name, and the later word about it holds") {
    Account a;
    Author here{id_of<NodeId>(1), t0};
    auto work = must(a.store->create_mailbox("Work", "", t0));
    CHECK(must(a.store->set_subscribed("Work", true, here)));
    CHECK_FALSE(must(a.store->set_subscribed("Work", true, here)));
    CHECK_FALSE(must(a.store->set_subscribed("Nowhere", false, here)));
    CHECK(must(a.store->find_mailbox(work.id))->subscribed);
    must(a.store->rename_mailbox("Work", "Job", here));
    CHECK_FALSE(must(a.store->find_mailbox(work.id))->subscribed);
    must(a.store->delete_mailbox(work.id));
    CHECK(must(a.store->load_subscriptions()) == std::vector<std::string>{"Work"});

    NodeId peer = id_of<NodeId>(9);
    auto stamp = must(a.store->find_subscription("Work"))->stamp;
    CHECK(must(a.store->merge_subscription(peer, "Work", {false, {stamp.time - 1, 9}})) == Merged::same);
    auto before = must(a.store->highest_modseq());
    CHECK(must(a.store->merge_subscription(peer, "Work", {false, {stamp.time + 9, 9}})) == Merged::changed);
    CHECK(must(a.store->load_subscriptions()).empty());
    CHECK(must(a.store->subscriptions_changed_since(before)).size() == 1);
    CHECK(must(a.store->subscriptions_changed_since(before, peer)).empty());  // it said so itself
    // What is done here then is later than what was heard, whatever the clock says.
    CHECK(must(a.store->set_subscribed("inbox", true, {id_of<NodeId>(1), at(-500)})));
    CHECK(must(a.store->find_subscription("INBOX"))->stamp.time > stamp.time + 9);
    a.check();
}

TEST_CASE("mailboxes come to an end, deleted ones too") {
    Account a;
    CHECK(a.store->check_mailbox_count(2));
    auto other = must(a.store->create_mailbox("Other", "", t0));
    CHECK(error_of(a.store->check_mailbox_count(2)) == ErrorKind::refused);
    CHECK(a.store->check_mailbox_count(0));
    must(a.store->delete_mailbox(other.id));
    CHECK(a.store->check_mailbox_count(2));
    for (int i = 0; i < 18; ++i)
        must(a.store->delete_mailbox(must(a.store->create_mailbox("Other", "", t0)).id));
    CHECK_THAT(a.store->check_mailbox_count(2).error().text, Catch::Contains("[LIMIT]"));
}

TEST_CASE("an account uses so many keywords; those that it knows go on") {
    Account a;
    for (std::uint32_t i = 0; i < 20; ++i) {
        a.add();
        FlagSet words;
        for (std::uint32_t j = 0; j < 100; ++j) words.add_keyword("k" + std::to_string(100 * i + j));
        must(a.store->store_flags(a.inbox.id, range(i + 1, i + 1), StoreMode::set, words, author));
    }
    CHECK(error_of(a.store->store_flags(a.inbox.id, range(1, 1), StoreMode::set, flags("one-more"),
                                        author)) == ErrorKind::refused);
    must(a.store->store_flags(a.inbox.id, range(1, 1), StoreMode::set, flags("K77"), author));
    must(a.store->store_flags(a.inbox.id, range(1, 1), StoreMode::remove, flags("one-more"), author));
}
