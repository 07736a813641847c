// The remote's side of replication: applies entries to the sealed view, puts bodies together, shows messages
// in core's order. Every step can be repeated; what a crash left is finished by settle().
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "service/account_locks.hpp"
#include "service/node.hpp"
#include "service/sealed_mail.hpp"
#include "sync/frame.hpp"
#include "sync/link.hpp"

namespace fwmail::service {

class Replica {
  public:
    explicit Replica(Node& node) : node_(node) {}

    // One account's share of a frame. Temporary error: some of it must come again. Refused: it breaks the
    // rules, nothing of it was applied.
    net::Task<Result<>> apply(NodeId peer, sync::AccountSection section);
    // Gives pending messages the bodies that are here, and shows what can be shown.
    net::Task<Result<>> settle(AccountId account);
    // At start.
    net::Task<Result<>> recover();
    // Messages that were announced longer ago than this and have no body yet get a stub, sealed to the user,
    // so that they do not hold up those after them. When the body comes after all, core is told by a
    // StubbedEntry and gives the message a new number.
    net::Task<Result<>> place_stubs(AccountId account, std::chrono::seconds after);

  private:
    struct Body {
        std::uint64_t size = 0;
        store::MessageTexts texts;
    };
    using Bodies = std::map<ObjectId, Body>;
    struct Object {
        ObjectId id;
        std::string served;
        Body body;
    };
    using Objects = std::vector<Object>;
    net::Task<Result<>> apply_account(AccountId account, sync::AccountEntry entry);
    net::Task<Result<>> reload_directory();
    net::Task<Result<std::map<store::Place, store::Reference>>> hold_returned(
        AccountId account, const sync::AccountSection& section);
    net::Task<Result<bool>> is_removed(AccountId account);
    net::Task<Result<>> settle_locked(AccountId account);
    struct Applied {
        bool all = true;     // else some entries were numbered too far ahead
        bool ahead = false;  // some were stamped too far ahead
    };
    net::Task<Result<Applied>> apply_entries(NodeId peer, sync::AccountSection section);
    net::Task<Result<sync::Incoming>> load_known(NodeId peer, AccountId account);
    net::Task<Result<Objects>> unpack_whole_chunks(NodeId peer, std::vector<sync::AccountEntry> accounts,
                                                   const sync::AccountSection& section);
    net::Task<Result<>> store_objects(Objects objects);
    Bodies recall(const std::vector<store::PendingMessage>& pending);
    net::Task<Result<Bodies>> find_bodies(AccountId account, std::vector<store::PendingMessage> pending);
    net::Task<Result<std::optional<Body>>> assemble(AccountId account, store::PendingMessage message);
    net::Task<Result<>> attach(AccountId account, std::vector<store::PendingMessage> pending, Bodies bodies);
    net::Task<Result<>> place_stub(AccountId account, crypto::PublicKey key, store::PendingMessage message);
    Node& node_;
    AccountLocks locks_;  // frames come in parallel; an account's are applied one after the other
    std::mutex mutex_;
    Bodies fresh_;  // stored and not shown yet, so that they need not be read again; bounded
};

// The keys of an account that objects may be sealed to.
std::vector<crypto::KeyId> allowed_keys(const Node& node, AccountId account);

// A sealed object's id in the body store: it is named by its content, so that it is stored once.
ObjectId sealed_object_id(std::string_view sha256);

}  // namespace fwmail::service
