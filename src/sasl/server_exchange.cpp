#include "sasl/server_exchange.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "mime/saslprep.hpp"

namespace fwmail::sasl {
namespace {

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorKind::protocol, "the " + std::string(what) + " message is malformed");
}

ServerExchange::Step credentials(std::string_view user, std::string_view password) {
    bool good = !user.empty() && user.size() <= ServerExchange::longest_user &&
                password.size() <= ServerExchange::longest_password && !user.contains('\0') &&
                !password.contains('\0');
    if (!good) return fail(ErrorKind::protocol, "the name or the password is malformed");
    return Credentials{std::string(user), Secret(password)};
}

std::unexpected<Error> acts_for_another() { return fail(ErrorKind::refused, "nobody acts for another here"); }

}  // namespace

ServerExchange::ServerExchange(std::string_view mechanism, ChannelBindings bindings, std::string nonce)
    : mechanism_(mechanism), bindings_(std::move(bindings)), nonce_(std::move(nonce)) {}

ServerExchange::Step ServerExchange::start(const std::optional<Secret>& initial) {
    if (mechanism_ == plain) {
        awaits_ = Awaits::plain;
    } else if (mechanism_ == login) {
        // LOGIN has no initial response of its own; clients that send one send the name.
        awaits_ = Awaits::user;
        if (!initial) return Challenge{"Username:"};
    } else {
        awaits_ = Awaits::client_first;
    }
    if (initial) return on_response(*initial);
    return Challenge{};
}

ServerExchange::Step ServerExchange::on_response(const Secret& octets) {
    if (octets.view().size() > longest_message) return malformed(mechanism_);
    switch (std::exchange(awaits_, Awaits::nothing)) {
        case Awaits::nothing:
        case Awaits::verifiers:
            break;
        case Awaits::plain:
            return on_plain(octets.view());
        case Awaits::user:
            user_ = octets.view().substr(0, longest_user + 1);
            awaits_ = Awaits::password;
            return Challenge{"Password:"};
        case Awaits::password:
            return credentials(user_, octets.view());
        case Awaits::client_first:
            return on_client_first(octets.view());
        case Awaits::client_final:
            return on_client_final(octets.view());
        case Awaits::end:
            if (!octets.empty()) return malformed(mechanism_);
            return Done{};
    }
    return fail(ErrorKind::protocol, "no response is awaited");
}

// message = [authzid] NUL authcid NUL passwd (RFC 4616 2). Nobody acts for another here.
ServerExchange::Step ServerExchange::on_plain(std::string_view message) {
    std::size_t first = message.find('\0');
    std::size_t second = first == std::string_view::npos ? first : message.find('\0', first + 1);
    if (second == std::string_view::npos) return malformed(plain);
    std::string_view user = message.substr(first + 1, second - first - 1);
    if (first != 0 && message.substr(0, first) != user) return acts_for_another();
    return credentials(user, message.substr(second + 1));
}

// gs2-header = gs2-cbind-flag "," [ authzid ] "," (RFC 5802 7). Returns its length.
Result<std::size_t> ServerExchange::take_gs2_header(std::string_view message) {
    std::size_t flag_end = message.find(',');
    std::size_t end = flag_end == message.npos ? flag_end : message.find(',', flag_end + 1);
    if (end == message.npos) return malformed(mechanism_);
    std::string_view flag = message.substr(0, flag_end);
    std::string_view authzid = message.substr(flag_end + 1, end - flag_end - 1);
    channel_ = message.substr(0, end + 1);
    if (flag.starts_with("p=") != (mechanism_ == scram_plus)) return malformed(mechanism_);
    if (flag.starts_with("p=")) {
        auto binding = bindings_.of_type(flag.substr(2));
        if (!binding) return fail(ErrorKind::refused, "this connection has no channel binding of that type");
        channel_ += *binding;
    } else if (flag == "y") {
        // RFC 5802 6: the client thinks that we have no channel binding. Under TLS we offered -PLUS, so
        // somebody between us has taken it out of the list.
        if (!bindings_.empty()) return fail(ErrorKind::refused, "the list of mechanisms was tampered with");
    } else if (flag != "n") {
        return malformed(mechanism_);
    }
    if (!authzid.empty()) {
        auto name = authzid.starts_with("a=") ? parse_saslname(authzid.substr(2)) : std::nullopt;
        if (!name) return malformed(mechanism_);
        authzid_ = *name;
    }
    return end + 1;
}

// client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
ServerExchange::Step ServerExchange::on_client_first(std::string_view message) {
    std::size_t header = TRY(take_gs2_header(message));
    transcript_ = message.substr(header);
    auto attributes = parse_attributes(transcript_);
    // `m=`, an extension that must be understood, would stand first.
    bool good = attributes && attributes->size() >= 2 && (*attributes)[0].name == 'n' &&
                (*attributes)[1].name == 'r' && is_nonce((*attributes)[1].value);
    auto name = good ? parse_saslname((*attributes)[0].value) : std::nullopt;
    if (!name || name->size() > longest_user) return malformed(mechanism_);
    if (!authzid_.empty() && authzid_ != *name) return acts_for_another();
    client_nonce_ = (*attributes)[1].value;
    user_ = TRY(mime::saslprep(*name));
    if (user_.empty()) return malformed(mechanism_);
    awaits_ = Awaits::verifiers;
    return WantVerifiers{user_};
}

// server-first-message = nonce "," salt "," iteration-count
ServerExchange::Step ServerExchange::on_verifiers(Verifiers verifiers) {
    if (std::exchange(awaits_, Awaits::nothing) != Awaits::verifiers)
        return fail(ErrorKind::internal, "SASL: verifiers out of turn");
    verifiers_ = std::move(verifiers);
    combined_nonce_ = client_nonce_ + nonce_;
    std::string first = "r=" + combined_nonce_ + ",s=" + base64_encode(verifiers_.salt) +
                        ",i=" + std::to_string(verifiers_.iterations);
    transcript_ += ',' + first;
    awaits_ = Awaits::client_final;
    return Challenge{std::move(first)};
}

// client-final-message = channel-binding "," nonce ["," extensions] "," proof
ServerExchange::Step ServerExchange::on_client_final(std::string_view message) {
    auto attributes = parse_attributes(message);
    bool good = attributes && attributes->size() >= 3 && (*attributes)[0].name == 'c' &&
                (*attributes)[1].name == 'r' && attributes->back().name == 'p';
    auto channel = good ? base64_decode((*attributes)[0].value) : std::nullopt;
    auto proof = good ? base64_decode(attributes->back().value) : std::nullopt;
    if (!channel || !proof || proof->size() != crypto::Digest().size()) return malformed(mechanism_);
    if (*channel != channel_)
        return fail(ErrorKind::refused, "the connection is not the one that the client sees");
    if ((*attributes)[1].value != combined_nonce_) return malformed(mechanism_);
    std::string signed_text =
        transcript_ + ',' +
        std::string(message.substr(0, message.size() - attributes->back().value.size() - 3));
    std::optional<std::string> signature;
    for (const auto& verifier : verifiers_.passwords)
        if (crypto::proof_fits(verifier, *proof, signed_text))
            signature = crypto::server_signature(verifier, signed_text);
    if (!signature) return fail(ErrorKind::refused, "the name or the password is wrong");
    awaits_ = Awaits::end;
    return Proven{"v=" + base64_encode(*signature)};
}

}  // namespace fwmail::sasl
