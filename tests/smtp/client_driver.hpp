// Drives a ClientSession in tests and writes a trace.
#pragma once

#include "smtp/client_session.hpp"
#include "support/transcript.hpp"

namespace fwmail::smtp::testing {

using namespace fwmail::testing;

class ClientDriver {
  public:
    explicit ClientDriver(ClientConfig config) : session(std::move(config)) { handle(session.start()); }

    void feed(std::string_view octets) { handle(session.on_bytes(octets)); }
    void handle(ClientActions actions);

    ClientSession session;
    Trace trace{'C'};
    std::vector<TransactionResult> results;
    bool closed = false, ready = false, wants_message = false;
};

}  // namespace fwmail::smtp::testing
