// Bodies that an account has let go of, and what a crash may have left held.
#pragma once

#include "service/node.hpp"

namespace fwmail::service {

// Other sessions, the poller and the link sender may be about to read what was expunged a moment ago.
std::chrono::milliseconds release_grace(const Node& node);

// Hands released bodies of an account from its journal to the body store, once they have lain there for
// `grace`. Repeatable; where some are left the hub remembers the account.
net::Task<> drain_releases(Node& node, AccountId account, std::chrono::milliseconds grace);
net::Task<> drain_releases(Node& node, AccountId account);  // release_grace

// After `error` from an account: gives back references that were taken there for rows that it refused. After
// any other error nobody knows whether the rows are there, so the next start looks.
net::Task<> give_back(Node& node, AccountId account, std::vector<store::Reference> references, Error error);

// Opens system.db of a node that does not run, under its Lock. When the last run was cut short, when that was
// is noted first: opening and closing the file write to it.
Result<std::unique_ptr<store::SystemStore>> open_stopped(const std::filesystem::path& data_dir,
                                                         UnixMillis now);

// At the start, before anybody works: when the last run was cut short, lets go of references whose account
// rows were never written. Until note_clean_stop the run counts as cut short.
Result<> begin_run(store::SystemStore& system, const std::filesystem::path& data_dir, UnixMillis now,
                   Log& log);
Result<> note_clean_stop(store::SystemStore& system);

}  // namespace fwmail::service
