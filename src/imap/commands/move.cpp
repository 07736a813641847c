// MOVE and UID MOVE (RFC 6851), with COPYUID (RFC 4315 3) told before the messages go.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class MoveCommand : public Command {
  public:
    MoveCommand(SequenceSet set, bool uid, std::string mailbox)
        : set_(std::move(set)), uid_(uid), mailbox_(std::move(mailbox)) {}

    void start(SessionCore& core) override {
        if (core.selected->read_only())
            return core.no({ErrorKind::refused, "READ-ONLY", "The mailbox is read-only"});
        auto uids = core.selected->resolve_to_change(set_, uid_);
        if (!uids) return core.refuse(uids.error());
        if (uids->empty()) return core.ok("No such messages");
        into_itself_ = mailbox_ == core.selected->name();
        core.limit(*uids);
        core.ask(Move{std::move(*uids), std::move(mailbox_)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* moved = std::get_if<Copied>(&reply);
        if (!moved) return core.unexpected(reply);
        bool pairs = !moved->source.empty() && moved->source.size() == moved->destination.size();
        if (moved->uidvalidity.value && pairs)
            core.send("* OK [COPYUID " + std::to_string(moved->uidvalidity.value) + ' ' +
                      write_uid_set(moved->source) + ' ' + write_uid_set(moved->destination) + "] Moved\r\n");
        core.announce_expunged(moved->source);
        // Into itself: what arrives there is news for this session.
        core.changed |= into_itself_;
        core.ok_expunged("MOVE completed");
    }

  private:
    SequenceSet set_;
    bool uid_;
    std::string mailbox_;
    bool into_itself_ = false;
};

}  // namespace

CommandResult parse_move(CommandInput& input) {
    TRY(input.parser.space());
    SequenceSet set = TRY(input.parser.sequence_set());
    TRY(input.parser.space());
    std::string mailbox = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    return std::make_unique<MoveCommand>(std::move(set), input.uid, std::move(mailbox));
}

}  // namespace fwmail::imap
