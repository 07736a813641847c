// Who this node is: role, id, key, and the master key under which its secrets rest.
#pragma once

#include <filesystem>
#include <string>

#include "crypto/openpgp_key.hpp"
#include "service/node.hpp"
#include "store/system_store.hpp"

namespace fwmail::service {

struct Identity {
    NodeRole role = NodeRole::core;
    NodeId id;
    crypto::SecretKey key;
};

std::string_view role_name(NodeRole role);

// The 32 octets in `data-dir/master.key` (0600), or in systemd's credential `fwmail-master-key`.
Result<Secret> load_master_key(const std::filesystem::path& data_dir);
// Makes the file, readable by nobody else; an existing one is left alone.
Result<> ensure_master_key(const std::filesystem::path& data_dir);

// At init: refused when the data-dir has an identity of the other role; the same one is left alone.
Result<> ensure_identity(store::SystemStore& system, const Secret& master_key, NodeRole role,
                         std::string_view host_name, UnixMillis now);
// Usage error when init has not been run.
Result<Identity> load_identity(store::SystemStore& system, const Secret& master_key);

}  // namespace fwmail::service
