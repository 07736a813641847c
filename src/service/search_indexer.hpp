// Fills each account's search index, behind everything else: once mail has come to rest, in small jobs, and
// never for more than about half of the time. What a crash cut off goes on at the next start, and a missing
// file is made anew. SEARCH is right without it: what it has not come to is read from the bodies.
#pragma once

#include <map>

#include "service/node.hpp"

namespace fwmail::service {

class SearchIndexer {
  public:
    explicit SearchIndexer(Node& node) : node_(node) {}

    net::Task<> run();
    // Everything that is in the account now, and nothing else.
    net::Task<Result<>> catch_up(AccountId account);

  private:
    struct Batch {
        std::vector<store::SearchDoc> docs;
        std::int64_t last = 0;     // all up to here have been looked at
        std::size_t messages = 0;  // how many that were
    };
    net::Task<Result<>> add_new(AccountId account);
    net::Task<Result<Batch>> read_texts(std::shared_ptr<const std::vector<store::Message>> messages,
                                        std::size_t first);
    net::Task<Result<>> take_out_old(AccountId account);

    Node& node_;
    std::map<AccountId, ModSeq> swept_;  // of expunges up to there nothing is left in the index
};

}  // namespace fwmail::service
