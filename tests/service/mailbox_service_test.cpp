// What an IMAP session asks, answered from a real store.
#include "core_support.hpp"
#include "service/releases.hpp"
#include "service/search.hpp"
#include "store/provisional.hpp"

namespace fwmail::service::test {

TEST_CASE("an APPEND to a mailbox that goes meanwhile leaves no body held") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    session.begin_append("Subject: lost\r\n\r\ntext\r\n", "Other");
    Mailboxes other(core);
    other.log_in();
    other.get<imap::Done>(imap::Delete{"Other"});
    session.refused(imap::AppendEnd{});
    CHECK(core.problems().empty());
    CHECK_FALSE(core.node.references_in_doubt);
}

TEST_CASE("an APPEND that is broken off leaves nothing on the disk") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    std::string large = "Subject: large\r\n\r\n" + std::string(3 * store::chunk_size, 'x');
    auto unheld = [&] {
        store::GarbageAge all{at(1000), at(1000)};
        return core.read_system([&](store::SystemStore& system) { return system.find_garbage(all); }).size();
    };
    session.begin_append(large);
    CHECK(unheld() == 1);
    session.abort_append();
    CHECK(unheld() == 0);
    // And one that cannot be finished: its mailbox goes meanwhile.
    session.begin_append(large, "Other");
    session.get<imap::Done>(imap::Delete{"Other"});
    session.refused(imap::AppendEnd{});
    CHECK(unheld() == 0);
    CHECK(core.problems().empty());
}

TEST_CASE("a login stands as long as the user and all passwords of that time do") {
    Core core;
    Mailboxes session(core);
    CHECK(session.service.login_stands());
    session.log_in();
    auto add = [&](std::string label) {
        return core.write_system([&](store::SystemStore& system) {
            return system.add_credential({0, core.ann, store::CredentialKind::outside, label, label, t0, {}});
        });
    };
    auto phone = add("phone");
    core.reload();
    CHECK(session.service.login_stands());  // one more changes nothing
    Mailboxes later(core);
    later.log_in();
    core.write_system([&](store::SystemStore& system) { return system.revoke_credential(phone, at(1)); });
    core.reload();
    CHECK(session.service.login_stands());
    CHECK_FALSE(later.service.login_stands());
    core.write_system([&](store::SystemStore& system) {
        return system.set_user_state(core.ann, store::UserState::removed);
    });
    core.reload();
    CHECK_FALSE(session.service.login_stands());
}

TEST_CASE("INBOX is always there, or comes (RFC 9051 5.1): whoever asks too early is told to come again") {
    Core core;
    core.write([](store::AccountStore& account) -> Result<> {
        return account.delete_mailbox(TRY(account.find_mailbox("INBOX"))->id);
    });
    Mailboxes session(core);
    session.log_in();
    imap::Status status;
    imap::AppendBegin append;
    status.mailbox = append.mailbox = "inbox";
    for (const imap::Request& request :
         {imap::Request(imap::Select{"inbox"}), imap::Request(status), imap::Request(append)})
        CHECK(session.refused(request).code == "UNAVAILABLE");
    CHECK(session.refused(imap::Select{"Nowhere"}).code == "NONEXISTENT");
}

TEST_CASE("an expunged body stays for a while: others may be about to read it") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    session.append("Subject: a\r\n\r\ntext\r\n");
    session.select();
    auto object = core.read([&](store::AccountStore& store) { return store.load_references(); })
                      .references.at(0)
                      .object;
    auto there = [&] {
        return core.read_system([&](store::SystemStore& system) { return system.find_object(object); })
            .has_value();
    };
    auto drain = [](Node* node, AccountId account) -> net::Task<bool> {
        co_await drain_releases(*node, account);
        co_return true;
    };
    imap::Store mark;
    mark.uids = uids({1});
    mark.mode = imap::Store::Mode::add;
    mark.flags = flags("\\Deleted");
    session.get<imap::Stored>(std::move(mark));
    session.get<imap::Expunged>(imap::Expunge{});
    CHECK(there());
    CHECK(core.problems().empty());
    core.now = UnixMillis{core.now.value + 60'000};
    CHECK(core.node.hub.take_releasing() == std::set<AccountId>{core.ann});
    core.run(drain(&core.node, core.ann));
    CHECK(there());
    core.now = UnixMillis{core.now.value + release_grace(core.node).count()};
    CHECK(core.node.hub.take_releasing() == std::set<AccountId>{core.ann});
    core.run(drain(&core.node, core.ann));
    CHECK_FALSE(there());
    core.run(drain(&core.node, core.ann));
    core.node.hub.take_releasing();
    core.run(drain(&core.node, core.ann));
    CHECK(core.node.hub.take_releasing().empty());
}

