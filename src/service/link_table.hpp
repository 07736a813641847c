// The links of this node, in memory: whom node mail may come from and go to.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "crypto/openpgp_key.hpp"
#include "store/system_store.hpp"
#include "sync/epoch.hpp"

namespace fwmail::service {

struct LinkRecord {
    store::Link link;
    crypto::PublicKey peer_key;
    sync::Epoch own_epoch, peer_epoch;
};

// 16 octets, as the store keeps an epoch; empty for none.
std::string epoch_octets(const sync::Epoch& epoch);
sync::Epoch epoch_from_octets(std::string_view octets);

class LinkTable {
  public:
    using Links = std::vector<LinkRecord>;

    // Active links only.
    Result<> reload(store::SystemStore& system);
    std::shared_ptr<const Links> all() const;
    std::optional<LinkRecord> find(NodeId peer) const;
    // The link whose own (local) address this is.
    std::optional<NodeId> find_address(std::string_view address) const;

  private:
    std::mutex reloading_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Links> links_ = std::make_shared<Links>();
};

}  // namespace fwmail::service
