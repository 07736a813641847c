// A login with name and password, the same for every protocol: slowed and refused by the guard, checked on a
// store thread.
#pragma once

#include <memory>
#include <string>

#include "net/stream.hpp"
#include "service/node.hpp"

namespace fwmail::service {

struct LoginAttempt {
    std::string protocol;  // "imap": for the log
    std::string user;      // login name, or any address of the user
    Secret password;
    std::string peer;  // the client's address
};
// `refused`: name or password is wrong, said a second later. `temporary`: too many failed logins came from
// this address. The texts are fit for the client.
net::Task<Result<std::shared_ptr<const UserRecord>>> log_in(Node& node, LoginAttempt attempt);

}  // namespace fwmail::service
