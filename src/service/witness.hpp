// A file outside of the data-dir, and of its backups, that knows how far this node has come: so a backup that
// was restored is found out at the start, before anything is given to clients or peers.
//
// Invariant: the store's number is never behind the file's, but in a store that is older than the file.
#pragma once

#include <filesystem>

#include "service/node.hpp"

namespace fwmail::service {

inline constexpr auto witness_interval = std::chrono::minutes(10);

// At the start. Where the store is older than the file, every account begins anew on every link. Refused
// where the file cannot be read, is not a witness, or lies in the data-dir.
Result<> question_witness(store::SystemStore& system, const config::Config& config, const LinkTable& links,
                          NodeRole role, Log& log, UnixMillis now);
// Both numbers rise by one, first the store's: a backup that was made before is then older than the file.
net::Task<Result<>> raise_witness(Node& node, std::filesystem::path file);

}  // namespace fwmail::service
