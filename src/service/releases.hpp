// Bodies that an account has let go of, and what a crash may have left held.
#pragma once

#include "service/node.hpp"

namespace fwmail::service {

// Hands released bodies of an account from its journal to the body store. Repeatable.
net::Task<> drain_releases(Node& node, AccountId account);

// After a crash, before anybody works: lets go of references whose account rows were never written.
Result<> reconcile_references(store::SystemStore& system, const std::filesystem::path& data_dir,
                              UnixMillis now, Log& log);

}  // namespace fwmail::service
