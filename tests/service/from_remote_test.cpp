// What a remote may say to core: frames as they come by mail, opened, checked and applied.
#include "core_support.hpp"
#include "crypto/openpgp_message.hpp"
#include "service/link_receiver.hpp"
#include "store/elsewhere.hpp"
#include "store/outside_expunges.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::service::test {
namespace {

const NodeId remote = id_of<NodeId>(9);

class LinkedCore : public Core {
  public:
    LinkedCore() : replica_(node), receiver_(node, node.links, replica_) {
        link_outside(remote);
        inbox = read([](store::AccountStore& store) { return store.find_mailbox("INBOX"); })->id;
        other = read([](store::AccountStore& store) { return store.find_mailbox("Other"); })->id;
    }

    // Messages without bodies, of which the remote has been told.
    void add(std::uint32_t count) { add_to(inbox, count); }
    void add_to(MailboxId mailbox, std::uint32_t count) {
        write([mailbox, count, first = mailbox == inbox](store::AccountStore& store) -> Result<> {
            std::uint32_t base = first ? 0 : 100'000;
            for (std::uint32_t i = 1; i <= count; ++i) {
                store::NewMessage m;
                m.mailbox = mailbox;
                m.hold = id_of<store::HoldId>(base + i);
                m.email_id = id_of<EmailId>(base + i);
                Uid uid = TRY(store.append(m));
                TRY(store.record_seal(
                    {mailbox, uid, {{}, 1, std::string(32, 's'), store::SealState::sealed, {}}}));
            }
            store::OutboxPlan plan;
            plan.cursor = TRY(store.highest_modseq());
            plan.planned.push_back({mailbox, {Uid{count}, Uid{count}}});
            TRY(store.append_outbox(remote, plan));
            return {};
        });
    }
    Result<> receive(std::vector<sync::Numbered> entries) {
        sync::Frame frame;
        frame.from = remote;
        frame.to = node.id;
        frame.id = id_of<sync::FrameId>(++frames_);
        frame.created = now;
        sync::AccountSection section;
        section.account = ann;
        section.epoch = {1, 2};
        section.echo = {1, 1};
        section.entries = std::move(entries);
        frame.sections.push_back(std::move(section));
        auto key = crypto::test_key('r');
        crypto::SealOptions options;
        options.seed = Secret(std::string(crypto::seed_size, static_cast<char>(frames_)));
        options.date = now;
        options.signer = &key;
        sync::NodeMail mail;
        mail.from = "remote@remote.test";
        mail.to = "core@core.test";
        mail.date = now;
        mail.message_id = sync::node_message_id(frame.id, mail.from);
        mail.content =
            must(crypto::seal(must(sync::write_frame(frame)), {&node.key.public_key, 1}, std::move(options)));
        return run(receiver_.receive(remote, false, must(sync::build_node_mail(mail))));
    }
    Result<> receive(std::uint64_t number, sync::Entry entry) {
        return receive({{EntryNumber{number}, std::move(entry)}});
    }
    store::Message message(std::uint32_t uid) {
        auto rows = read([this, uid](store::AccountStore& store) {
            return store.load_messages(inbox, uids({uid}), store::column_flags | store::column_registers, 1);
        });
        REQUIRE(rows.size() == 1);
        return rows[0];
    }
    std::vector<Uid> shown() {
        return read([this](store::AccountStore& store) { return store.select_snapshot(inbox); }).uids;
    }
    void check() {
        auto problems =
            read([](store::AccountStore& store) { return store.check([](ObjectId) { return true; }); });
        CAPTURE(problems);
        CHECK(problems.empty());
    }
    bool acknowledges(std::uint64_t number) {
        return read([](store::AccountStore& store) { return store.load_applied(remote); }).contains(number);
    }

    MailboxId inbox, other;

