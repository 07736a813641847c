// DELETE (RFC 9051 6.3.5).
#include "imap/commands/simple.hpp"

namespace fwmail::imap {

CommandResult parse_delete(CommandInput& input) {
    TRY(input.parser.space());
    std::string name = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    if (name == "INBOX") return fail(ErrorKind::refused, "[CANNOT] INBOX cannot be deleted");
    return std::make_unique<SimpleCommand>(Delete{std::move(name)}, "DELETE completed");
}

}  // namespace fwmail::imap
