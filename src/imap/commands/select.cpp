// SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3), with CONDSTORE and QRESYNC (RFC 7162 3.1.8, 3.2.5).
#include <algorithm>

#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

// What a client knows of the mailbox from before.
struct Resync {
    UidValidity uidvalidity;
    ModSeq modseq;
    std::optional<SequenceSet> known;  // UIDs
    bool numbers = false;              // sequence numbers were given too
};
struct Parameters {
    bool condstore = false;
    std::optional<Resync> resync;
};

class SelectCommand : public Command {
  public:
    SelectCommand(std::string mailbox, bool read_only, Parameters parameters)
        : mailbox_(std::move(mailbox)), read_only_(read_only), parameters_(std::move(parameters)) {}
    // Of a name that no mailbox can have.
    explicit SelectCommand(Error fault) : fault_(std::move(fault)) {}

    // The mailbox selected before is left whatever comes (RFC 9051 6.3.2).
    void start(SessionCore& core) override {
        if (parameters_.resync && !core.enabled.qresync) return core.bad("ENABLE QRESYNC first");
        if (core.enabled.uid_only && parameters_.resync && parameters_.resync->numbers)
            return core.bad("only UIDs are in use here", "UIDREQUIRED");
        core.enabled.condstore |= parameters_.condstore;
        // RFC 7162 3.2.11, RFC 9051 7.1: what comes next is of the other mailbox.
        if (core.selected) core.send("* OK [CLOSED] The mailbox selected before is closed\r\n");
        core.selected.reset();
        core.changed = false;
        if (fault_) return core.ask(Unselect{});
        core.ask(Select{mailbox_, read_only_});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (fault_) return core.refuse(*fault_);
        if (const auto* batch = std::get_if<FetchBatch>(&reply); batch && core.selected)
            return show_changes(core, *batch);
        auto* selected = std::get_if<Selected>(&reply);
        if (!selected || core.selected) return core.unexpected(reply);
        Selected facts = std::move(*selected);
        bool read_only = read_only_ || facts.read_only;
        core.selected.emplace(mailbox_, read_only, facts);
        show(core, facts);
        text_ = read_only_ ? "EXAMINE completed" : "SELECT completed";
        if (facts.read_only && !read_only_ && !facts.read_only_reason.empty())
            text_ += ", read-only: " + facts.read_only_reason;
        if (!resynchronise(core, facts)) done(core);
    }

  private:
    void done(SessionCore& core) {
        core.ok(text_, News::never, core.selected->read_only() ? "READ-ONLY" : "READ-WRITE");
    }

    // Asks for what has changed since the client was here; false when there is nothing to ask.
    bool resynchronise(SessionCore& core, const Selected& facts) {
        const auto& resync = parameters_.resync;
        if (!resync || resync->uidvalidity != facts.uidvalidity || resync->modseq >= facts.highest_modseq ||
            facts.uidnext.value <= 1)
            return false;
        Fetch fetch;
        fetch.items.flags = true;
        fetch.changed_since = resync->modseq;
        fetch.vanished = true;
        // RFC 7162 3.2.5.1: without a list, the client is taken to know every UID that there has been.
        std::uint32_t last = facts.uidnext.value - 1;
        if (!resync->known) fetch.uids.add(1, last);
        if (resync->known)
            for (auto [from, to] : sorted(*resync->known))
                if (from <= last) fetch.uids.add(from, std::min(to, last));
        if (fetch.uids.empty()) return false;
        core.ask(std::move(fetch));
        return true;
    }
    static std::vector<std::pair<std::uint32_t, std::uint32_t>> sorted(const SequenceSet& set) {
        auto ranges = set.ranges;
        for (auto& [from, to] : ranges)
            if (from > to) std::swap(from, to);
        std::ranges::sort(ranges);
        return ranges;
    }
    void show_changes(SessionCore& core, const FetchBatch& batch) {
        if (!batch.vanished.empty())
            core.send("* VANISHED (EARLIER) " + write_uid_set(batch.vanished) + "\r\n");
        for (const auto& row : batch.rows) core.send_flags_row({row.uid, row.flags, row.modseq}, true);
        if (!batch.last) return core.ask(FetchMore{});
        done(core);
    }

