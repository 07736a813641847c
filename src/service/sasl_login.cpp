#include "service/sasl_login.hpp"

#include "base/co_try.hpp"
#include "base/encoding.hpp"

namespace fwmail::service {
namespace {

// For whom nobody is: always the same salt, which nobody can tell from a real one. The domain does not count,
// or a salt that is the same for `ann` and for her address would tell that there is an ann.
sasl::Verifiers made_up_verifiers(const Node& node, std::string_view user) {
    Secret key = crypto::hkdf_sha256(node.master_key.view(), "salts of unknown users", 32);
    std::string name = ascii_lower(user.substr(0, user.find('@')));
    auto digest = crypto::hmac_sha256(key.view(), name);
    return {std::string(crypto::view_of(digest).substr(0, crypto::scram_salt_octets)),
            crypto::scram_iterations,
            {}};
}

}  // namespace

sasl::ChannelBindings bindings_of(const net::Stream& stream) {
    return {stream.channel_binding(net::ChannelBinding::tls_exporter),
            stream.channel_binding(net::ChannelBinding::tls_server_end_point)};
}

net::Task<SaslLogin::Step> SaslLogin::start(std::string mechanism, std::optional<Secret> initial) {
    counted_ = false;
    user_ = nullptr;
    exchange_.emplace(mechanism, bindings_, sasl::make_nonce());
    auto step = exchange_->start(initial);
    co_return co_await on_step(std::move(step));
}

net::Task<SaslLogin::Step> SaslLogin::on_response(Secret octets) {
    if (!exchange_) co_return fail(ErrorKind::internal, "SASL: a response without an exchange");
    auto step = exchange_->on_response(octets);
    co_return co_await on_step(std::move(step));
}

net::Task<SaslLogin::Step> SaslLogin::on_step(sasl::ServerExchange::Step step) {
    if (!step) co_return co_await on_error(std::move(step.error()));
    if (auto* challenge = std::get_if<sasl::Challenge>(&*step)) co_return std::move(*challenge);
    if (auto* wanted = std::get_if<sasl::WantVerifiers>(&*step))
        co_return co_await find_verifiers(std::move(wanted->user));
    if (auto* proven = std::get_if<sasl::Proven>(&*step)) {
        login_succeeded(node_, attempt_);
        counted_ = false;
        co_return sasl::Challenge{std::move(proven->octets)};
    }
    exchange_.reset();
    if (auto* credentials = std::get_if<sasl::Credentials>(&*step)) {
        attempt_.user = std::move(credentials->user);
        co_return co_await log_in(node_, attempt_, std::move(credentials->password));
    }
    co_return user_;  // Done
}

net::Task<SaslLogin::Step> SaslLogin::find_verifiers(std::string user) {
    attempt_.user = std::move(user);
    CO_TRY(co_await admit_login(node_, attempt_));
    counted_ = true;
    user_ = node_.directory.find_login(attempt_.user);
    bool known = user_ && !user_->scram.passwords.empty();
    auto verifiers = known ? user_->scram : made_up_verifiers(node_, attempt_.user);
    auto step = exchange_->on_verifiers(std::move(verifiers));
    if (!step) co_return std::unexpected(std::move(step.error()));
    co_return std::get<sasl::Challenge>(std::move(*step));
}

net::Task<SaslLogin::Step> SaslLogin::on_error(Error error) {
    exchange_.reset();
    // A proof that is wrong, or ends otherwise, is as good as a wrong password.
    if (counted_ && error.kind == ErrorKind::refused) error = co_await turn_down_login(node_, attempt_);
    counted_ = false;
    co_return std::unexpected(std::move(error));
}

}  // namespace fwmail::service
