// Drives a POP3 ServerSession in tests and writes a trace.
#pragma once

#include <deque>

#include "pop3/server_session.hpp"
#include "support/transcript.hpp"

namespace fwmail::pop3::testing {

using namespace fwmail::testing;

class ServerDriver {
  public:
    explicit ServerDriver(ServerConfig config) : session(std::move(config)) { handle(session.start()); }

    void feed(std::string_view octets) { handle(session.on_bytes(octets)); }
    void handle(ServerActions actions);
    // Answers what is asked, from `replies`; an empty queue refuses.
    void answer();

    ServerSession session;
    Trace trace{'S'};
    std::deque<std::string> replies;  // "drop 7 10:120 11:45", "done", "refuse CODE text"
    std::deque<std::string> bodies;   // "body octets", "body-cut octets"
    bool answer_at_once = true;
    std::size_t body_piece = SIZE_MAX;  // octets of a body given at one time
    std::size_t asked = 0;
    std::size_t fail_at = SIZE_MAX;  // this request is refused
    bool closed = false;

  private:
    void on_request(const Request& request);
    void give_body();
};

}  // namespace fwmail::pop3::testing
