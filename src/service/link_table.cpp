#include "service/link_table.hpp"

#include "base/encoding.hpp"

namespace fwmail::service {

std::string epoch_octets(const sync::Epoch& epoch) {
    if (epoch.is_none()) return {};
    std::string out;
    for (auto part : {epoch.counter, epoch.random})
        for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(part >> shift);
    return out;
}

sync::Epoch epoch_from_octets(std::string_view octets) {
    sync::Epoch epoch;
    if (octets.size() != 16) return epoch;
    for (std::size_t i = 0; i < 8; ++i) {
        epoch.counter = epoch.counter << 8 | static_cast<unsigned char>(octets[i]);
        epoch.random = epoch.random << 8 | static_cast<unsigned char>(octets[i + 8]);
    }
    return epoch;
}

Result<> LinkTable::reload(store::SystemStore& system) {
    std::lock_guard turn(reloading_);
    auto fresh = std::make_shared<Links>();
    for (auto& link : TRY(system.load_links())) {
        if (link.state != store::LinkState::active) continue;
        auto key = crypto::parse_compact_key(link.peer_certificate, link.peer_address);
        if (!key)
            return fail(ErrorKind::internal,
                        "the key of link " + link.name + " cannot be read: " + key.error().text);
        auto own = epoch_from_octets(link.own_epoch), peer = epoch_from_octets(link.peer_epoch);
        fresh->push_back({std::move(link), std::move(*key), own, peer});
    }
    std::lock_guard lock(mutex_);
    links_ = std::move(fresh);
    return {};
}

std::shared_ptr<const LinkTable::Links> LinkTable::all() const {
    std::lock_guard lock(mutex_);
    return links_;
}

std::optional<LinkRecord> LinkTable::find(NodeId peer) const {
    auto links = all();
    for (const auto& record : *links)
        if (record.link.peer == peer) return record;
    return std::nullopt;
}

std::optional<NodeId> LinkTable::find_address(std::string_view address) const {
    auto links = all();
    for (const auto& record : *links)
        if (equal_ignoring_case(record.link.own_address, address)) return record.link.peer;
    return std::nullopt;
}

}  // namespace fwmail::service
