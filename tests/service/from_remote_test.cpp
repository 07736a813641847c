// What a remote may say to core: frames as they come by mail, opened, checked and applied.
#include "core_support.hpp"
#include "crypto/openpgp_message.hpp"
#include "service/link_receiver.hpp"
#include "store/outside_expunges.hpp"
#include "sync/node_mail.hpp"

namespace fwmail::service::test {
namespace {

const NodeId remote = id_of<NodeId>(9);

class LinkedCore : public Core {
  public:
    LinkedCore() : replica_(node), receiver_(node, node.links, replica_) {
        auto key = crypto::test_key('r');
        store::Link link;
        link.peer = remote;
        link.name = "outside";
        link.role = "remote";
        link.state = store::LinkState::active;
        link.own_address = "core@core.test";
        link.peer_address = "remote@remote.test";
        link.peer_certificate = must(crypto::write_compact_key(key.public_key));
        link.own_epoch = epoch_octets({1, 1});
        link.peer_epoch = epoch_octets({1, 2});
        link.created = t0;
        write_system([link](store::SystemStore& system) { return system.save_link(link); });
        read_system([this](store::SystemStore& system) { return node.links.reload(system); });
        inbox = read([](store::AccountStore& store) { return store.find_mailbox("INBOX"); })->id;
    }

    // Messages without bodies, of which the remote has been told.
    void add(std::uint32_t count) {
        write([this, count](store::AccountStore& store) -> Result<> {
            for (std::uint32_t i = 1; i <= count; ++i) {
                store::NewMessage m;
                m.mailbox = inbox;
                m.hold = id_of<store::HoldId>(i);
                m.email_id = id_of<EmailId>(i);
                TRY(store.append(m));
            }
            store::OutboxPlan plan;
            plan.cursor = TRY(store.highest_modseq());
            plan.planned.push_back({inbox, {Uid{count}, Uid{count}}});
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

    MailboxId inbox;

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

TEST_CASE("flags of what is gone, or was never shown outside, do nothing and are acknowledged") {
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
    for (std::uint64_t number : {1, 2, 3}) CHECK(core.acknowledges(number));
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
    UidSet gone = uids({2, 3, 5, 9});
    must(core.receive(1, sync::ExpungeEntry{core.inbox, gone, Uid{}}));
    CHECK(core.shown() == store::test::uid_list({1, 4}));
    must(core.receive(2, sync::ExpungeEntry{core.inbox, gone, Uid{}}));  // told twice
    // The remote is not told what it has said; a second one would be.
    auto told = core.read([](store::AccountStore& store) -> Result<std::pair<std::size_t, std::size_t>> {
        return std::pair(TRY(store.expunged_since(ModSeq{}, 10, remote)).size(),
                         TRY(store.expunged_since(ModSeq{}, 10)).size());
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
    refused(sync::ChunkEntry{id_of<EmailId>(5), {}, 0, 1, "x"});
}

}  // namespace fwmail::service::test
