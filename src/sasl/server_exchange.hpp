// The server's half of one SASL exchange: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and -PLUS (RFC 5802, 7677).
// IMAP, SMTP and POP3 carry its octets in Base64; what it asks is answered by the service.
//
//   start() → Challenge | Credentials | WantVerifiers → on_verifiers() → Challenge → on_response() → …
//
// Whoever does not exist is taken through the whole exchange with a salt made up for him, and fails at its
// end, as one with a wrong password does. Nothing derives a key from a password here: it takes microseconds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/scram.hpp"
#include "sasl/mechanism.hpp"

namespace fwmail::sasl {

struct Challenge {
    std::string octets;
};
struct Credentials {   // the end, if they are right
    std::string user;  // never empty, at most longest_user octets, no NUL
    Secret password;
};
struct WantVerifiers {
    std::string user;  // likewise
};
struct Proven {          // the client knows the password; it wants to see that we do, too
    std::string octets;  // a challenge; the empty response to it is the end: Done
};
struct Done {};

// A user's passwords, all under one salt and iteration count. Without any the exchange fails at its end.
struct Verifiers {
    std::string salt;
    std::uint32_t iterations = 0;
    std::vector<crypto::ScramVerifier> passwords;
};

class ServerExchange {
  public:
    static constexpr std::size_t longest_user = 320, longest_password = 1024, longest_message = 4096;

    // An Error ends it: `protocol` for bad syntax, `refused` where the proof is wrong, one wants to act for
    // another, or the channel is not the one that the client sees.
    using Step = Result<std::variant<Challenge, Credentials, WantVerifiers, Proven, Done>>;

    // `mechanism` is one that is offered, in capitals. `nonce` must never come twice: make_nonce().
    ServerExchange(std::string_view mechanism, ChannelBindings bindings, std::string nonce);
    // `initial`: decoded; may be there and empty.
    Step start(const std::optional<Secret>& initial);
    Step on_response(const Secret& octets);
    Step on_verifiers(Verifiers verifiers);

  private:
    enum class Awaits { nothing, plain, user, password, client_first, verifiers, client_final, end };
    Step on_plain(std::string_view message);
    Step on_client_first(std::string_view message);
    Step on_client_final(std::string_view message);
    Result<std::size_t> take_gs2_header(std::string_view message);

    const std::string mechanism_;
    const ChannelBindings bindings_;
    const std::string nonce_;
    Awaits awaits_ = Awaits::nothing;
    std::string user_, authzid_;
    std::string channel_;                      // the GS2 header and the binding, as `c=` must repeat them
    std::string combined_nonce_, transcript_;  // client-first-message-bare "," server-first-message
    std::string client_nonce_;
    Verifiers verifiers_;
};

}  // namespace fwmail::sasl
