// LIST (RFC 3501 6.3.8, RFC 9051 6.3.9) and LSUB (RFC 3501 6.3.9), with LIST-EXTENDED (RFC 5258), LIST-STATUS
// (RFC 5819), SPECIAL-USE (RFC 6154) and CHILDREN (RFC 3348).
#include "imap/commands/status.hpp"
#include "imap/list_match.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t longest_pattern = 1000;
constexpr std::size_t most_patterns = 100;
constexpr std::size_t longest_patterns = 2000;  // all of them: each is tried on every name

struct Wanted {
    std::string reference;
    std::vector<std::string> patterns;  // each behind the reference; empty ones match nothing
    bool extended = false;              // RFC 5258 3: something of it was used
    ListSelection selection;
    bool return_subscribed = false;
    std::optional<Status> status;  // of each mailbox listed
};

class List : public Command {
  public:
    explicit List(Wanted wanted) : wanted_(std::move(wanted)) {}

    void start(SessionCore& core) override {
        core.enabled.condstore |= wanted_.status && wanted_.status->highest_modseq;
        if (wanted_.extended || !wanted_.patterns.front().empty()) return core.ask(ListMailboxes{});
        // An empty pattern asks for the delimiter (RFC 3501 6.3.8).
        core.send("* LIST (\\Noselect) \"/\" \"\"\r\n");
        core.ok("LIST completed");
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (!listed_) {
            const auto* list = std::get_if<MailboxList>(&reply);
            if (!list) return core.unexpected(reply);
            rows_ = listed(*list, wanted_.patterns, wanted_.selection);
            listed_ = true;
        } else if (const auto* numbers = std::get_if<StatusNumbers>(&reply)) {
            send_status(core, *wanted_.status, *numbers);
        } else if (const auto* refusal = std::get_if<Refusal>(&reply);
                   !refusal || refusal->kind == ErrorKind::internal) {
            return core.unexpected(reply);
        }  // otherwise the mailbox has gone meanwhile (RFC 5819 2)
        go_on(core);
    }

  private:
    void go_on(SessionCore& core) {
        while (at_ < rows_.size()) {
            const auto& mailbox = rows_[at_++];
            core.send(line(core, mailbox));
            if (!wanted_.status || mailbox.noselect) continue;
            wanted_.status->mailbox = mailbox.name;
            return core.ask(*wanted_.status);
        }
        core.ok("LIST completed");
    }
    std::string line(const SessionCore& core, const ListedMailbox& mailbox) const {
        bool modern = wanted_.extended || core.enabled.rev2;
        // \NonExistent says \Noselect as well (RFC 5258 3).
        std::string attributes = mailbox.nonexistent && modern ? "\\NonExistent "
                                 : mailbox.noselect            ? "\\Noselect "
                                                               : "";
        attributes += mailbox.has_children ? "\\HasChildren" : "\\HasNoChildren";
        if (mailbox.subscribed && (wanted_.return_subscribed || wanted_.selection.subscribed))
            attributes += " \\Subscribed";
        if (!mailbox.special_use.empty()) attributes += ' ' + mailbox.special_use;
        return "* LIST (" + attributes + ") \"/\" " + core.mailbox_text(mailbox.name) +
               (mailbox.subscribed_below ? " (\"CHILDINFO\" (\"SUBSCRIBED\"))" : "") + "\r\n";
    }

    Wanted wanted_;
    bool listed_ = false;
    std::vector<ListedMailbox> rows_;
    std::size_t at_ = 0;
};

class Lsub : public Command {
  public:
    explicit Lsub(std::string pattern) : pattern_(std::move(pattern)) {}

    void start(SessionCore& core) override {
        if (!pattern_.empty()) return core.ask(ListMailboxes{});
        core.send("* LSUB (\\Noselect) \"/\" \"\"\r\n");
        core.ok("LSUB completed");
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* list = std::get_if<MailboxList>(&reply);
        if (!list) return core.unexpected(reply);
        for (const auto& mailbox : listed_subscribed(*list, pattern_)) {
            std::string attributes = mailbox.noselect ? "\\Noselect " : "";
            attributes += mailbox.has_children ? "\\HasChildren" : "\\HasNoChildren";
            if (!mailbox.special_use.empty()) attributes += ' ' + mailbox.special_use;
            core.send("* LSUB (" + attributes + ") \"/\" " + core.mailbox_text(mailbox.name) + "\r\n");
        }
        core.ok("LSUB completed");
    }

