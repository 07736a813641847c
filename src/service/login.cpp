#include "service/login.hpp"

#include "base/co_try.hpp"
#include "crypto/scram.hpp"

namespace fwmail::service {

net::Task<Result<std::shared_ptr<const UserRecord>>> log_in(Node& node, LoginAttempt attempt) {
    std::string address = net::limited_as(attempt.peer);
    auto verdict = node.logins.begin(address, attempt.user);
    if (verdict.refused) {
        if (verdict.newly_refused)
            node.log.warning(attempt.protocol,
                             "too many failed logins from " + attempt.peer + ": refused for a while");
        co_await net::sleep_for(std::chrono::seconds(1));
        co_return fail(ErrorKind::temporary, "Too many failed logins from your address: try again later");
    }
    if (verdict.delay.count() > 0) co_await net::sleep_for(verdict.delay);
    auto user = node.directory.find_login(attempt.user);
    auto job = [user, password = std::move(attempt.password)](store::SystemStore&) -> Result<bool> {
        if (user) return password_matches(*user, password);
        (void)crypto::make_verifier(password);  // takes as long: time must not tell who has an account
        return false;
    };
    bool good = CO_TRY(co_await node.read(store::system_file, std::move(job)));
    if (!good) {
        node.log.warning(attempt.protocol,
                         "login failed for " + attempt.user.substr(0, 200) + " from " + attempt.peer);
        co_await net::sleep_for(std::chrono::seconds(1));
        co_return fail(ErrorKind::refused, "The user name or the password is wrong");
    }
    node.logins.succeeded(address, attempt.user);
    co_return user;
}

}  // namespace fwmail::service
