// LOGOUT (RFC 9051 6.1.3).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Logout : public Command {
  public:
    void start(SessionCore& core) override {
        core.send("* BYE Logging out\r\n");
        core.ok("LOGOUT completed", News::never);
        core.close();
    }
};

}  // namespace

CommandResult parse_logout(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<Logout>();
}

}  // namespace fwmail::imap
