// SORT and THREAD over what a search finds, by the keys that were stored when messages arrived. Work is cut
// into short jobs (search_slice), so that no store thread is held for long; of each message only what the
// order needs is held in memory.
#pragma once

#include "imap/sort.hpp"
#include "imap/thread.hpp"
#include "service/search.hpp"

namespace fwmail::service {

// The messages found, in order.
net::Task<Result<std::vector<SearchHit>>> sort_mailbox(Node& node, AccountId account, MailboxId mailbox,
                                                       imap::SearchKey key,
                                                       std::vector<imap::SortCriterion> criteria);

// At a remote subjects are sealed: they join no threads there.
net::Task<Result<std::vector<imap::ThreadNode>>> thread_mailbox(Node& node, AccountId account,
                                                                MailboxId mailbox, imap::SearchKey key,
                                                                imap::ThreadBy by);

}  // namespace fwmail::service
