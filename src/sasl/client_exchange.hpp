// The client's half of one SASL exchange. The strongest mechanism that the server offers is taken, and with
// SCRAM the server must show in turn that it knows the password: another one that has a certificate for its
// name, or that sits in between, cannot.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "sasl/mechanism.hpp"

namespace fwmail::sasl {

class ClientExchange {
  public:
    // More iterations than this are refused: their server would keep us busy for its pleasure. It is some
    // tenths of a second.
    static constexpr std::uint32_t most_iterations = 250'000;

    using IsOffered = std::function<bool(std::string_view mechanism)>;
    // Nothing when the server offers none of ours.
    static std::optional<ClientExchange> choose(const IsOffered& offered, const ChannelBindings& bindings,
                                                std::string user, Secret password,
                                                std::string nonce = make_nonce());

    std::string_view mechanism() const { return mechanism_; }
    bool has_initial() const { return mechanism_ != login; }
    // What to say first, or in answer to a challenge: raw. It may hold the password: wipe it. An error is
    // `refused` when the server is not the one that knows the password, `protocol` when it makes no sense.
    Result<std::string> initial();
    // `challenge`: decoded.
    Result<std::string> on_challenge(std::string_view challenge);
    // The server says that we are in. `refused` when it has not shown that it knows the password.
    Result<> on_success() const;

  private:
    enum class Awaits { begin, password, server_first, server_final, nothing };
    ClientExchange(std::string_view mechanism, std::string user, Secret password, std::string nonce)
        : mechanism_(mechanism),
          user_(std::move(user)),
          password_(std::move(password)),
          nonce_(std::move(nonce)) {}
    Result<std::string> on_server_first(std::string_view message);
    Result<std::string> on_server_final(std::string_view message);

    std::string_view mechanism_;
    std::string user_;
    Secret password_;
    std::string nonce_;
    std::string gs2_header_, channel_;  // the latter: with the binding
    Awaits awaits_ = Awaits::begin;
    std::string client_first_bare_, server_signature_;
    bool server_known_ = false;
};

}  // namespace fwmail::sasl