namespace {

imap::Fetch headers_of(std::uint32_t first, std::uint32_t last, std::size_t times) {
    imap::Fetch fetch;
    fetch.uids = store::test::range(first, last);
    imap::Section section;
    section.what = imap::Section::What::header_fields_not;
    for (std::size_t i = 0; i < times; ++i) {
        section.names = {"X-" + std::to_string(i)};
        fetch.items.sections.push_back(section);
    }
    return fetch;
}

}  // namespace

TEST_CASE("one batch of FETCH holds a bounded number of octets") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    constexpr std::size_t mails = 7, header = 3'000'000;
    for (std::size_t i = 0; i < mails; ++i)
        session.append("Subject: " + std::string(header, 'x') + "\r\n\r\ntext\r\n");
    session.select();
    std::vector<std::uint32_t> seen;
    auto batch = session.get<imap::FetchBatch>(headers_of(1, mails, 1));
    for (;;) {
        std::size_t octets = 0;
        for (const auto& row : batch.rows) {
            seen.push_back(row.uid.value);
            auto text = std::get<std::string>(row.sections.at(0)->at(0));
            CHECK(text.size() > header);
            octets += text.size();
        }
        CHECK(octets < 12'000'000);
        if (batch.last) break;
        batch = session.get<imap::FetchBatch>(imap::FetchMore{});
    }
    CHECK(seen == std::vector<std::uint32_t>{1, 2, 3, 4, 5, 6, 7});
    CHECK(session.refused(headers_of(1, 1, 20)).code == "LIMIT");
}

TEST_CASE("what is kept of a large mailbox is what it is, whoever has changed it") {
    Core core;
    Mailboxes session(core), other(core);
    session.log_in();
    other.log_in();
    constexpr std::uint32_t count = SnapshotCache::least + 20;
    for (std::uint32_t i = 0; i < count; ++i) session.append("Subject: a\r\n\r\n");
    session.select();
    other.select();
    auto flags_of = [&](Mailboxes& who, std::uint32_t first, std::uint32_t last) {
        imap::Fetch fetch;
        fetch.items.flags = true;
        fetch.uids.add(first, last);
        auto batch = who.get<imap::FetchBatch>(std::move(fetch));
        CHECK(batch.last);
        return batch.rows;
    };
    auto unseen = [&](Mailboxes& who) {
        imap::Status status;
        status.mailbox = "INBOX";
        return who.get<imap::StatusNumbers>(status).unseen;
    };
    auto store = [](std::uint32_t uid, std::string text) {
        imap::Store request;
        request.uids.add(uid);
        request.flags = flags(text);
        return request;
    };
    CHECK(flags_of(session, 1, 0xffffffff).size() == count);
    CHECK(unseen(session) == count);
    auto stored = other.get<imap::Stored>(store(7, "\\Seen kw"));
    auto rows = flags_of(session, 1, 0xffffffff);
    REQUIRE(rows.size() == count);
    CHECK(rows[6].uid == Uid{7});
    CHECK(rows[6].flags == flags("\\Seen kw"));
    CHECK(rows[6].modseq == stored.rows.at(0).modseq);
    CHECK(unseen(session) == count - 1);
    CHECK(flags_of(session, 7, 8).size() == 2);

    other.get<imap::Stored>(store(9, "\\Deleted"));
    other.get<imap::Expunged>(imap::Expunge{});
    rows = flags_of(session, 8, 12);
    REQUIRE(rows.size() == 4);
    CHECK(rows[1].uid == Uid{10});
    CHECK(unseen(session) == count - 2);
    other.append("Subject: b\r\n\r\n");
    CHECK(session.get<imap::Selected>(imap::Select{"INBOX", true}).uids.count() == count);
    // A name is another mailbox's after RENAME and CREATE.
    other.get<imap::Created>(imap::Create{"Big", ""});
    session.get<imap::Done>(imap::Rename{"INBOX", "Old"});
    CHECK(session.get<imap::Selected>(imap::Select{"INBOX", false}).uids.empty());
    CHECK(session.get<imap::Selected>(imap::Select{"Old", false}).uids.count() == count);
    other.get<imap::Done>(imap::Rename{"Old", "Older"});
    session.refused(imap::Select{"Old", false});
    CHECK(session.get<imap::Selected>(imap::Select{"Older", false}).uids.count() == count);
    CHECK(unseen(session) == 0);
}

