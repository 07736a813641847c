#include "smtp/sasl.hpp"

namespace fwmail::smtp {
namespace {

SaslExchange::Step credentials(std::string_view user, std::string_view password) {
    bool good = !user.empty() && user.size() <= SaslExchange::longest_user &&
                password.size() <= SaslExchange::longest_password && !user.contains('\0') &&
                !password.contains('\0');
    if (!good) return fail(ErrorKind::protocol, "the name or the password is malformed");
    return SaslCredentials{std::string(user), Secret(password)};
}

}  // namespace

SaslExchange::Step SaslExchange::start(std::string_view mechanism, const std::optional<Secret>& initial) {
    user_.clear();
    if (mechanism == "PLAIN") {
        if (initial) return on_plain(initial->view());
        awaits_ = Awaits::plain;
        return SaslChallenge{};
    }
    // LOGIN has no initial response of its own; clients that send one send the name.
    awaits_ = Awaits::user;
    if (initial) return on_response(*initial);
    return SaslChallenge{"Username:"};
}

SaslExchange::Step SaslExchange::on_response(const Secret& octets) {
    Awaits awaited = std::exchange(awaits_, Awaits::nothing);
    switch (awaited) {
        case Awaits::nothing:
            break;
        case Awaits::plain:
            return on_plain(octets.view());
        case Awaits::user:
            user_ = octets.view().substr(0, longest_user + 1);
            awaits_ = Awaits::password;
            return SaslChallenge{"Password:"};
        case Awaits::password:
            return credentials(user_, octets.view());
    }
    return fail(ErrorKind::protocol, "no response is awaited");
}

// message = [authzid] NUL authcid NUL passwd (RFC 4616 2). Nobody acts for another here.
SaslExchange::Step SaslExchange::on_plain(std::string_view message) {
    std::size_t first = message.find('\0');
    std::size_t second = first == std::string_view::npos ? first : message.find('\0', first + 1);
    if (second == std::string_view::npos) return fail(ErrorKind::protocol, "the PLAIN message is malformed");
    std::string_view user = message.substr(first + 1, second - first - 1);
    if (first != 0 && message.substr(0, first) != user)
        return fail(ErrorKind::refused, "nobody acts for another here");
    return credentials(user, message.substr(second + 1));
}

}  // namespace fwmail::smtp
