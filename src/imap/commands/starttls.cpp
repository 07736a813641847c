// STARTTLS (RFC 9051 6.2.1).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class StartTlsCommand : public Command {
  public:
    void start(SessionCore& core) override {
        if (core.options.tls_active) return core.bad("TLS is active already");
        if (!core.options.starttls_available) return core.bad("TLS is not available");
        core.start_tls();
    }
};

}  // namespace

CommandResult parse_starttls(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<StartTlsCommand>();
}

}  // namespace fwmail::imap
