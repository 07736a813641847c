#include "sasl/client_exchange.hpp"

#include <charconv>
#include <utility>

#include "base/encoding.hpp"
#include "crypto/scram.hpp"
#include "mime/saslprep.hpp"

namespace fwmail::sasl {
namespace {

std::unexpected<Error> malformed() {
    return fail(ErrorKind::protocol, "the server's part of the login makes no sense");
}

}  // namespace

std::optional<ClientExchange> ClientExchange::choose(const IsOffered& offered,
                                                     const ChannelBindings& bindings, std::string user,
                                                     Secret password, std::string nonce) {
    bool bind = !bindings.empty() && offered(scram_plus);
    for (std::string_view mechanism : sasl::offered) {
        if (mechanism == scram_plus ? !bind : !offered(mechanism)) continue;
        ClientExchange made(mechanism, std::move(user), std::move(password), std::move(nonce));
        // RFC 5802 6: `y` says that we could bind, and that the server did not offer it: should it have done
        // so, it then knows that somebody changed its list.
        made.gs2_header_ = bindings.empty() ? "n,," : "y,,";
        if (bind) {
            bool exporter = !bindings.tls_exporter.empty();
            made.gs2_header_ = exporter ? "p=tls-exporter,," : "p=tls-server-end-point,,";
            made.channel_ = exporter ? bindings.tls_exporter : bindings.tls_server_end_point;
        }
        made.channel_.insert(0, made.gs2_header_);
        return made;
    }
    return std::nullopt;
}

Result<std::string> ClientExchange::initial() {
    if (mechanism_ == login) {
        awaits_ = Awaits::password;
        return user_;
    }
    if (mechanism_ == plain) {  // RFC 4616
        awaits_ = Awaits::nothing;
        std::string octets = '\0' + user_ + '\0';
        octets += password_.view();
        return octets;
    }
    client_first_bare_ = "n=" + write_saslname(TRY(mime::saslprep(user_))) + ",r=" + nonce_;
    awaits_ = Awaits::server_first;
    return gs2_header_ + client_first_bare_;
}

Result<std::string> ClientExchange::on_challenge(std::string_view challenge) {
    switch (std::exchange(awaits_, Awaits::nothing)) {
        case Awaits::begin:
            return initial();
        case Awaits::password:
            return std::string(password_.view());
        case Awaits::server_first:
            return on_server_first(challenge);
        case Awaits::server_final:
            return on_server_final(challenge);
        case Awaits::nothing:
            break;
    }
    return malformed();
}

// server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
Result<std::string> ClientExchange::on_server_first(std::string_view message) {
    auto attributes = parse_attributes(message);
    bool good = attributes && attributes->size() >= 3 && (*attributes)[0].name == 'r' &&
                (*attributes)[1].name == 's' && (*attributes)[2].name == 'i';
    if (!good) return malformed();
    std::string_view nonce = (*attributes)[0].value, count = (*attributes)[2].value;
    auto salt = base64_decode((*attributes)[1].value);
    std::uint32_t iterations = 0;
    auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), iterations);
    bool fresh = nonce.size() > nonce_.size() && nonce.starts_with(nonce_) && is_nonce(nonce);
    if (!fresh || !salt || salt->empty() || error != std::errc() || end != count.data() + count.size() ||
        iterations == 0)
        return malformed();
    if (iterations > most_iterations)
        return fail(ErrorKind::protocol, "the server wants " + std::string(count) + " iterations: too many");
    std::string final_bare = "c=" + base64_encode(channel_) + ",r=" + std::string(nonce);
    std::string signed_text = client_first_bare_ + ',' + std::string(message) + ',' + final_bare;
    Secret prepared(TRY(mime::saslprep(password_.view())));
    auto keys = crypto::client_keys(prepared, *salt, iterations, signed_text);
    server_signature_ = std::move(keys.server_signature);
    awaits_ = Awaits::server_final;
    return final_bare + ",p=" + base64_encode(keys.proof);
}

// server-final-message = (server-error / verifier) ["," extensions]
Result<std::string> ClientExchange::on_server_final(std::string_view message) {
    auto attributes = parse_attributes(message);
    if (!attributes) return malformed();
    if ((*attributes)[0].name == 'e')
        return fail(ErrorKind::refused, "the login is refused: " + std::string((*attributes)[0].value));
    auto signature = (*attributes)[0].name == 'v' ? base64_decode((*attributes)[0].value) : std::nullopt;
    if (!signature) return malformed();
    if (!equal_constant_time(*signature, server_signature_))
        return fail(ErrorKind::refused, "the server does not know the password: it is not the right one");
    server_known_ = true;
    return std::string();
}

Result<> ClientExchange::on_success() const {
    bool scram_used = mechanism_ == scram || mechanism_ == scram_plus;
    if (scram_used && !server_known_)
        return fail(ErrorKind::refused, "the server has not shown that it knows the password");
    return {};
}

}  // namespace fwmail::sasl
