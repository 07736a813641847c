// IDLE (RFC 2177, RFC 9051 6.3.13). While it lasts the session polls whenever the mailbox has changed.
#include "base/encoding.hpp"
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Idle : public Command {
  public:
    void start(SessionCore& core) override { core.want_line("idling"); }
    bool idling() const override { return true; }
    void on_line(SessionCore& core, std::string& line) override {
        if (equal_ignoring_case(line, "DONE")) return core.ok("IDLE completed");
        core.bad("expected DONE");
    }
};

}  // namespace

CommandResult parse_idle(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<Idle>();
}

}  // namespace fwmail::imap
