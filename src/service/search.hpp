// SEARCH over one mailbox: by the rows, by the index where it knows the messages, and by their bodies where
// it does not. Work is cut into short jobs, so that no store thread is held for long.
#pragma once

#include <functional>
#include <vector>

#include "imap/search.hpp"
#include "service/node.hpp"

namespace fwmail::service {

struct SearchHit {
    Uid uid;
    ModSeq modseq;
};

// By UID. The key is resolved (imap/search.hpp). `gone` says that nobody waits for the answer any more; it is
// asked between jobs.
net::Task<Result<std::vector<SearchHit>>> search_mailbox(Node& node, AccountId account, MailboxId mailbox,
                                                         imap::SearchKey key,
                                                         std::function<bool()> gone = {});

// How long a job may go on before others have their turn.
inline constexpr std::chrono::milliseconds search_slice{20};

}  // namespace fwmail::service
