// What both sessions ask of whoever drives them.
#pragma once

#include <string>

namespace fwmail::pop3 {

struct Send {
    std::string octets;
    bool secret = false;  // holds a password: not for a trace
};
struct StartTls {};  // start the TLS handshake once everything before has been sent; then on_tls_started()
struct Close {};     // close the connection once everything before has been sent

}  // namespace fwmail::pop3
