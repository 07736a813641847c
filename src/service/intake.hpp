// Takes spooled mail up into the accounts. Runs beside everything else; what a crash left is taken up at
// start.
#pragma once

#include <mutex>
#include <set>

#include "service/node.hpp"

namespace fwmail::service {

class Intake {
  public:
    explicit Intake(Node& node) : node_(node) {}

    // There is mail in the spool for this account. From any thread.
    void wake(AccountId account);
    // At start: everything that a crash left.
    net::Task<Result<>> recover();

  private:
    net::Task<> work(AccountId account);
    using Ids = std::vector<store::DeliveryId>;
    net::Task<Result<bool>> take_up(AccountId account, Ids& taken_up);
    net::Task<> forget(AccountId account, Ids& taken_up);
    bool is_more(AccountId account);

    Node& node_;
    std::mutex mutex_;
    std::set<AccountId> working_, again_;
};

}  // namespace fwmail::service
