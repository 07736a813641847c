// COPY and UID COPY (RFC 9051 6.4.7), with COPYUID (RFC 4315 3).
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class CopyCommand : public Command {
  public:
    CopyCommand(SequenceSet set, bool uid, std::string mailbox)
        : set_(std::move(set)), uid_(uid), mailbox_(std::move(mailbox)) {}

    void start(SessionCore& core) override {
        auto uids = core.selected->resolve_to_change(set_, uid_);
        if (!uids) return core.refuse(uids.error());
        if (uids->empty()) return core.ok("No such messages");
        if (auto refusal = core.over_limit(*uids)) return core.no(*refusal);
        core.ask(Copy{std::move(*uids), std::move(mailbox_)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* copied = std::get_if<Copied>(&reply);
        if (!copied) return core.unexpected(reply);
        std::string code;
        if (copied->uidvalidity.value && !copied->source.empty() &&
            copied->source.size() == copied->destination.size())
            code = "COPYUID " + std::to_string(copied->uidvalidity.value) + ' ' +
                   write_uid_set(copied->source) + ' ' + write_uid_set(copied->destination);
        core.ok("COPY completed", News::always, code);
    }

  private:
    SequenceSet set_;
    bool uid_;
    std::string mailbox_;
};

}  // namespace

CommandResult parse_copy(CommandInput& input) {
    TRY(input.parser.space());
    SequenceSet set = TRY(input.parser.sequence_set());
    TRY(input.parser.space());
    std::string mailbox = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    return std::make_unique<CopyCommand>(std::move(set), input.uid, std::move(mailbox));
}

}  // namespace fwmail::imap
