// A core without listeners, with one user.
#pragma once

#include "corpus.hpp"
#include "crypto/scram.hpp"
#include "net/net_support.hpp"
#include "service/mailbox_service.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
using store::test::at;
using store::test::flags;
using store::test::id_of;
using store::test::must;
using store::test::t0;
using store::test::uids;

class Core {
  public:
    const AccountId ann = id_of<AccountId>(1);

    template <class T>
    T run(net::Task<T> task) {
        return background_.run(std::move(task));
    }
    template <class Job>
    auto read(Job job) {
        return must(run(node.read(ann, std::move(job))));
    }
    template <class Job>
    auto write(Job job) {
        return must(run(node.write(ann, std::move(job))));
    }
    template <class Job>
    auto read_system(Job job) {
        return must(run(node.read(store::system_file, std::move(job))));
    }
    template <class Job>
    auto write_system(Job job) {
        return must(run(node.write(store::system_file, std::move(job))));
    }
    void reload() {
        read_system([this](store::SystemStore& system) -> Result<> { return node.directory.reload(system); });
    }
    Core()
        : config_(must(config::Config::parse(config::role_core, "data-dir = " + dir_.path.string() + "\n",
                                             dir_.path / "core.conf"))),
          executor_(must(store::Executor::open({.data_dir = dir_.path, .threads = 2}))),
          node{NodeRole::core,
               config_,
               log_,
               [this] { return now; },
               background_.runtime,
               *executor_,
               id_of<NodeId>(4),
               Secret(std::string(32, 'k')),
               crypto::test_key('n'),
               nullptr,
               net::Resolver(),
               {},
               {},
               net::Notifier(background_.runtime.main_executor()),
               net::Notifier(background_.runtime.main_executor())} {
        auto verifier = must(crypto::make_verifier(Secret(std::string("inside")))).text();
        write_system([&](store::SystemStore& system) -> Result<> {
            TRY(system.add_user({ann, "ann", t0}));
            TRY(system.add_credential({0, ann, store::CredentialKind::inside, "inside", verifier, t0, {}}));
            return {};
        });
        reload();
        write([](store::AccountStore& account) -> Result<> {
            TRY(account.create_mailbox("INBOX", "", t0));
            TRY(account.create_mailbox("Other", "", t0));
            return {};
        });
    }

    // With a remote whose key is test_key('r').
    void link_outside(NodeId remote) {
        store::Link link;
        link.peer = remote;
        link.name = "outside";
        link.role = "remote";
        link.state = store::LinkState::active;
        link.own_address = "core@core.test";
        link.peer_address = "remote@remote.test";
        link.peer_certificate = must(crypto::write_compact_key(crypto::test_key('r').public_key));
        link.own_epoch = epoch_octets({1, 1});
        link.peer_epoch = epoch_octets({1, 2});
        link.created = t0;
        write_system([link](store::SystemStore& system) { return system.save_link(link); });
        reload_links();
    }
    void reload_links() {
        read_system([this](store::SystemStore& system) { return node.links.reload(system); });
    }

    // Across both files, as fwmail check looks at them.
    std::vector<std::string> problems() {
        auto references = read([](store::AccountStore& store) { return store.load_references(); });
        return read_system([&](store::SystemStore& store) { return store.check({references}); });
    }

  private:
    store::test::TempDir dir_;
    config::Config config_;
    Log log_{2, LogLevel::error};
    net::test::Background background_;
    std::unique_ptr<store::Executor> executor_;

  public:
    UnixMillis now = t0;
    Node node;
};

// What one IMAP session asks of the node.
class Mailboxes {
  public:
    explicit Mailboxes(Core& core)
        : core_(core), service(core.node, "test", net::Notifier(core.node.runtime.main_executor())) {}

    // The answer of the type that is expected.
    template <class Answer>
    Answer get(imap::Request request) {
        auto reply = core_.run(service.execute(std::move(request)));
        if (auto* refusal = std::get_if<imap::Refusal>(&reply)) FAIL(refusal->code << " " << refusal->text);
        REQUIRE(std::holds_alternative<Answer>(reply));
        return std::get<Answer>(std::move(reply));
    }
    imap::Refusal refused(imap::Request request) {
        auto reply = core_.run(service.execute(std::move(request)));
        REQUIRE(std::holds_alternative<imap::Refusal>(reply));
        return std::get<imap::Refusal>(std::move(reply));
    }
    void log_in() { get<imap::Done>(imap::Authenticate{"ann", Secret(std::string("inside"))}); }
    void begin_append(std::string text, std::string mailbox = "INBOX") {
        imap::AppendBegin begin;
        begin.mailbox = std::move(mailbox);
        get<imap::Done>(std::move(begin));
        core_.run(feed(std::move(text)));
    }
    Uid append(std::string text, std::string mailbox = "INBOX") {
        begin_append(std::move(text), std::move(mailbox));
        return get<imap::Appended>(imap::AppendEnd{}).uids.at(0);
    }
    void abort_append() { core_.run(abort()); }
    void select(std::string mailbox = "INBOX") {
        get<imap::Selected>(imap::Select{std::move(mailbox), false});
    }

  private:
    net::Task<bool> feed(std::string text) {
        co_await service.append_data(std::move(text));
        co_return true;
    }
    net::Task<bool> abort() {
        co_await service.append_abort();
        co_return true;
    }
    Core& core_;

  public:
    MailboxService service;
};

}  // namespace fwmail::service::test
