// Drives a ServerSession in tests, writes a trace, and holds it to its invariants.
#pragma once

#include <deque>

#include "smtp/server_session.hpp"
#include "support/transcript.hpp"

namespace fwmail::smtp::testing {

using namespace fwmail::testing;

class ServerDriver {
  public:
    explicit ServerDriver(ServerConfig config) : session(std::move(config)) { handle(session.start()); }

    void feed(std::string_view octets) { handle(session.on_bytes(octets)); }
    void handle(ServerActions actions);
    // Answers what is asked, from `replies`; an empty queue answers 250 (334 is never made up).
    void answer();
    // The peer goes; nothing may stay open.
    void close();

    ServerSession session;
    Trace trace{'S'};
    std::deque<Reply> replies;
    bool answer_at_once = true;
    std::size_t asked = 0;              // requests that wanted a reply
    std::size_t fail_at = SIZE_MAX;     // this one is answered 451
    std::vector<std::string> messages;  // that were answered 250
    bool closed = false;

  private:
    void on_request(const Request& request);

    Request last_;
    bool open_ = false;
    std::string message_;
};

Reply parse_reply(std::string_view text);

}  // namespace fwmail::smtp::testing
