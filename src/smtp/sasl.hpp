// The server's half of SASL PLAIN (RFC 4616) and LOGIN: from what the client says to name and password.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace fwmail::smtp {

struct SaslChallenge {
    std::string text;  // raw; the protocol puts it into Base64
};
struct SaslCredentials {
    std::string user;  // never empty, at most 320 octets, no NUL
    Secret password;
};

class SaslExchange {
  public:
    static constexpr std::size_t longest_user = 320, longest_password = 1024;

    // A challenge to send, or the end. An Error ends it too: `protocol` for bad syntax, `refused` where one
    // wants to act for another.
    using Step = Result<std::variant<SaslChallenge, SaslCredentials>>;
    Step start(std::string_view mechanism, const std::optional<Secret>& initial);
    Step on_response(const Secret& octets);

  private:
    enum class Awaits { nothing, plain, user, password };
    Step on_plain(std::string_view message);

    Awaits awaits_ = Awaits::nothing;
    std::string user_;
};

}  // namespace fwmail::smtp
