// What SELECT last read of the larger mailboxes. One that has not changed since
// is not read again: the store looks at its modseq.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>

#include "store/types.hpp"

namespace fwmail::service {

class SnapshotCache {
  public:
    // From any thread. Null: it is not kept.
    std::shared_ptr<const store::Snapshot> find(MailboxId mailbox) {
        std::lock_guard lock(mutex_);
        auto it = std::ranges::find(kept_, mailbox, [](const auto& s) { return s->mailbox.id; });
        return it == kept_.end() ? nullptr : *it;
    }

    void keep(const store::Snapshot& snapshot) {
        if (snapshot.uids.size() < least || snapshot.uids.size() > most) return;
        auto made = std::make_shared<const store::Snapshot>(snapshot);
        std::lock_guard lock(mutex_);
        std::erase_if(kept_, [&](const auto& s) { return s->mailbox.id == snapshot.mailbox.id; });
        kept_.push_front(std::move(made));
        std::size_t together = 0;
        for (const auto& each : kept_) together += each->uids.size();
        for (; together > most; kept_.pop_back()) together -= kept_.back()->uids.size();
    }

  private:
    static constexpr std::size_t least = 500;     // messages; fewer are read fast
    static constexpr std::size_t most = 1 << 20;  // of all that are kept: 4 octets each

    std::mutex mutex_;
    std::list<std::shared_ptr<const store::Snapshot>> kept_;  // the latest in front
};

}  // namespace fwmail::service
