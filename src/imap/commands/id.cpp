// ID (RFC 2971). What the client says of itself is checked and forgotten.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr int most_fields = 30;

class Id : public Command {
  public:
    void start(SessionCore& core) override {
        core.send("* ID (\"name\" " + write_string(core.options.greeting_name) + ")\r\n");
        core.ok("ID completed");
    }
};

// id_params_list = "(" *(string SP nstring) ")" / nil
Result<> parse_parameters(Parser& parser) {
    if (parser.accept_word("NIL")) return {};
    TRY(parser.expect('('));
    if (parser.accept(')')) return {};
    int fields = 0;
    do {
        TRY(parser.string());
        TRY(parser.space());
        TRY(parser.nstring());
        if (++fields > most_fields) return fail(ErrorKind::protocol, "too many fields");
    } while (parser.accept(' '));
    return parser.expect(')');
}

}  // namespace

CommandResult parse_id(CommandInput& input) {
    TRY(input.parser.space());
    TRY(parse_parameters(input.parser));
    TRY(input.parser.end());
    return std::make_unique<Id>();
}

}  // namespace fwmail::imap
