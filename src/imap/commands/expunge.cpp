// EXPUNGE (RFC 9051 6.4.3) and UID EXPUNGE (RFC 4315 2.1).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class ExpungeCommand : public Command {
  public:
    explicit ExpungeCommand(std::optional<SequenceSet> uids) : uids_(std::move(uids)) {}

    void start(SessionCore& core) override {
        if (core.selected->read_only())
            return core.no({ErrorKind::refused, "READ-ONLY", "The mailbox is read-only"});
        if (!uids_) return core.ask(Expunge{});
        UidSet uids = core.selected->resolve(*uids_, true).value_or(UidSet{});
        if (uids.empty()) return core.ok("Nothing to expunge");
        core.limit(uids);
        core.ask(Expunge{std::move(uids)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* expunged = std::get_if<Expunged>(&reply);
        if (!expunged) return core.unexpected(reply);
        core.announce_expunged(expunged->uids);
        core.ok_expunged("EXPUNGE completed");
    }

  private:
    std::optional<SequenceSet> uids_;
};

}  // namespace

CommandResult parse_expunge(CommandInput& input) {
    std::optional<SequenceSet> uids;
    if (input.uid) {
        TRY(input.parser.space());
        uids = TRY(input.parser.sequence_set());
    }
    TRY(input.parser.end());
    return std::make_unique<ExpungeCommand>(std::move(uids));
}

}  // namespace fwmail::imap
