// CREATE (RFC 9051 6.3.4).
#include "imap/commands/simple.hpp"

namespace fwmail::imap {

CommandResult parse_create(CommandInput& input) {
    TRY(input.parser.space());
    std::string name = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    // A trailing delimiter only says that there will be names below (RFC 9051 6.3.4).
    if (name.ends_with('/')) name.pop_back();
    if (name == "INBOX") return fail(ErrorKind::refused, "[ALREADYEXISTS] INBOX exists always");
    if (auto fault = fault_of_new_name(name); !fault.empty())
        return fail(ErrorKind::refused, "[CANNOT] " + fault);
    return std::make_unique<SimpleCommand>(Create{std::move(name)}, "CREATE completed");
}

}  // namespace fwmail::imap
