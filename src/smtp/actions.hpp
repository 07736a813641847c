// What both sessions ask of whoever drives them.
#pragma once

#include <chrono>
#include <string>

namespace fwmail::smtp {

struct Send {
    std::string octets;
    bool secret = false;  // holds a password: not for a trace
};
struct Pause {  // wait before what follows is sent
    std::chrono::seconds time{1};
};
struct StartTls {};  // start the TLS handshake once everything before has been sent; then on_tls_started()
struct Close {};     // close the connection once everything before has been sent

}  // namespace fwmail::smtp