  private:
    std::uint64_t frames_ = 0;
    Replica replica_;
    LinkReceiver receiver_;
};

sync::FlagsEntry flags_of(LinkedCore& core, std::uint32_t uid, std::string_view text, UnixMillis when) {
    auto state = sync::change_flags({}, flags(text), {static_cast<std::uint64_t>(when.value) << 16, 5});
    return {core.inbox, Uid{uid}, state.flags, state.registers};
}

}  // namespace

TEST_CASE("flags from a remote are merged into core's, with their stamps") {
    LinkedCore core;
    core.add(2);
    core.write([&](store::AccountStore& store) {
        return store.store_flags(core.inbox, uids({1}), store::StoreMode::add, flags("\\Flagged"),
                                 {core.node.id, t0});
    });
    auto theirs = flags_of(core, 1, "\\Seen $Later", t0);
    must(core.receive(1, theirs));
    CHECK(core.message(1).flags == flags("\\Seen \\Flagged $Later"));
    CHECK(core.acknowledges(1));
    // Late, lost, repeated: older words change nothing, newer ones do.
    must(core.receive(2, flags_of(core, 2, "\\Seen", at(20))));
    auto removed = sync::change_flags({theirs.flags, theirs.registers}, flags("\\Seen"),
                                      {static_cast<std::uint64_t>(at(30).value) << 16, 5});
    must(core.receive(3, sync::FlagsEntry{core.inbox, Uid{1}, removed.flags, removed.registers}));
    must(core.receive(1, theirs));
    must(core.receive(4, theirs));
    CHECK(core.message(1).flags == flags("\\Seen \\Flagged"));
    CHECK(core.message(2).flags == flags("\\Seen"));
}

TEST_CASE("flags of what is gone do nothing; those of what core has not heard of come again") {
    LinkedCore core;
    core.add(2);
    core.write([&](store::AccountStore& store) -> Result<store::ExpungeResult> {
        store::NewMessage withheld;
        withheld.mailbox = core.inbox;
        withheld.hold = id_of<store::HoldId>(77);
        TRY(store.append(withheld));
        return store.expunge_any(core.inbox, uids({1}));
    });
    must(core.receive(1, flags_of(core, 1, "\\Seen", t0)));
    must(core.receive(2, flags_of(core, 3, "\\Seen", t0)));
    auto elsewhere = flags_of(core, 2, "\\Seen", t0);
    elsewhere.mailbox = id_of<MailboxId>(1234);
    must(core.receive(3, elsewhere));
    CHECK(core.message(2).flags == flags(""));
    CHECK(core.message(3).flags == flags(""));
    CHECK(core.acknowledges(1));
    // The remote may have filed it itself, and its request is on the way.
    for (std::uint64_t number : {2, 3}) CHECK_FALSE(core.acknowledges(number));
}

TEST_CASE("what is stamped too far ahead waits for its time, and is reported") {
    LinkedCore core;
    core.add(1);
    auto ahead = flags_of(core, 1, "\\Seen", at(400));
    auto both = sync::change_flags({ahead.flags, ahead.registers}, flags("\\Seen \\Draft"),
                                   {static_cast<std::uint64_t>(t0.value) << 16, 5});
    sync::FlagsEntry entry{core.inbox, Uid{1}, both.flags, both.registers};
    must(core.receive(1, entry));
    CHECK(core.message(1).flags == flags("\\Draft"));  // what is in time is taken
    CHECK_FALSE(core.acknowledges(1));
    auto refusals = core.read_system([](store::SystemStore& system) { return system.load_refusals(1); });
    REQUIRE(refusals.size() == 1);
    CHECK(refusals[0].reason.find("clock") != std::string::npos);
    core.now = at(200);
    must(core.receive(1, entry));
    CHECK(core.message(1).flags == flags("\\Seen \\Draft"));
    CHECK(core.acknowledges(1));
}

