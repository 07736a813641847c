// APPEND (RFC 9051 6.3.12), with APPENDUID (RFC 4315 3). The message is streamed, never kept here.
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class Append : public Command {
  public:
    Append(AppendBegin begin, MessageLiteral message) : begin_(std::move(begin)), message_(message) {}

    void start(SessionCore& core) override {
        std::uint64_t limit = core.options.append_limit;
        if (message_.size == 0)
            return refuse(core, {ErrorKind::refused, "CANNOT", "An empty message cannot be stored"});
        if (message_.size > limit)
            return refuse(core, {ErrorKind::refused, "TOOBIG",
                                 "Messages may have " + std::to_string(limit) + " octets"});
        core.ask(begin_);
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (ended_) return on_stored(core, reply);
        if (!std::holds_alternative<Done>(reply)) {
            core.refuse_message(message_);
            return core.unexpected(reply);
        }
        if (message_.synchronising) core.send("+ OK\r\n");
        core.accept_message();
    }
    void on_message_end(SessionCore& core, bool clean) override {
        if (!clean) {
            core.actions.emplace_back(AppendAbort{});
            return core.bad("expected the end of the command after the message");
        }
        ended_ = true;
        core.ask(AppendEnd{});
    }

  private:
    void refuse(SessionCore& core, const Refusal& refusal) {
        core.refuse_message(message_);
        core.no(refusal);
    }
    static void on_stored(SessionCore& core, Reply& reply) {
        const auto* appended = std::get_if<Appended>(&reply);
        if (!appended) return core.unexpected(reply);
        std::string code;
        if (appended->uidvalidity.value)
            code = "APPENDUID " + std::to_string(appended->uidvalidity.value) + ' ' +
                   std::to_string(appended->uid.value);
        core.ok("APPEND completed", News::always, code);
    }

    AppendBegin begin_;
    MessageLiteral message_;
    bool ended_ = false;
};

}  // namespace

// mailbox [SP flag-list] [SP date-time] SP literal
CommandResult parse_append(CommandInput& input) {
    Parser& parser = input.parser;
    AppendBegin begin;
    TRY(parser.space());
    begin.mailbox = TRY(parser.mailbox());
    TRY(parser.space());
    if (parser.peek() == '(') {
        begin.flags = TRY(parser.flags(true));
        TRY(parser.space());
    }
    if (parser.peek() == '"') {
        begin.internal_date = TRY(parser.date_time());
        TRY(parser.space());
    }
    TRY(parser.end());
    if (!input.message) return fail(ErrorKind::protocol, "the message is missing");
    begin.size = input.message->size;
    return std::make_unique<Append>(std::move(begin), *input.message);
}

}  // namespace fwmail::imap
