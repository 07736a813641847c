// SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.7, 6.3.8).
#include "imap/commands/simple.hpp"

namespace fwmail::imap {

namespace {

CommandResult parse(CommandInput& input, bool on) {
    TRY(input.parser.space());
    std::string name = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    return std::make_unique<SimpleCommand>(Subscribe{std::move(name), on},
                                           on ? "SUBSCRIBE completed" : "UNSUBSCRIBE completed");
}

}  // namespace

CommandResult parse_subscribe(CommandInput& input) { return parse(input, true); }
CommandResult parse_unsubscribe(CommandInput& input) { return parse(input, false); }

}  // namespace fwmail::imap
