// The larger mailboxes as they were last read. What has not changed since is not read again, and is known
// without asking a store thread.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>

#include "store/types.hpp"

namespace fwmail::service {

using SnapshotPtr = std::shared_ptr<const store::Snapshot>;

class SnapshotCache {
  public:
    static constexpr std::size_t least = 500;  // messages; fewer are read fast

    // `version` is Executor::version() of the account, asked for before the mailbox was read. From any
    // thread.
    struct Kept {
        AccountId account;
        std::uint64_t version = 0;
        SnapshotPtr snapshot;
    };

    // One that still stands; null: none.
    template <class Wanted>
    SnapshotPtr current(AccountId account, std::uint64_t version, const Wanted& wanted) {
        std::lock_guard lock(mutex_);
        for (const auto& kept : kept_)
            if (kept.account == account && kept.version == version && is(*kept.snapshot, wanted))
                return kept.snapshot;
        return nullptr;
    }
    // However old.
    SnapshotPtr find(MailboxId mailbox) {
        std::lock_guard lock(mutex_);
        auto it = std::ranges::find_if(kept_, [&](const Kept& k) { return is(*k.snapshot, mailbox); });
        return it == kept_.end() ? nullptr : it->snapshot;
    }
    void keep(Kept made) {
        if (made.snapshot->uids.size() < least || octets(*made.snapshot) > most) return;
        std::lock_guard lock(mutex_);
        std::erase_if(kept_, [&](const Kept& k) { return is(*k.snapshot, made.snapshot->mailbox.id); });
        kept_.push_front(std::move(made));
        std::size_t together = 0;
        for (const auto& each : kept_) together += octets(*each.snapshot);
        for (; together > most; kept_.pop_back()) together -= octets(*kept_.back().snapshot);
    }

  private:
    static constexpr std::size_t most = 24 << 20;  // octets of all that are kept: some 1,200,000 messages

    static bool is(const store::Snapshot& snapshot, MailboxId mailbox) {
        return snapshot.mailbox.id == mailbox;
    }
    static bool is(const store::Snapshot& snapshot, const std::string& name) {
        return snapshot.mailbox.name == name && !snapshot.mailbox.deleted;
    }
    static std::size_t octets(const store::Snapshot& snapshot) {
        std::size_t sum = snapshot.uids.size() * (sizeof(Uid) + sizeof(store::Snapshot::State));
        for (const auto& set : snapshot.keyword_sets)
            for (const auto& word : set) sum += sizeof(word) + word.capacity();
        return sum;
    }

    std::mutex mutex_;
    std::list<Kept> kept_;  // the latest in front
};

}  // namespace fwmail::service
