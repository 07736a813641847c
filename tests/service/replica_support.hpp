// A remote without listeners, and what core would send to it.
#pragma once

#include "corpus.hpp"
#include "net/net_support.hpp"
#include "service/releases.hpp"
#include "service/replica.hpp"
#include "store/support.hpp"

namespace fwmail::service::test {
using store::test::at;
using store::test::flags;
using store::test::id_of;
using store::test::must;
using store::test::t0;
using store::test::uid_list;
using store::test::uids;
using sync::Entry;

inline const AccountId account = id_of<AccountId>(1);
inline const MailboxId inbox = id_of<MailboxId>(2);
inline const NodeId core = id_of<NodeId>(3);

// A remote without listeners.
class Remote {
  public:
    Remote()
        : config_(must(config::Config::parse(config::role_remote, "data-dir = " + dir_.path.string() + "\n",
                                             dir_.path / "remote.conf"))),
          executor_(must(store::Executor::open({.data_dir = dir_.path, .threads = 2}))),
          node_{NodeRole::remote,
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
                net::Notifier(background_.runtime.main_executor())},
          replica_(node_) {}

    Result<> apply(std::vector<sync::Numbered> entries, NumberSet voids = {}) {
        sync::AccountSection section;
        section.account = account;
        section.epoch = {1, 1};
        section.entries = std::move(entries);
        section.voids = std::move(voids);
        return background_.run(replica_.apply(core, std::move(section)));
    }
    Result<> apply(std::uint64_t number, Entry entry) {
        return apply({{EntryNumber{number}, std::move(entry)}});
    }
    Replica& replica() { return replica_; }
    // Nobody reads any more what was expunged.
    void let_go() { background_.run(drain(node_)); }
    template <class T>
    T run(net::Task<T> task) {
        return background_.run(std::move(task));
    }

    template <class Job>
    auto read(Job job) {
        return must(background_.run(node_.read(account, std::move(job))));
    }
    template <class Job>
    auto read_system(Job job) {
        return must(background_.run(node_.read(store::system_file, std::move(job))));
    }
    std::vector<Uid> shown(MailboxId mailbox = inbox) {
        return read([mailbox](store::AccountStore& store) -> Result<std::vector<Uid>> {
            if (!TRY(store.find_mailbox(mailbox))) return std::vector<Uid>{};
            return TRY(store.select_snapshot(mailbox)).uids;
        });
    }
    store::Message message(std::uint32_t uid) {
        auto rows = read([uid](store::AccountStore& store) {
            return store.load_messages(inbox, uids({uid}),
                                       store::column_flags | store::column_identity | store::column_size, 1);
        });
        REQUIRE(rows.size() == 1);
        return rows[0];
    }
    std::string octets(std::uint32_t uid) {
        auto row = message(uid);
        return read_system(
            [row](store::SystemStore& system) { return system.read_object(row.object, 0, row.size); });
    }
    NumberSet applied() {
        return read([](store::AccountStore& store) { return store.load_applied(core); });
    }
    // Everything about the account that a client or core could notice.
    std::string state() {
        std::string out;
        for (Uid uid : shown()) {
            auto row = message(uid.value);
            out += std::to_string(uid.value) + " " + row.email_id.hex() + " " + row.object.hex() + " " +
                   row.flags.text() + "\n";
        }
        return out;
    }
    // In both files, as fwmail check looks at them.
    void check() {
        auto found = read([](store::AccountStore& store)
                              -> Result<std::pair<std::vector<std::string>, store::AccountReferences>> {
            return std::pair(TRY(store.check([](ObjectId) { return true; })), TRY(store.load_references()));
        });
        auto system = read_system([&](store::SystemStore& store) { return store.check({found.second}); });
        CAPTURE(found.first, system);
        CHECK(found.first.empty());
        CHECK(system.empty());
    }

    UnixMillis now = t0;

  private:
    static net::Task<bool> drain(Node& node) {
        co_await drain_releases(node, account, std::chrono::milliseconds(0));
        co_return true;
    }

    store::test::TempDir dir_;
    config::Config config_;
    Log log_{2, LogLevel::error};
    net::test::Background background_;
    std::unique_ptr<store::Executor> executor_;
    Node node_;
    Replica replica_;
};

inline Entry account_entry(std::vector<std::string> addresses = {"ann@example.test"}) {
    sync::AccountEntry entry;
    entry.name = "ann";
    entry.addresses = std::move(addresses);
    entry.certificates = {crypto::write_certificate(ann().public_key)};
    return entry;
}

inline Entry mailbox_entry(MailboxId id = inbox, std::string name = "INBOX", UnixMillis renamed = {}) {
    sync::MailboxEntry entry;
    entry.mailbox = id;
    entry.name = std::move(name);
    if (renamed.value) entry.named = {static_cast<std::uint64_t>(renamed.value) << 16, sync::origin_of(core)};
    entry.sealed_uidvalidity = UidValidity{77};
    return entry;
}

// One message as core would send it.
struct Letter {
    std::string text, packed, served;
    SealedInfo info;
    EmailId email;
    Uid uid, prev;

    Letter(std::uint32_t uid_, std::uint32_t prev_, std::size_t size = 100) : uid(uid_), prev(prev_) {
        email = id_of<EmailId>(1000 + uid_);
        text = "Subject: letter " + std::to_string(uid_) + "\r\n\r\n" + std::string(size, 'x') + "\r\n";
        auto order = order_of(static_cast<char>(uid_));
        order.email_id = email;
        auto object = sealed(text, order);
        packed = object.packed;
        info = object.info;
        served = unpack(packed).served;
    }
    Entry message(std::string_view flag_text = "") const {
        sync::MessageEntry entry;
        entry.mailbox = inbox;
        entry.uid = uid;
        entry.prev_uid = prev;
        entry.email = email;
        entry.sealed_size = info.size;
        entry.sealed_sha256 = info.sha256;
        entry.packed_size = info.packed_size;
        entry.internal_date = t0;
        entry.flags = flags(flag_text);
        return entry;
    }
    sync::ChunkEntry chunk(std::size_t from, std::size_t to) const {
        sync::ChunkEntry entry;
        entry.email = email;
        entry.sealed_sha256 = info.sha256;
        entry.offset = from;
        entry.total = packed.size();
        entry.data = packed.substr(from, to - from);
        return entry;
    }
    Entry whole() const { return chunk(0, packed.size()); }
    std::vector<Entry> pieces(std::size_t count) const {
        std::vector<Entry> out;
        for (std::size_t i = 0; i < count; ++i)
            out.emplace_back(chunk(packed.size() * i / count, packed.size() * (i + 1) / count));
        return out;
    }
};

// As after a command that set them all, at this time.
inline Entry flags_entry(std::uint32_t uid, std::string_view text, UnixMillis when = t0) {
    sync::FlagsEntry entry{inbox, Uid{uid}, flags(text), {}};
    for (char key = 1; key <= 5; ++key)
        entry.registers.push_back(
            {std::string(1, key), {static_cast<std::uint64_t>(when.value) << 16, sync::origin_of(core)}});
    return entry;
}
inline Entry expunge_entry(std::initializer_list<std::uint32_t> list) {
    return sync::ExpungeEntry{inbox, uids(list), Uid{}};
}

inline std::vector<sync::Numbered> numbered(std::vector<Entry> entries, std::uint64_t first = 1) {
    std::vector<sync::Numbered> out;
    for (auto& entry : entries) out.push_back({EntryNumber{first++}, std::move(entry)});
    return out;
}

}  // namespace fwmail::service::test
