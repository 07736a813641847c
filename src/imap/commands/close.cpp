// CLOSE (RFC 9051 6.4.1) and UNSELECT (RFC 3691).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class CloseCommand : public Command {
  public:
    explicit CloseCommand(bool expunge) : expunge_(expunge) {}

    void start(SessionCore& core) override {
        bool expunge = expunge_ && !core.selected->read_only();
        core.selected.reset();
        core.changed = false;
        if (!expunge) return leave(core);
        core.ask(Expunge{});
    }
    // No EXPUNGE responses are sent: the mailbox is left.
    void on_reply(SessionCore& core, Reply& reply) override {
        if (leaving_) return failed_ ? core.unexpected(*failed_) : done(core, reply);
        if (!std::holds_alternative<Expunged>(reply)) failed_ = std::move(reply);
        leave(core);
    }

  private:
    void leave(SessionCore& core) {
        leaving_ = true;
        core.ask(Unselect{});
    }
    void done(SessionCore& core, Reply& reply) {
        if (!std::holds_alternative<Done>(reply)) return core.unexpected(reply);
        core.ok(expunge_ ? "CLOSE completed" : "UNSELECT completed");
    }

    bool expunge_;
    bool leaving_ = false;
    std::optional<Reply> failed_;
};

}  // namespace

CommandResult parse_close(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<CloseCommand>(true);
}

CommandResult parse_unselect(CommandInput& input) {
    TRY(input.parser.end());
    return std::make_unique<CloseCommand>(false);
}

}  // namespace fwmail::imap
