// LIST (RFC 3501 6.3.8) and LSUB (6.3.9), with SPECIAL-USE (RFC 6154) and CHILDREN (RFC 3348) attributes.
#include "imap/list_match.hpp"
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t longest_pattern = 1000;

class List : public Command {
  public:
    List(std::string pattern, bool subscribed) : pattern_(std::move(pattern)), subscribed_(subscribed) {}

    void start(SessionCore& core) override {
        if (!pattern_.empty()) return core.ask(ListMailboxes{});
        // An empty pattern asks for the delimiter (RFC 3501 6.3.8).
        core.send(std::string("* ") + name() + " (\\Noselect) \"/\" \"\"\r\n");
        core.ok(std::string(name()) + " completed");
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* list = std::get_if<MailboxList>(&reply);
        if (!list) return core.unexpected(reply);
        for (const auto& mailbox :
             subscribed_ ? listed_subscribed(*list, pattern_) : listed(*list, pattern_)) {
            std::string attributes = mailbox.noselect ? "\\Noselect " : "";
            attributes += mailbox.has_children ? "\\HasChildren" : "\\HasNoChildren";
            if (!mailbox.special_use.empty()) attributes += ' ' + mailbox.special_use;
            core.send(std::string("* ") + name() + " (" + attributes + ") \"/\" " +
                      write_mailbox(mailbox.name) + "\r\n");
        }
        core.ok(std::string(name()) + " completed");
    }

  private:
    const char* name() const { return subscribed_ ? "LSUB" : "LIST"; }

    std::string pattern_;
    bool subscribed_;
};

CommandResult parse(CommandInput& input, bool subscribed) {
    TRY(input.parser.space());
    std::string reference = TRY(input.parser.mailbox());
    TRY(input.parser.space());
    std::string pattern = TRY(input.parser.list_mailbox());
    TRY(input.parser.end());
    if (!pattern.empty()) pattern.insert(0, reference);
    if (pattern.size() > longest_pattern) return fail(ErrorKind::refused, "[LIMIT] pattern too long");
    return std::make_unique<List>(std::move(pattern), subscribed);
}

}  // namespace

CommandResult parse_list(CommandInput& input) { return parse(input, false); }
CommandResult parse_lsub(CommandInput& input) { return parse(input, true); }

}  // namespace fwmail::imap
