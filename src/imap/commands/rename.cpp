// RENAME (RFC 9051 6.3.6).
#include "imap/commands/simple.hpp"

namespace fwmail::imap {

CommandResult parse_rename(CommandInput& input) {
    TRY(input.parser.space());
    std::string from = TRY(input.parser.mailbox());
    TRY(input.parser.space());
    std::string to = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    if (to.ends_with('/')) to.pop_back();
    if (to == "INBOX") return fail(ErrorKind::refused, "[ALREADYEXISTS] INBOX exists always");
    if (auto fault = fault_of_new_name(to); !fault.empty())
        return fail(ErrorKind::refused, "[CANNOT] " + fault);
    if (to == from) return fail(ErrorKind::refused, "[ALREADYEXISTS] that is its name already");
    if (to.starts_with(from + "/") && from != "INBOX")
        return fail(ErrorKind::refused, "[CANNOT] a mailbox cannot move below itself");
    return std::make_unique<SimpleCommand>(Rename{std::move(from), std::move(to)}, "RENAME completed");
}

}  // namespace fwmail::imap
