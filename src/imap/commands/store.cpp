// STORE and UID STORE (RFC 9051 6.4.6).
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class StoreCommand : public Command {
  public:
    StoreCommand(SequenceSet set, bool uid, Store::Mode mode, bool silent, FlagSet flags)
        : set_(std::move(set)), uid_(uid), mode_(mode), silent_(silent), flags_(std::move(flags)) {}

    void start(SessionCore& core) override {
        if (core.selected->read_only())
            return core.no({ErrorKind::refused, "READ-ONLY", "The mailbox is read-only"});
        auto uids = core.selected->resolve(set_, uid_);
        if (!uids) return core.refuse(uids.error());
        if (uids->empty()) return core.ok("No such messages", news());
        core.ask(Store{std::move(*uids), mode_, std::move(flags_)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* stored = std::get_if<Stored>(&reply);
        if (!stored) return core.unexpected(reply);
        for (const auto& row : stored->rows) {
            auto number = core.selected->seq_of(row.uid);
            if (!number) continue;
            core.announce_keywords(row.flags);
            if (silent_) continue;
            core.send("* " + std::to_string(number->value) + " FETCH (" +
                      (uid_ ? "UID " + std::to_string(row.uid.value) + ' ' : "") + "FLAGS " +
                      write_flags(row.flags, core.selected->is_recent(row.uid)) + ")\r\n");
        }
        core.ok("STORE completed", news());
    }

  private:
    News news() const { return uid_ ? News::if_changed : News::never; }

    SequenceSet set_;
    bool uid_;
    Store::Mode mode_;
    bool silent_;
    FlagSet flags_;
};

}  // namespace

// sequence-set SP store-att-flags, which is (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP
// flag)))
CommandResult parse_store(CommandInput& input) {
    Parser& parser = input.parser;
    TRY(parser.space());
    SequenceSet set = TRY(parser.sequence_set());
    TRY(parser.space());
    Store::Mode mode = parser.accept('+')   ? Store::Mode::add
                       : parser.accept('-') ? Store::Mode::remove
                                            : Store::Mode::set;
    std::string item = TRY(parser.word());
    if (item != "FLAGS" && item != "FLAGS.SILENT") return fail(ErrorKind::protocol, "unknown item to store");
    TRY(parser.space());
    FlagSet flags = TRY(parser.flags());
    TRY(parser.end());
    return std::make_unique<StoreCommand>(std::move(set), input.uid, mode, item == "FLAGS.SILENT",
                                          std::move(flags));
}

}  // namespace fwmail::imap
