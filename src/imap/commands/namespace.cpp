// NAMESPACE (RFC 2342): everything is personal, the delimiter is '/'.
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Namespace : public Command {
  public:
    void start(SessionCore& core) override {
        core.send("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
        core.ok("NAMESPACE completed");
    }
};

}  // namespace

CommandResult parse_namespace(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<Namespace>();
}

}  // namespace fwmail::imap
