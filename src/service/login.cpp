#include "service/login.hpp"

#include "base/co_try.hpp"
#include "crypto/scram.hpp"
#include "mime/saslprep.hpp"

namespace fwmail::service {

net::Task<Result<>> admit_login(Node& node, LoginAttempt attempt) {
    auto verdict = node.logins.begin(net::limited_as(attempt.peer), attempt.user);
    if (verdict.refused) {
        if (verdict.newly_refused)
            node.log.warning(attempt.protocol,
                             "too many failed logins from " + attempt.peer + ": refused for a while");
        co_await net::sleep_for(std::chrono::seconds(1));
        co_return fail(ErrorKind::temporary, "Too many failed logins from your address: try again later");
    }
    if (verdict.delay.count() > 0) co_await net::sleep_for(verdict.delay);
    co_return Result<>();
}

void login_succeeded(Node& node, const LoginAttempt& attempt) {
    node.logins.succeeded(net::limited_as(attempt.peer), attempt.user);
}

net::Task<Error> turn_down_login(Node& node, LoginAttempt attempt) {
    node.log.warning(attempt.protocol,
                     "login failed for " + attempt.user.substr(0, 200) + " from " + attempt.peer);
    co_await net::sleep_for(std::chrono::seconds(1));
    co_return Error{ErrorKind::refused, "The user name or the password is wrong"};
}

net::Task<Result<UserPtr>> log_in(Node& node, LoginAttempt attempt, Secret given) {
    CO_TRY(co_await admit_login(node, attempt));
    UserPtr user = node.directory.find_login(attempt.user);
    auto prepared = mime::saslprep(given.view());
    Secret password(prepared ? std::move(*prepared) : std::string());
    bool good = user && !password.empty() && node.login_cache.knows(*user, password);
    if (!good) {
        auto job = [user, password](store::SystemStore&) -> Result<bool> {
            if (user && !user->credentials.empty()) return password_matches(*user, password);
            (void)crypto::make_verifier(password);  // takes as long: time must not tell who has an account
            return false;
        };
        good = CO_TRY(co_await node.read(store::system_file, std::move(job)));
        if (good) node.login_cache.add(*user, password);
    }
    if (!good) {
        auto error = co_await turn_down_login(node, attempt);
        co_return std::unexpected(std::move(error));
    }
    login_succeeded(node, attempt);
    co_return user;
}

}  // namespace fwmail::service