TEST_CASE("a session that has not been told of a message's other number finds it by the one it knows") {
    Core core;
    Mailboxes session(core), other(core);
    session.log_in();
    other.log_in();
    session.append("Subject: filed outside\r\n\r\ntext\r\n");
    session.select();
    other.select();
    auto set_flag = [&](Uid uid, std::string_view flag) {
        imap::Store request;
        request.uids = uids({uid.value});
        request.mode = imap::Store::Mode::add;
        request.flags = flags(flag);
        return session.get<imap::Stored>(std::move(request)).rows;
    };
    // As a confirmation does that comes just now.
    auto renumber = [&](std::uint32_t from) {
        Uid to = other.get<imap::Copied>(imap::Copy{uids({from}), "INBOX"}).destination.at(0);
        core.write([&](store::AccountStore& store) -> Result<> {
            MailboxId inbox = TRY(store.find_mailbox("INBOX"))->id;
            auto row = TRY(store.load_messages(inbox, uids({from}), store::column_identity, 1)).at(0);
            TRY(store::note_provisional(store, {inbox, Uid{from}}, row.email_id, {}, t0));
            TRY(store::confirm(store, {inbox, Uid{from}}, {inbox, to}, t0));
            TRY(store.expunge_any(inbox, uids({from})));
            return {};
        });
        return to;
    };
    Uid now = renumber(1);
    CHECK(session.get<imap::Copied>(imap::Copy{uids({1}), "Other"}).source == std::vector{now});
    auto rows = set_flag(Uid{1}, "\\Deleted");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].uid == now);
    CHECK(session.get<imap::Expunged>(imap::Expunge{uids({1})}).uids == std::vector{now});

    Uid next = session.append("Subject: filed outside, too\r\n\r\ntext\r\n");
    session.select();
    other.select();
    now = renumber(next.value);
    CHECK(session.get<imap::Copied>(imap::Move{uids({next.value}), "Other"}).source == std::vector{now});
    CHECK(set_flag(next, "\\Flagged").empty());
    CHECK(core.problems().empty());
}

TEST_CASE("a full account takes no APPEND and no COPY; MOVE changes nothing") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    std::string text = "Subject: a\r\n\r\ntext\r\n";
    session.append(text);
    CHECK_FALSE(session.get<imap::QuotaNumbers>(imap::GetQuota{}).messages);
    core.write_system([&](store::SystemStore& system) { return system.set_user_limits(core.ann, 1000, 2); });
    core.reload();
    session.append(text);
    auto numbers = session.get<imap::QuotaNumbers>(imap::GetQuota{});
    CHECK(numbers.messages->usage == 2);
    CHECK(numbers.messages->limit == 2);
    CHECK(numbers.storage->usage == 2 * text.size());
    CHECK(session.refused(imap::AppendBegin{"INBOX", false, {}, {}, 1}).code == "OVERQUOTA");
    session.select();
    CHECK(session.refused(imap::Copy{uids({1}), "Other"}).code == "OVERQUOTA");
    CHECK(session.get<imap::Copied>(imap::Move{uids({1}), "Other"}).source.size() == 1);
    CHECK(core.problems().empty());
    // What was announced to be small is counted when it is there.
    core.write_system(
        [&](store::SystemStore& system) { return system.set_user_limits(core.ann, 2 * text.size() + 5, 0); });
    core.reload();
    session.begin_append(text);
    CHECK(session.refused(imap::AppendEnd{}).code == "OVERQUOTA");
    CHECK(core.problems().empty());
    CHECK_FALSE(core.node.references_in_doubt);
}

TEST_CASE("the owner has all rights in a mailbox, and is the only one to have any") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    auto rights = session.get<imap::MailboxRights>(imap::GetRights{"Other"});
    CHECK(rights.mine == "lrswipkxtea");
    REQUIRE(rights.holders.size() == 1);
    CHECK(rights.holders[0].identifier == "ann");
    CHECK(rights.holders[0].rights == rights.mine);
    CHECK(session.refused(imap::GetRights{"Nowhere"}).code == "NONEXISTENT");
}

TEST_CASE("a search ends when nobody waits for it any more") {
    Core core;
    Mailboxes session(core);
    session.log_in();
    session.append("Subject: a\r\n\r\ntext\r\n");
    auto inbox = core.read([](store::AccountStore& store) { return store.find_mailbox("INBOX"); })->id;
    imap::SearchKey key;
    key.kind = imap::SearchKey::Kind::text;
    key.text = "text";
    CHECK(must(core.run(search_mailbox(core.node, core.ann, inbox, key))).size() == 1);
    int asked = 0;
    auto gone = [&asked] { return ++asked > 0; };
    auto ended = core.run(search_mailbox(core.node, core.ann, inbox, key, gone));
    REQUIRE_FALSE(ended);
    CHECK(ended.error().kind == ErrorKind::temporary);
    CHECK(asked > 0);
}

}  // namespace fwmail::service::test