TEST_CASE("what is expunged outside is hidden, and can be put back for a month") {
    LinkedCore core;
    core.add(5);
    UidSet gone = uids({2, 3, 5});
    must(core.receive(9, sync::ExpungeEntry{core.inbox, uids({4, 9}), Uid{}}));  // 9 is not known yet
    CHECK_FALSE(core.acknowledges(9));
    CHECK(core.shown().size() == 5);
    must(core.receive(1, sync::ExpungeEntry{core.inbox, gone, Uid{}}));
    CHECK(core.shown() == store::test::uid_list({1, 4}));
    must(core.receive(2, sync::ExpungeEntry{core.inbox, gone, Uid{}}));  // told twice
    // The remote is not told what it has said; a second one would be.
    auto told = core.read([](store::AccountStore& store) -> Result<std::pair<std::size_t, std::size_t>> {
        auto all = TRY(store.expunged_since(ModSeq{}, 10));
        auto gone = TRY(store::gone_at(store, remote, all));
        return std::pair(gone.uids.size() + gone.given.size(), all.size());
    });
    CHECK(told == std::pair<std::size_t, std::size_t>(0, 3));
    CHECK(core.read([](store::AccountStore& store) { return store.load_pending_releases(10); }).empty());
    CHECK(core.read([](store::AccountStore& store) { return store.load_references(); }).references.size() ==
          5);
    core.write([](store::AccountStore& store) { return store::restore_hidden(store, t0, at(5)); });
    CHECK(core.shown() == store::test::uid_list({1, 4, 6, 7, 8}));
    must(core.receive(3, sync::ExpungeEntry{core.inbox, uids({1}), Uid{}}));
    core.write([](store::AccountStore& store) { return store::forget_hidden(store, at(60)); });
    CHECK(core.read([](store::AccountStore& store) { return store.load_pending_releases(10); }).size() == 1);
    core.check();
}

