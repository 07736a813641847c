// The SASL mechanisms that are here, and what SCRAM's two sides have in common (RFC 5802, RFC 7677).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fwmail::sasl {

inline constexpr std::string_view scram_plus = "SCRAM-SHA-256-PLUS", scram = "SCRAM-SHA-256", plain = "PLAIN",
                                  login = "LOGIN";

// What a server offers, the strongest first: some clients take the first that they know.
inline constexpr std::array offered{scram_plus, scram, plain, login};
// -PLUS binds the login to the TLS connection, so there must be one.
constexpr bool is_offered(std::string_view mechanism, bool tls) {
    for (std::string_view name : offered)
        if (name == mechanism) return tls || name != scram_plus;
    return false;
}

// Names of mechanisms are the same in any case, and written in capitals (RFC 4422 3.1).
std::string in_capitals(std::string_view name);

// What tells this TLS connection from every other, by the name of its type. Without TLS there is none.
struct ChannelBindings {
    std::string tls_exporter;          // RFC 9266
    std::string tls_server_end_point;  // RFC 5929 4

    bool empty() const { return tls_exporter.empty() && tls_server_end_point.empty(); }
    // Nothing for a type that is not known, or that this connection does not have.
    std::optional<std::string_view> of_type(std::string_view type) const;
};

// Attributes of a SCRAM message (RFC 5802 7), `a=value` between commas.
struct Attribute {
    char name = 0;
    std::string_view value;
};
// Nothing if some part is none. At most 16.
std::optional<std::vector<Attribute>> parse_attributes(std::string_view text);
// RFC 5802 5.1: ',' and '=' in a name are written =2C and =3D.
std::string write_saslname(std::string_view name);
std::optional<std::string> parse_saslname(std::string_view text);
// What a nonce consists of: printable ASCII but the comma.
bool is_nonce(std::string_view text);
// 24 characters from 18 random octets.
std::string make_nonce();

}  // namespace fwmail::sasl
