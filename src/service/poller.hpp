// The poller (H11-266279, figures 3 and 7): finds what is new in every mailbox of every registered user,
// seals new mail, and writes down in the outbox what the remote is to be told. At an interval, and at once
// when something has changed.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <span>

#include "service/link_table.hpp"
#include "service/node.hpp"
#include "service/resealing.hpp"
#include "service/sealed_mail.hpp"
#include "store/elsewhere.hpp"

namespace fwmail::service {

// Packed objects that have just been sealed, kept for the sender so that it need not seal again. Bounded, in
// octets and in time.
class SealCache {
  public:
    using Octets = std::shared_ptr<const std::string>;
    // `sha256`: of the sealed octets (Seal::sha256), since a message may be sealed anew.
    void put(AccountId account, std::string sha256, std::string packed);
    Octets take(AccountId account, const std::string& sha256);
    std::size_t octets() const;
    // Whether whoever seals should let the sender catch up: enough waits, and the sender takes it.
    bool wait_for_sender();
    // It was waited for in vain: nobody waits again before it takes something.
    void sender_is_stuck();

  private:
    using Key = std::pair<AccountId, std::string>;
    using Time = std::chrono::steady_clock::time_point;
    void forget_old();

    mutable std::mutex mutex_;
    std::map<Key, Octets> entries_;
    std::deque<std::pair<Time, Key>> order_;
    std::size_t octets_ = 0;
    bool stuck_ = false;
};

class Poller {
  public:
    Poller(Node& node, const LinkTable& links, SealCache& cache)
        : node_(node), links_(links), cache_(cache) {}

    // Until the node stops. Wakes the sender by node.link_wake.
    net::Task<> run();
    // One account, for all links, until nothing is left to plan.
    net::Task<Result<>> poll(AccountId account);

  private:
    struct Look;
    net::Task<> let_sender_catch_up();
    net::Task<Result<bool>> plan(AccountId account, LinkRecord link);
    net::Task<Result<>> compare_in_time(AccountId account, LinkRecord link);
    net::Task<Result<>> plan_account_entry(AccountId account, LinkRecord link);
    net::Task<Result<Look>> look(AccountId account, LinkRecord link);
    struct SealedMessage;
    net::Task<Result<std::vector<SealedMessage>>> seal_all(AccountId account, Look look);
    Result<SealedMessage> seal_one(store::SystemStore& system, AccountId account, const UserRecord& user,
                                   const store::Message& message, std::string_view recipe);
    std::size_t chunk_octets() const;
    static Resealed resealed(const SealedMessage& one, std::string before);
    // Seals some more of the account anew, if that is wanted.
    net::Task<Result<>> reseal(AccountId account);
    net::Task<Result<>> end_pass(AccountId account, const UserRecord& user);
    void add_message(store::OutboxPlan& plan, MailboxId mailbox, SealedMessage sealed, Uid& prev,
                     UnixMillis now, bool with_body);
    void report_progress(AccountId account, const LinkRecord& link, std::size_t count, bool last);

    Node& node_;
    const LinkTable& links_;
    SealCache& cache_;
    std::map<std::pair<AccountId, NodeId>, std::size_t> progress_;
    struct ResealPass {
        std::string recipe_end;  // of the key that it is for
        store::Place at;         // what comes before this has been looked at
        std::size_t found = 0;   // messages that were sealed anew
    };
    std::map<AccountId, ResealPass> resealing_;
    std::set<AccountId> waiting_;  // for what a remote acknowledges
};

// What a remote is to hear of what has gone.
void add_gone(store::OutboxPlan& plan, const store::Gone& gone, UnixMillis now);

// What the remote must know of a user, as it is now. `removed` users too.
Result<std::string> account_entry_octets(store::SystemStore& system, AccountId account);

// Makes a message's packed object: the same for the poller and for whoever makes the octets again.
// `recipe` is what Seal::seed keeps: 32 octets of seed, one for the outer header's style, and the id of the
// encryption key; none: the message is sealed itself, and goes as it is. Errors as of seal_mail(); refused
// where the key is none of `keys`.
Result<SealedInfo> seal_message(const store::Message& message, std::string_view recipe,
                                std::span<const crypto::PublicKey> keys, const MessageSource& source,
                                const Sink& packed);
// Such a recipe.
std::string seal_recipe(const Octets32& seed, OuterHeader outer, const crypto::PublicKey& key);
// How recipes for this key end.
std::string recipe_end(const crypto::PublicKey& key);
// The seed for a message under a key, of what seal_secret() gives.
Octets32 seal_seed(std::string_view secret, EmailId email, const crypto::PublicKey& key);
// The secret from which every message's seed derives: the same message is sealed to the same octets wherever
// it lies.
net::Task<Result<std::string>> seal_secret(Node& node, AccountId account);

}  // namespace fwmail::service
