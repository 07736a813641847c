// CAPABILITY (RFC 9051 6.1.1).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Capability : public Command {
  public:
    void start(SessionCore& core) override {
        core.send("* CAPABILITY " + core.capabilities() + "\r\n");
        core.ok("CAPABILITY completed");
    }
};

}  // namespace

CommandResult parse_capability(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<Capability>();
}

}  // namespace fwmail::imap
