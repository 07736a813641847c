// What the parts of a running core or remote share. Built by the role, handed to the services.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "config/config.hpp"
#include "crypto/openpgp_key.hpp"
#include "net/dns.hpp"
#include "net/runtime.hpp"
#include "net/tls.hpp"
#include "service/await_store.hpp"
#include "service/change_hub.hpp"
#include "service/directory.hpp"
#include "service/link_table.hpp"
#include "service/login_cache.hpp"
#include "service/login_guard.hpp"
#include "service/snapshot_cache.hpp"
#include "store/executor.hpp"

namespace fwmail::service {

enum class NodeRole { core, remote };

struct Node {
    NodeRole role;
    const config::Config& config;
    Log& log;
    Clock clock;
    net::Runtime& runtime;
    store::Executor& executor;
    NodeId id;
    Secret master_key;      // 32 octets: seals secrets at rest
    crypto::SecretKey key;  // the node's own, for its links
    std::shared_ptr<net::TlsServer> tls;
    net::Resolver resolver;
    Directory directory;
    ChangeHub hub;
    net::Notifier queue_wake, link_wake;  // mail to send; entries or acknowledgements to send
    LinkTable links = {};
    std::atomic<bool> stopping = false;
    // A write that failed has left a reference to a body that perhaps no message has: the next start looks.
    std::atomic<bool> references_in_doubt = false;
    std::atomic<std::size_t> append_octets = 0;  // at a remote: of what clients append, in memory
    LoginGuard logins = LoginGuard(config.count("limits.failed-logins"));
    LoginCache login_cache{};
    SnapshotCache snapshots{};

    std::string host_name() const { return config.text("host-name"); }
    bool is_core() const { return role == NodeRole::core; }

    template <class Key, class Job>
    auto write(Key key, Job job, std::size_t octets = 0) {
        return store_write(executor, key, std::move(job), octets);
    }
    template <class Key, class Job>
    auto read(Key key, Job job) {
        return store_read(executor, key, std::move(job));
    }
};

}  // namespace fwmail::service
