// STORE and UID STORE (RFC 9051 6.4.6), with UNCHANGEDSINCE (RFC 7162 3.1.3).
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class StoreCommand : public Command {
  public:
    StoreCommand(SequenceSet set, bool uid, bool silent, Store store)
        : set_(std::move(set)), uid_(uid), silent_(silent), store_(std::move(store)) {}

    void start(SessionCore& core) override {
        if (store_.unchanged_since) core.enabled.condstore = true;
        if (core.selected->read_only())
            return core.no({ErrorKind::refused, "READ-ONLY", "The mailbox is read-only"});
        auto uids = core.selected->resolve_to_change(set_, uid_);
        if (!uids) return core.refuse(uids.error());
        if (uids->empty()) return core.ok("No such messages", news());
        core.limit(*uids);
        store_.uids = std::move(*uids);
        core.ask(std::move(store_));
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* stored = std::get_if<Stored>(&reply);
        if (!stored) return core.unexpected(reply);
        // RFC 7162 3.2.4: with UIDs under QRESYNC. 3.1.3: modseqs are told even when flags are not.
        for (const auto& row : stored->rows) core.send_flags_row(row, uid_ || core.enabled.qresync, !silent_);
        std::string left = modified(core, stored->modified);
        if (left.empty()) return core.ok("STORE completed", news());
        core.ok("Some messages have changed since and were left alone", news(), "MODIFIED " + left);
    }

  private:
    std::string modified(const SessionCore& core, const UidSet& uids) const {
        if (uid_) return write_uid_set(core.selected->known_in(uids));
        std::vector<Uid> numbers;  // written the same way
        for (Uid uid : core.selected->known_in(uids)) numbers.emplace_back(core.selected->seq_of(uid)->value);
        return write_uid_set(numbers);
    }
    News news() const { return uid_ ? News::if_changed : News::never; }

    SequenceSet set_;
    bool uid_;
    bool silent_;
    Store store_;
};

// "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"
Result<ModSeq> parse_modifier(Parser& parser) {
    TRY(parser.expect('('));
    if (!parser.accept_word("UNCHANGEDSINCE")) return fail(ErrorKind::protocol, "unknown modifier");
    TRY(parser.space());
    ModSeq since = TRY(parser.modseq());
    TRY(parser.expect(')'));
    TRY(parser.space());
    return since;
}

}  // namespace

// sequence-set SP [store-modifiers SP] store-att-flags, which is (["+" / "-"] "FLAGS" [".SILENT"]) SP
// (flag-list / (flag *(SP flag)))
CommandResult parse_store(CommandInput& input) {
    Parser& parser = input.parser;
    TRY(parser.space());
    SequenceSet set = TRY(parser.sequence_set());
    TRY(parser.space());
    Store store;
    if (parser.peek() == '(') store.unchanged_since = TRY(parse_modifier(parser));
    store.mode = parser.accept('+')   ? Store::Mode::add
                 : parser.accept('-') ? Store::Mode::remove
                                      : Store::Mode::set;
    std::string item = TRY(parser.word());
    if (item != "FLAGS" && item != "FLAGS.SILENT") return fail(ErrorKind::protocol, "unknown item to store");
    TRY(parser.space());
    store.flags = TRY(parser.flags());
    TRY(parser.end());
    return std::make_unique<StoreCommand>(std::move(set), input.uid, item == "FLAGS.SILENT",
                                          std::move(store));
}

}  // namespace fwmail::imap
