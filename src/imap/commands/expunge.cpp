// EXPUNGE (RFC 9051 6.4.3) and UID EXPUNGE (RFC 4315 2.1). Only the latter has a limit, and what counts there
// are the messages with \Deleted (RFC 9738 3.1): the client says the same command again until all of them are
// gone.
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
        UidSet uids = core.selected->resolve_to_change(*uids_, true).value_or(UidSet{});
        if (uids.empty()) return core.ok("Nothing to expunge");
        if (!core.over_limit(uids)) return core.ask(Expunge{std::move(uids)});
        SearchKey deleted;
        deleted.kind = SearchKey::Kind::conjunction;
        deleted.children.resize(2);
        deleted.children[0].kind = SearchKey::Kind::uids;
        deleted.children[0].uids = std::move(uids);
        deleted.children[1].kind = SearchKey::Kind::flag;
        deleted.children[1].flag = FlagSet::deleted;
        core.ask(Search{std::move(deleted)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (const auto* deleted = std::get_if<Found>(&reply)) {
            UidSet uids;
            for (Uid uid : deleted->uids) uids.add(uid.value);
            if (uids.empty()) return core.ok("Nothing to expunge");
            core.limit(uids);
            return core.ask(Expunge{std::move(uids)});
        }
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
