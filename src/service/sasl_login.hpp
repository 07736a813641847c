// A login through SASL, the same for IMAP, SMTP and POP3: one a session. What the client may be told to its
// challenges and when it is in.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "sasl/server_exchange.hpp"
#include "service/login.hpp"

namespace fwmail::service {

sasl::ChannelBindings bindings_of(const net::Stream& stream);

class SaslLogin {
  public:
    SaslLogin(Node& node, std::string protocol, std::string peer)
        : node_(node), attempt_{std::move(protocol), {}, std::move(peer)} {}

    // Whenever TLS begins.
    void bind_to(const net::Stream& stream) { bindings_ = bindings_of(stream); }
    // A challenge to send, or who is logged in. Errors as those of log_in(), and `protocol` for bad syntax.
    using Step = Result<std::variant<sasl::Challenge, UserPtr>>;
    // Forgets any unfinished exchange. `mechanism` is one that is offered, in capitals.
    net::Task<Step> start(std::string mechanism, std::optional<Secret> initial);
    net::Task<Step> on_response(Secret octets);

  private:
    net::Task<Step> on_step(sasl::ServerExchange::Step step);
    net::Task<Step> find_verifiers(std::string user);
    net::Task<Step> on_error(Error error);

    Node& node_;
    LoginAttempt attempt_;
    sasl::ChannelBindings bindings_;
    std::optional<sasl::ServerExchange> exchange_;
    UserPtr user_;          // of a SCRAM exchange
    bool counted_ = false;  // as failed, by the guard, until it succeeds
};

}  // namespace fwmail::service
