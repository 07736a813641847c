// A data directory that goes with the test, and short names.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "base/random.hpp"
#include "store/account_store.hpp"
#include "store/executor.hpp"
#include "store/lock.hpp"
#include "store/system_store.hpp"

namespace fwmail::store::test {

class TempDir {
  public:
    TempDir() {
        std::string name = (std::filesystem::temp_directory_path() / "fwmail-store-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()));
        path = name;
        REQUIRE(prepare_data_dir(path));
    }
    ~TempDir() {
        std::error_code code;
        std::filesystem::remove_all(path, code);
    }
    std::filesystem::path path;
};

// The value, or the test fails with the error's text.
template <class T>
T must(Result<T> result) {
    if (!result) FAIL(result.error().text);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
template <class T>
ErrorKind error_of(Result<T> result) {
    REQUIRE(!result);
    return result.error().kind;
}

inline constexpr UnixMillis t0{1'700'000'000'000};
inline const Author author{NodeId{}, t0};
inline UnixMillis at(std::int64_t seconds) { return UnixMillis{t0.value + seconds * 1000}; }

template <class Id>
Id id_of(std::uint64_t n) {
    Id id;
    for (int i = 0; i < 8; ++i) id.bytes[15 - i] = static_cast<std::uint8_t>(n >> 8 * i);
    id.bytes[0] = 1;
    return id;
}

inline UidSet uids(std::initializer_list<std::uint32_t> list) {
    UidSet set;
    for (auto u : list) set.add(u);
    return set;
}
inline UidSet range(std::uint32_t first, std::uint32_t last) {
    UidSet set;
    set.add(first, last);
    return set;
}
inline FlagSet flags(std::string_view text) { return FlagSet::from_text(text); }
inline std::vector<Uid> uid_list(std::initializer_list<std::uint32_t> list) {
    std::vector<Uid> out;
    for (auto u : list) out.push_back(Uid{u});
    return out;
}

// An account file without bodies behind it.
struct Account {
    TempDir dir;
    AccountId id = id_of<AccountId>(1);
    std::unique_ptr<AccountStore> store;
    Mailbox inbox;
    std::uint64_t serial = 0;

    Account() {
        reopen();
        inbox = must(store->create_mailbox("inbox", "", t0));
    }
    void reopen() {
        store.reset();
        store = must(AccountStore::open(dir.path, id, t0));
    }
    NewMessage message(MailboxId mailbox, std::string_view flag_text = "") {
        NewMessage m;
        m.mailbox = mailbox;
        m.hold = id_of<HoldId>(++serial);
        m.object = id_of<ObjectId>(serial);
        m.email_id = id_of<EmailId>(serial);
        m.size = 100 + serial;
        m.date = t0;
        m.zone_minutes = -90;
        m.flags = flags(flag_text);
        m.texts = {"env" + std::to_string(serial),
                   "body",
                   "structure",
                   std::string("p\0q", 3),
                   std::string("k\0", 2) + std::to_string(serial),
                   std::string("h\0", 2) + std::to_string(serial)};
        m.saved_at = t0;
        return m;
    }
    Uid add(std::string_view flag_text = "") { return must(store->append(message(inbox.id, flag_text))); }
    std::vector<Uid> all(MailboxId mailbox) { return must(store->select_snapshot(mailbox)).uids; }
    void check() {
        auto problems = must(store->check([](ObjectId) { return true; }));
        CAPTURE(problems);
        CHECK(problems.empty());
    }
    ~Account() {
        if (store && !std::uncaught_exceptions()) check();
    }
};

}  // namespace fwmail::store::test
