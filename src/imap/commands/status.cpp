// STATUS (RFC 9051 6.3.11).
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

class StatusCommand : public Command {
  public:
    explicit StatusCommand(Status request) : request_(std::move(request)) {}

    void start(SessionCore& core) override { core.ask(request_); }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* numbers = std::get_if<StatusNumbers>(&reply);
        if (!numbers) return core.unexpected(reply);
        std::string items;
        auto add = [&](bool wanted, const char* name, std::uint32_t value) {
            if (wanted) items += (items.empty() ? "" : " ") + std::string(name) + ' ' + std::to_string(value);
        };
        add(request_.messages, "MESSAGES", numbers->messages);
        add(request_.recent, "RECENT", numbers->recent);
        add(request_.uidnext, "UIDNEXT", numbers->uidnext.value);
        add(request_.uidvalidity, "UIDVALIDITY", numbers->uidvalidity.value);
        add(request_.unseen, "UNSEEN", numbers->unseen);
        core.send("* STATUS " + write_mailbox(request_.mailbox) + " (" + items + ")\r\n");
        core.ok("STATUS completed");
    }

  private:
    Status request_;
};

}  // namespace

CommandResult parse_status(CommandInput& input) {
    Parser& parser = input.parser;
    Status request;
    TRY(parser.space());
    request.mailbox = TRY(parser.mailbox());
    TRY(parser.space());
    TRY(parser.expect('('));
    do {
        std::string item = TRY(parser.word());
        bool* wanted = item == "MESSAGES"      ? &request.messages
                       : item == "RECENT"      ? &request.recent
                       : item == "UIDNEXT"     ? &request.uidnext
                       : item == "UIDVALIDITY" ? &request.uidvalidity
                       : item == "UNSEEN"      ? &request.unseen
                                               : nullptr;
        if (!wanted) return fail(ErrorKind::protocol, "unknown status item");
        *wanted = true;
    } while (parser.accept(' '));
    TRY(parser.expect(')'));
    TRY(parser.end());
    return std::make_unique<StatusCommand>(std::move(request));
}

}  // namespace fwmail::imap