  private:
    std::string pattern_;
};

// "(" [option *(SP option)] ")" SP. RECURSIVEMATCH needs something to match (RFC 5258 3.1).
Result<> parse_selection(Parser& parser, Wanted& wanted) {
    if (!parser.accept('(')) return {};
    wanted.extended = true;
    if (!parser.accept(')')) {
        do {
            std::string name = TRY(parser.word());
            if (name == "SUBSCRIBED")
                wanted.selection.subscribed = true;
            else if (name == "SPECIAL-USE")
                wanted.selection.special_use = true;
            else if (name == "RECURSIVEMATCH")
                wanted.selection.recursive = true;
            else if (name != "REMOTE")  // there are none
                return fail(ErrorKind::protocol, "unknown selection option");
        } while (parser.accept(' '));
        TRY(parser.expect(')'));
    }
    const auto& selection = wanted.selection;
    if (selection.recursive && !selection.subscribed && !selection.special_use)
        return fail(ErrorKind::protocol, "RECURSIVEMATCH does not stand alone");
    return parser.space();
}

// "RETURN" SP "(" [option *(SP option)] ")". CHILDREN and SPECIAL-USE are returned always.
Result<> parse_return(Parser& parser, Wanted& wanted) {
    if (!parser.accept_word("RETURN")) return fail(ErrorKind::protocol, "expected RETURN");
    wanted.extended = true;
    TRY(parser.space());
    TRY(parser.expect('('));
    if (parser.accept(')')) return {};
    do {
        std::string name = TRY(parser.word());
        if (name == "SUBSCRIBED") {
            wanted.return_subscribed = true;
        } else if (name == "STATUS") {
            TRY(parser.space());
            wanted.status.emplace();
            TRY(parse_status_items(parser, *wanted.status));
        } else if (name != "CHILDREN" && name != "SPECIAL-USE") {
            return fail(ErrorKind::protocol, "unknown return option");
        }
    } while (parser.accept(' '));
    return parser.expect(')');
}

Result<> parse_pattern(Parser& parser, Wanted& wanted) {
    std::string pattern = TRY(parser.list_mailbox());
    if (!pattern.empty()) pattern.insert(0, wanted.reference);
    if (pattern.size() > longest_pattern) return fail(ErrorKind::refused, "[LIMIT] pattern too long");
    std::size_t total = pattern.size();
    for (const auto& other : wanted.patterns) total += other.size();
    if (wanted.patterns.size() >= most_patterns || total > longest_patterns)
        return fail(ErrorKind::refused, "[LIMIT] too many patterns");
    wanted.patterns.push_back(std::move(pattern));
    return {};
}

}  // namespace

// [selection SP] mailbox SP (list-mailbox / "(" list-mailbox *(SP list-mailbox) ")") [SP return]
CommandResult parse_list(CommandInput& input) {
    Parser& parser = input.parser;
    Wanted wanted;
    TRY(parser.space());
    TRY(parse_selection(parser, wanted));
    wanted.reference = TRY(parser.mailbox());
    TRY(parser.space());
    if (parser.accept('(')) {
        wanted.extended = true;
        do TRY(parse_pattern(parser, wanted));
        while (parser.accept(' '));
        TRY(parser.expect(')'));
    } else {
        TRY(parse_pattern(parser, wanted));
    }
    if (parser.accept(' ')) TRY(parse_return(parser, wanted));
    TRY(parser.end());
    return std::make_unique<List>(std::move(wanted));
}

CommandResult parse_lsub(CommandInput& input) {
    Wanted wanted;
    TRY(input.parser.space());
    wanted.reference = TRY(input.parser.mailbox());
    TRY(input.parser.space());
    TRY(parse_pattern(input.parser, wanted));
    TRY(input.parser.end());
    return std::make_unique<Lsub>(std::move(wanted.patterns.front()));
}

}  // namespace fwmail::imap
