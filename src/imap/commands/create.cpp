// CREATE (RFC 9051 6.3.4), with USE (RFC 6154 3) and MAILBOXID (RFC 8474 4.1).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class CreateCommand : public Command {
  public:
    explicit CreateCommand(Create request) : request_(std::move(request)) {}
    void start(SessionCore& core) override { core.ask(std::move(request_)); }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* created = std::get_if<Created>(&reply);
        if (!created) return core.unexpected(reply);
        std::string code = created->mailbox_id.empty() ? "" : "MAILBOXID (" + created->mailbox_id + ')';
        core.ok("CREATE completed", News::if_changed, code);
    }

  private:
    Create request_;
};

// Uses that a mailbox may be made for. The others of RFC 6154 stand for views that do not exist here.
std::string use_named(std::string_view word) {
    for (std::string_view use : {"Archive", "Drafts", "Junk", "Sent", "Trash"})
        if (equal_ignoring_case(word, use)) return '\\' + std::string(use);
    return {};
}

// "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"
Result<std::string> parse_use(Parser& parser) {
    std::string use;
    TRY(parser.expect('('));
    if (!parser.accept_word("USE")) return fail(ErrorKind::protocol, "unknown parameter");
    TRY(parser.space());
    TRY(parser.expect('('));
    if (!parser.accept(')')) {
        do {
            TRY(parser.expect('\\'));
            std::string named = use_named(TRY(parser.atom()));
            if (named.empty())
                return fail(ErrorKind::refused, "[USEATTR] no mailbox can be made for that use");
            if (!use.empty() && use != named)
                return fail(ErrorKind::refused, "[USEATTR] a mailbox has one use at most");
            use = std::move(named);
        } while (parser.accept(' '));
        TRY(parser.expect(')'));
    }
    TRY(parser.expect(')'));
    return use;
}

}  // namespace

CommandResult parse_create(CommandInput& input) {
    Create request;
    TRY(input.parser.space());
    request.name = TRY(input.parser.mailbox());
    if (input.parser.accept(' ')) request.special_use = TRY(parse_use(input.parser));
    TRY(input.parser.end());
    auto& name = request.name;
    // A trailing delimiter only says that there will be names below (RFC 9051 6.3.4).
    if (name.ends_with('/')) name.pop_back();
    if (name == "INBOX") return fail(ErrorKind::refused, "[ALREADYEXISTS] INBOX exists always");
    if (auto fault = fault_of_new_name(name); !fault.empty())
        return fail(ErrorKind::refused, "[CANNOT] " + fault);
    return std::make_unique<CreateCommand>(std::move(request));
}

}  // namespace fwmail::imap