    static void show(SessionCore& core, const Selected& facts) {
        // RFC 9051 6.3.2
        if (core.enabled.rev2)
            core.send("* LIST () \"/\" " + core.mailbox_text(core.selected->name()) + "\r\n");
        core.send_flags_line();
        core.send("* " + std::to_string(core.selected->exists()) + " EXISTS\r\n");
        if (!core.enabled.rev2) core.send("* " + std::to_string(core.selected->recent()) + " RECENT\r\n");
        auto unseen = core.selected->seq_of(facts.first_unseen);
        if (unseen && !core.enabled.rev2 && !core.enabled.uid_only)
            core.send("* OK [UNSEEN " + std::to_string(unseen->value) + "] First unseen message\r\n");
        core.send("* OK [UIDVALIDITY " + std::to_string(facts.uidvalidity.value) + "] UIDs are valid\r\n");
        core.send("* OK [UIDNEXT " + std::to_string(facts.uidnext.value) + "] Next UID\r\n");
        if (facts.highest_modseq.value)
            core.send("* OK [HIGHESTMODSEQ " + std::to_string(facts.highest_modseq.value) + "] Highest\r\n");
        if (!facts.mailbox_id.empty()) core.send("* OK [MAILBOXID (" + facts.mailbox_id + ")] Id\r\n");
    }

    std::string mailbox_;
    bool read_only_ = false;
    Parameters parameters_;
    std::optional<Error> fault_;
    std::string text_;
};

// "(" uidvalidity SP modseq [SP known-uids] [SP "(" known-sequence-set SP known-uid-set ")"] ")". What has
// been expunged is known here exactly, so the pairs of numbers and UIDs add nothing.
Result<Resync> parse_resync(Parser& parser) {
    Resync resync;
    auto plain_set = [&]() -> Result<SequenceSet> {
        SequenceSet set = TRY(parser.sequence_set());
        bool star = std::ranges::any_of(set.ranges, [](auto range) { return !range.first || !range.second; });
        if (star || set.saved) return fail(ErrorKind::protocol, "only numbers are allowed here");
        return set;
    };
    TRY(parser.space());
    TRY(parser.expect('('));
    resync.uidvalidity = UidValidity(TRY(parser.nz_number()));
    TRY(parser.space());
    resync.modseq = TRY(parser.modseq());
    bool more = parser.accept(' ');
    if (more && parser.peek() != '(') {
        resync.known = TRY(plain_set());
        more = parser.accept(' ');
    }
    if (more) {
        resync.numbers = true;
        TRY(parser.expect('('));
        TRY(plain_set());
        TRY(parser.space());
        TRY(plain_set());
        TRY(parser.expect(')'));
    }
    TRY(parser.expect(')'));
    return resync;
}

Result<Parameters> parse_parameters(Parser& parser) {
    Parameters parameters;
    TRY(parser.expect('('));
    do {
        std::string name = TRY(parser.word());
        if (name == "CONDSTORE")
            parameters.condstore = true;
        else if (name == "QRESYNC" && !parameters.resync)
            parameters.resync = TRY(parse_resync(parser));
        else
            return fail(ErrorKind::protocol, "unknown parameter");
    } while (parser.accept(' '));
    TRY(parser.expect(')'));
    return parameters;
}

CommandResult parse(CommandInput& input, bool read_only) {
    TRY(input.parser.space());
    auto mailbox = input.parser.mailbox();
    bool refused = !mailbox && mailbox.error().kind == ErrorKind::refused;
    if (!mailbox && !refused) return std::unexpected(mailbox.error());
    Parameters parameters;
    if (input.parser.accept(' ')) parameters = TRY(parse_parameters(input.parser));
    TRY(input.parser.end());
    if (refused) return std::make_unique<SelectCommand>(mailbox.error());
    return std::make_unique<SelectCommand>(std::move(*mailbox), read_only, std::move(parameters));
}

}  // namespace

CommandResult parse_select(CommandInput& input) { return parse(input, false); }
CommandResult parse_examine(CommandInput& input) { return parse(input, true); }

}  // namespace fwmail::imap
