// What an IMAP session asks, answered from a real store.
#include "core_support.hpp"
#include "service/releases.hpp"

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
    core.now = UnixMillis{core.now.value + release_grace.count()};
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

}  // namespace fwmail::service::test
