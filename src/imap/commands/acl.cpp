// GETACL, MYRIGHTS, LISTRIGHTS, SETACL and DELETEACL (RFC 4314). A mailbox has one holder of rights today,
// its owner, and nothing can be given to others: the last two are refused.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

// RFC 4314 2.1.1: for clients of RFC 2086, `c` and `d` stand for what took their places.
std::string with_obsolete(std::string rights) {
    if (rights.find_first_of("kx") != std::string::npos) rights += 'c';
    if (rights.find_first_of("et") != std::string::npos) rights += 'd';
    return rights;
}

// What each of these commands begins with: the rights in a mailbox.
class RightsCommand : public Command {
  public:
    explicit RightsCommand(std::string mailbox) : mailbox_(std::move(mailbox)) {}

    void start(SessionCore& core) override { core.ask(GetRights{mailbox_}); }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* rights = std::get_if<MailboxRights>(&reply);
        if (!rights) return core.unexpected(reply);
        answer(core, *rights);
    }

  protected:
    virtual void answer(SessionCore& core, const MailboxRights& rights) = 0;
    std::string mailbox_;
};

class MyRights : public RightsCommand {
  public:
    using RightsCommand::RightsCommand;
    void answer(SessionCore& core, const MailboxRights& rights) override {
        core.send("* MYRIGHTS " + core.mailbox_text(mailbox_) + ' ' +
                  write_astring(with_obsolete(rights.mine)) + "\r\n");
        core.ok("MYRIGHTS completed");
    }
};

class GetAcl : public RightsCommand {
  public:
    using RightsCommand::RightsCommand;
    void answer(SessionCore& core, const MailboxRights& rights) override {
        std::string out = "* ACL " + core.mailbox_text(mailbox_);
        for (const auto& holder : rights.holders)
            out += ' ' + write_astring(holder.identifier) + ' ' + write_astring(with_obsolete(holder.rights));
        core.send(out + "\r\n");
        core.ok("GETACL completed");
    }
};

// RFC 4314 3.7: first what the identifier has in any case; then, one group after the other, what could be
// given to it: nothing.
class ListRights : public RightsCommand {
  public:
    ListRights(std::string mailbox, std::string identifier)
        : RightsCommand(std::move(mailbox)), identifier_(std::move(identifier)) {}
    void answer(SessionCore& core, const MailboxRights& rights) override {
        std::string fixed;
        for (const auto& holder : rights.holders)
            if (holder.identifier == identifier_) fixed = with_obsolete(holder.rights);
        core.send("* LISTRIGHTS " + core.mailbox_text(mailbox_) + ' ' + write_astring(identifier_) + ' ' +
                  write_astring(fixed) + "\r\n");
        core.ok("LISTRIGHTS completed");
    }

  private:
    std::string identifier_;
};

class ChangeAcl : public RightsCommand {
  public:
    using RightsCommand::RightsCommand;
    void answer(SessionCore& core, const MailboxRights&) override {
        core.no({ErrorKind::refused, "CANNOT",
                 "Mailboxes cannot be shared here: each belongs to its owner alone"});
    }
};

Result<std::string> parse_mailbox(Parser& parser) {
    TRY(parser.space());
    return parser.mailbox();
}
Result<std::string> parse_word(Parser& parser) {
    TRY(parser.space());
    return parser.astring();
}

// mod-rights: ["+" / "-"] rights. RFC 4314 3.1: an unknown right is BAD, and so are capitals (7).
Result<> check_mod_rights(std::string_view text) {
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (text.find_first_not_of("lrswipkxteacd") != std::string_view::npos)
        return fail(ErrorKind::protocol, "unknown right");
    return {};
}

}  // namespace

// SP mailbox
CommandResult parse_myrights(CommandInput& input) {
    std::string mailbox = TRY(parse_mailbox(input.parser));
    TRY(input.parser.end());
    return std::make_unique<MyRights>(std::move(mailbox));
}

// SP mailbox
CommandResult parse_getacl(CommandInput& input) {
    std::string mailbox = TRY(parse_mailbox(input.parser));
    TRY(input.parser.end());
    return std::make_unique<GetAcl>(std::move(mailbox));
}

// SP mailbox SP identifier
CommandResult parse_listrights(CommandInput& input) {
    std::string mailbox = TRY(parse_mailbox(input.parser));
    std::string identifier = TRY(parse_word(input.parser));
    TRY(input.parser.end());
    return std::make_unique<ListRights>(std::move(mailbox), std::move(identifier));
}

// SP mailbox SP identifier SP mod-rights
CommandResult parse_setacl(CommandInput& input) {
    std::string mailbox = TRY(parse_mailbox(input.parser));
    TRY(parse_word(input.parser));
    TRY(check_mod_rights(TRY(parse_word(input.parser))));
    TRY(input.parser.end());
    return std::make_unique<ChangeAcl>(std::move(mailbox));
}

// SP mailbox SP identifier
CommandResult parse_deleteacl(CommandInput& input) {
    std::string mailbox = TRY(parse_mailbox(input.parser));
    TRY(parse_word(input.parser));
    TRY(input.parser.end());
    return std::make_unique<ChangeAcl>(std::move(mailbox));
}

}  // namespace fwmail::imap
