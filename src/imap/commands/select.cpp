// SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3).
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class SelectCommand : public Command {
  public:
    SelectCommand(std::string mailbox, bool read_only)
        : mailbox_(std::move(mailbox)), read_only_(read_only) {}

    // The mailbox selected before is left whatever comes (RFC 9051 6.3.2).
    void start(SessionCore& core) override {
        core.selected.reset();
        core.changed = false;
        core.ask(Select{mailbox_, read_only_});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        auto* selected = std::get_if<Selected>(&reply);
        if (!selected) return core.unexpected(reply);
        Selected facts = std::move(*selected);
        bool read_only = read_only_ || facts.read_only;
        core.selected.emplace(mailbox_, read_only, facts);
        show(core, facts, read_only);
        std::string text = read_only_ ? "EXAMINE completed" : "SELECT completed";
        if (facts.read_only && !read_only_ && !facts.read_only_reason.empty())
            text += ", read-only: " + facts.read_only_reason;
        core.ok(text, News::never, read_only ? "READ-ONLY" : "READ-WRITE");
    }

  private:
    static void show(SessionCore& core, const Selected& facts, bool read_only) {
        core.send_flags_line();
        core.send(
            read_only
                ? "* OK [PERMANENTFLAGS ()] No flags can be changed\r\n"
                : "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags\r\n");
        core.send("* " + std::to_string(core.selected->exists()) + " EXISTS\r\n");
        core.send("* " + std::to_string(core.selected->recent()) + " RECENT\r\n");
        if (auto unseen = core.selected->seq_of(facts.first_unseen))
            core.send("* OK [UNSEEN " + std::to_string(unseen->value) + "] First unseen message\r\n");
        core.send("* OK [UIDVALIDITY " + std::to_string(facts.uidvalidity.value) + "] UIDs are valid\r\n");
        core.send("* OK [UIDNEXT " + std::to_string(facts.uidnext.value) + "] Next UID\r\n");
    }

    std::string mailbox_;
    bool read_only_;
};

CommandResult parse(CommandInput& input, bool read_only) {
    TRY(input.parser.space());
    std::string mailbox = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    return std::make_unique<SelectCommand>(std::move(mailbox), read_only);
}

}  // namespace

CommandResult parse_select(CommandInput& input) { return parse(input, false); }
CommandResult parse_examine(CommandInput& input) { return parse(input, true); }

}  // namespace fwmail::imap
