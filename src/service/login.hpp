// A login with name and password, the same for every protocol: slowed and refused by the guard; the password
// is looked up among those that were right before, or else derived on a store thread.
#pragma once

#include <memory>
#include <string>

#include "net/stream.hpp"
#include "service/node.hpp"

namespace fwmail::service {

using UserPtr = std::shared_ptr<const UserRecord>;

struct LoginAttempt {
    std::string protocol;  // "imap": for the log
    std::string user;      // login name, or any address of the user
    std::string peer;      // the client's address
};
// `refused`: name or password is wrong, said a second later. `temporary`: too many failed logins came from
// this address. The texts are fit for the client.
net::Task<Result<UserPtr>> log_in(Node& node, LoginAttempt attempt, Secret password);

// What log_in() and SCRAM consist of. An attempt counts as failed from here until login_succeeded().
net::Task<Result<>> admit_login(Node& node, LoginAttempt attempt);
void login_succeeded(Node& node, const LoginAttempt& attempt);
// Logged; the answer, after a second.
net::Task<Error> turn_down_login(Node& node, LoginAttempt attempt);

}  // namespace fwmail::service
