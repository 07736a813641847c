// NOOP (RFC 9051 6.1.2) and CHECK (RFC 3501 6.4.1): both bring the news of the mailbox.
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Noop : public Command {
  public:
    explicit Noop(const char* text) : text_(text) {}
    void start(SessionCore& core) override { core.ok(text_, News::always); }

  private:
    const char* text_;
};

}  // namespace

CommandResult parse_noop(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<Noop>("NOOP completed");
}

CommandResult parse_check(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<Noop>("CHECK completed");
}

}  // namespace fwmail::imap