TEST_CASE("what is expunged beyond a day's measure waits, whole") {
    LinkedCore core;
    core.add(1500);
    UidSet most, more;
    most.add(1, 1000);
    more.add(1001, 1500);
    must(core.receive(1, sync::ExpungeEntry{core.inbox, most, Uid{}}));
    must(core.receive(2, sync::ExpungeEntry{core.inbox, more, Uid{}}));
    CHECK(core.acknowledges(2));
    CHECK(core.shown().size() == 500);
    auto held = core.read([](store::AccountStore& store) { return store::load_held_expunges(store); });
    REQUIRE(held.size() == 1);
    CHECK(held[0].uids == more);
    CHECK(held[0].count == 500);
    CHECK(held[0].peer == remote);
    // A day later there is room for more; what is held stays so.
    core.now = at(86'401);
    must(core.receive(3, sync::ExpungeEntry{core.inbox, uids({1500}), Uid{}}));
    CHECK(core.shown().size() == 499);
    auto summary = core.read([](store::AccountStore& store) { return store::summarize_hidden(store); });
    CHECK(summary.hidden == 1001);
    CHECK(summary.held == 500);
    core.check();
}

TEST_CASE("a mailbox made outside is there inside, and the remote is not told of it") {
    LinkedCore core;
    sync::MailboxEntry made{id_of<MailboxId>(500),    "Trips", {}, "\\Archive", {},
                            UidValidity{900'000'000}, false,   {}};
    must(core.receive(1, made));
    must(core.receive(2, made));
    auto find = [&](MailboxId id) {
        return *core.read([id](store::AccountStore& store) { return store.find_mailbox(id); });
    };
    auto trips = find(made.mailbox);
    CHECK(trips.name == "Trips");
    CHECK(trips.special_use == "\\Archive");
    CHECK(trips.sealed_uidvalidity == UidValidity{900'000'000});
    CHECK(trips.uidvalidity > trips.sealed_uidvalidity);
    auto told = [&](MailboxId id) {
        auto all = core.read(
            [](store::AccountStore& store) { return store.mailboxes_changed_since(ModSeq{}, remote); });
        return std::ranges::any_of(all, [&](const auto& m) { return m.id == id; });
    };
    CHECK_FALSE(told(made.mailbox));
    SECTION("the same name on both sides is core's mailbox") {
        sync::MailboxEntry other{id_of<MailboxId>(501),      "Other", {}, "", {},
                                 UidValidity{1'900'000'000}, false,   {}};
        must(core.receive(3, other));
        auto joined = find(other.mailbox);
        CHECK(joined.deleted);
        auto mine = *core.read([](store::AccountStore& store) { return store.find_mailbox("Other"); });
        CHECK(joined.became == mine.id);
        CHECK(mine.sealed_uidvalidity > other.sealed_uidvalidity);  // no client takes one for the other
        CHECK(told(other.mailbox));
        CHECK(told(mine.id));
    }
    SECTION("renamed, to a name that is taken") {
        made.name = "Other";
        made.named = {static_cast<std::uint64_t>(t0.value) << 16, 5};
        must(core.receive(3, made));
        CHECK(find(made.mailbox).name.starts_with("Other ("));
        CHECK(told(made.mailbox));
    }
    SECTION("INBOX stays what it is") {
        must(core.receive(3, sync::MailboxEntry{core.inbox, "Elsewhere", {1, 5}, "", {}, {}, false, {}}));
        must(core.receive(4, sync::MailboxEntry{core.inbox, "INBOX", {}, "", {}, {}, true, Uid{9}}));
        CHECK(find(core.inbox).name == "INBOX");
        CHECK_FALSE(find(core.inbox).deleted);
    }
    SECTION("a UIDVALIDITY out of all reason is not taken") {
        made.mailbox = id_of<MailboxId>(502);
        made.name = "Far";
        made.special_use.clear();
        made.sealed_uidvalidity = UidValidity{0xffffffff};
        must(core.receive(3, made));
        CHECK(find(made.mailbox).sealed_uidvalidity < UidValidity{0xff000000});
        CHECK(told(made.mailbox));
    }
    SECTION("a name that no client could give") {
        std::uint64_t number = 3;
        for (const char* name : {"a//b", "/a", "a%", "Trips/"}) {
            made.mailbox = id_of<MailboxId>(503);
            made.name = name;
            must(core.receive(number, made));
            CHECK_FALSE(
                core.read([&](store::AccountStore& store) { return store.find_mailbox(made.mailbox); }));
            CHECK(core.acknowledges(number++));
        }
    }
    SECTION("a rename stamped too far ahead waits") {
        made.name = "Later";
        made.named = {static_cast<std::uint64_t>(at(400).value) << 16, 5};
        must(core.receive(3, made));
        CHECK(find(made.mailbox).name == "Trips");
        CHECK_FALSE(core.acknowledges(3));
    }
    SECTION("subscriptions are of names") {
        must(core.receive(3, sync::SubscriptionEntry{"Nowhere", true, {1, 5}}));
        CHECK(core.read([](store::AccountStore& store) { return store.load_subscriptions(); }) ==
              std::vector<std::string>{"Nowhere"});
    }
    core.check();
}

TEST_CASE("what is deleted outside with its mailbox is hidden; what nobody had seen there lives on") {
    LinkedCore core;
    core.add_to(core.other, 5);
    core.write([&](store::AccountStore& store) -> Result<Uid> {
        store::NewMessage newer;
        newer.mailbox = core.other;
        newer.hold = id_of<store::HoldId>(900);
        return store.append(newer);
    });
    sync::MailboxEntry gone{core.other, "Other", {}, "", {}, {}, true, Uid{4}};
    auto live = [&] {
        return core.read([](store::AccountStore& store) { return store.find_mailbox("Other"); });
    };
    auto uids_of = [&](MailboxId id) {
        return core.read([id](store::AccountStore& store) { return store.select_snapshot(id); }).uids;
    };
    SECTION("at once") {
        must(core.receive(1, gone));
        must(core.receive(2, gone));
        auto heir = live();
        REQUIRE(heir);
        CHECK(heir->id != core.other);
        CHECK(uids_of(heir->id) == store::test::uid_list({1, 2}));
        CHECK(core.read([](store::AccountStore& store) { return store::summarize_hidden(store); }).hidden ==
              4);
        CHECK(core.write(
                  [](store::AccountStore& store) { return store::restore_hidden(store, t0, at(5)); }) == 4);
        CHECK(uids_of(heir->id).size() == 6);
    }
    SECTION("when nothing is left the mailbox has gone, and comes again with what is put back") {
        gone.last_uid = Uid{99};
        core.write([&](store::AccountStore& store) { return store.expunge_any(core.other, uids({6})); });
        must(core.receive(1, gone));
        CHECK_FALSE(live());
        core.write([](store::AccountStore& store) { return store::restore_hidden(store, t0, at(5)); });
        REQUIRE(live());
        CHECK(uids_of(live()->id).size() == 5);
    }
    SECTION("more than a day's measure waits") {
        core.add(999);
        UidSet most;
        most.add(1, 999);
        must(core.receive(1, sync::ExpungeEntry{core.inbox, most, Uid{}}));
        must(core.receive(2, gone));
        must(core.receive(3, gone));
        CHECK(live()->id == core.other);
        auto held = core.read([](store::AccountStore& store) { return store::load_held_expunges(store); });
        REQUIRE(held.size() == 1);
        CHECK(held[0].deletes);
        CHECK(held[0].count == 4);
    }
    SECTION("a special use is not deleted: it is made again") {
        core.write(
            [&](store::AccountStore& store) { return store.set_special_use(core.other, "\\Archive"); });
        must(core.receive(1, gone));
        REQUIRE(live());
        CHECK(live()->id != core.other);
        CHECK(live()->special_use == "\\Archive");
        CHECK(uids_of(live()->id).size() == 6);
    }
    core.check();
}

TEST_CASE("what is core's to say is refused from a remote") {
    LinkedCore core;
    core.add(1);
    auto refused = [&](sync::Entry entry) {
        auto result =
            core.receive({{EntryNumber{1}, flags_of(core, 1, "\\Seen", t0)}, {EntryNumber{2}, entry}});
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::refused);
        CHECK(core.message(1).flags == flags(""));
        CHECK_FALSE(core.acknowledges(1));
    };
    refused(sync::AccountEntry{"ann", {}, {}, {}, true});
    refused(sync::MessageEntry{core.inbox, Uid{5}, Uid{1}, id_of<EmailId>(5), 1, {}, 1, t0, 0, {}});
    refused(sync::ExpungeEntry{core.inbox, uids({5}), Uid{1}});  // stands for a message that was not sent
    refused(sync::ConfirmEntry{core.inbox, Uid{1}, core.inbox, Uid{1}});
}

TEST_CASE("what is copied and moved outside is filed under the number that the remote gave, once") {
    LinkedCore core;
    core.add(3);
    auto shown_in_other = [&] {
        return core.read([&](store::AccountStore& store) { return store.select_snapshot(core.other); }).uids;
    };
    auto told = [&] {  // numbers of which the remote hears what became of them
        return core.read([](store::AccountStore& store) -> Result<std::vector<sync::ConfirmEntry>> {
            std::vector<sync::ConfirmEntry> told;
            for (const auto& row : TRY(store.load_outbox_due(remote, at(1000), 100)))
                if (auto entry = sync::decode_entry(row.payload); entry)
                    if (const auto* confirm = std::get_if<sync::ConfirmEntry>(&*entry))
                        told.push_back(*confirm);
            return told;
        });
    };
    sync::CopyRequestEntry moved{core.inbox, Uid{2},          id_of<EmailId>(2), core.other,
                                 Uid{1},     {7ull << 16, 5}, flags("\\Seen")};
    must(core.receive(1, moved));
    must(core.receive(2, moved));
    CHECK(core.shown() == store::test::uid_list({1, 3}));
    CHECK(shown_in_other() == store::test::uid_list({1}));
    REQUIRE(told().size() == 2);  // each time: the first word of it may be lost
    CHECK(told()[0] == told()[1]);
    CHECK(told()[0] == sync::ConfirmEntry{core.other, Uid{1}, core.other, Uid{1}});
    SECTION("used here as well: both get others") {
        core.write([&](store::AccountStore& store) -> Result<Uid> {
            store::NewMessage own;
            own.mailbox = core.other;
            own.hold = id_of<store::HoldId>(900);
            return store.append(own);
        });
        moved.from_uid = Uid{3};
        moved.email = id_of<EmailId>(3);
        moved.uid = Uid{2};
        must(core.receive(3, moved));
        CHECK(shown_in_other() == store::test::uid_list({1, 3, 4}));
        CHECK(told().back() == sync::ConfirmEntry{core.other, Uid{2}, core.other, Uid{4}});
        // The remote means its own by it.
        auto word = flags_of(core, 2, "\\Flagged", t0);
        word.mailbox = core.other;
        must(core.receive(4, word));
        must(core.receive(5, sync::ExpungeEntry{core.other, uids({2}), Uid{}}));
        CHECK(shown_in_other() == store::test::uid_list({1, 3}));
    }
    SECTION("out of all reason") {
        moved.from_uid = Uid{3};
        moved.email = id_of<EmailId>(3);
        moved.uid = Uid{0xfffffff0};
        must(core.receive(3, moved));
        CHECK(shown_in_other() == store::test::uid_list({1, 2}));
    }
    SECTION("of what core has not heard of: it waits") {
        moved.from_uid = Uid{9};
        moved.uid = Uid{2};
        must(core.receive(3, moved));
        CHECK_FALSE(core.acknowledges(3));
        moved.from_uid = Uid{3};
        moved.mailbox = id_of<MailboxId>(1234);
        must(core.receive(4, moved));
        CHECK_FALSE(core.acknowledges(4));
        CHECK(core.shown() == store::test::uid_list({1, 3}));
    }
    SECTION("of what was expunged here: nothing, and the number is never used") {
        core.write([&](store::AccountStore& store) { return store.expunge_any(core.inbox, uids({3})); });
        moved.from_uid = Uid{3};
        moved.email = id_of<EmailId>(3);
        moved.uid = Uid{2};
        must(core.receive(3, moved));
        CHECK(told().back() == sync::ConfirmEntry{core.other, Uid{2}, core.other, Uid{}});
        CHECK(
            core.read([&](store::AccountStore& store) { return store.find_mailbox(core.other); })->uidnext ==
            Uid{3});
    }
    SECTION("moved here later: that holds, and flags follow") {
        core.write([&](store::AccountStore& store) {
            return store.move(core.inbox, uids({3}), core.other, core.now,
                              store::Author{core.node.id, core.now});
        });
        moved.from_uid = Uid{3};
        moved.email = id_of<EmailId>(3);
        moved.mailbox = core.inbox;
        moved.uid = Uid{4};
        must(core.receive(3, moved));
        CHECK(core.shown() == store::test::uid_list({1}));
        CHECK(shown_in_other() == store::test::uid_list({1, 2}));
        CHECK(told().back() == sync::ConfirmEntry{core.inbox, Uid{4}, core.other, Uid{2}});
        must(core.receive(4, flags_of(core, 3, "$Followed", t0)));
        auto rows = core.read([&](store::AccountStore& store) {
            return store.load_messages(core.other, uids({2}), store::column_flags, 1);
        });
        CHECK(rows[0].flags.has_keyword("$Followed"));
    }
    core.check();
}

}  // namespace fwmail::service::test
