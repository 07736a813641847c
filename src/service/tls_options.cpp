#include "service/tls_options.hpp"

#include "base/encoding.hpp"

namespace fwmail::service {

Result<net::TlsClientOptions> tls_options_of(const config::Config& config, const std::string& section,
                                             bool check_names) {
    net::TlsClientOptions options;
    std::string verify = config.text(section + ".verify");
    options.verify = verify == "pin"                  ? net::TlsVerify::pin
                     : verify == "yes" && check_names ? net::TlsVerify::ca
                                                      : net::TlsVerify::none;
    options.ca_file = config.path(section + ".ca-file");
    if (options.verify != net::TlsVerify::pin) return options;
    auto pin = hex_decode(config.text(section + ".pin"));
    if (!pin || pin->size() != 32)
        return fail(ErrorKind::usage, section + ".pin is not the SHA-256 of a certificate in hexadecimal");
    options.pinned_sha256 = *pin;
    return options;
}

}  // namespace fwmail::service
