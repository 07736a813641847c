// APPEND (RFC 9051 6.3.12) of one message or several (RFC 3502), with APPENDUID (RFC 4315 3), literal8 (RFC
// 3516 4.4) and UTF8 (RFC 9755 4). Messages are streamed, never kept here.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t most_messages = 1000;

// What stands before a message's literal: [SP flag-list] [SP date-time] SP ["UTF8" SP "("] ["~"]
struct Heading {
    FlagSet flags;
    std::optional<UnixMillis> internal_date;
    bool utf8 = false;  // a parenthesis must follow the message
};
Result<Heading> parse_heading(Parser& parser) {
    Heading heading;
    TRY(parser.space());
    if (parser.peek() == '(') {
        heading.flags = TRY(parser.flags(true));
        TRY(parser.space());
    }
    if (parser.peek() == '"') {
        heading.internal_date = TRY(parser.date_time());
        TRY(parser.space());
    }
    heading.utf8 = parser.accept_prefix("UTF8 (");
    if (!parser.accept('~') && heading.utf8) return fail(ErrorKind::protocol, "expected a literal8");
    TRY(parser.end());
    return heading;
}

class Append : public Command {
  public:
    Append(std::string mailbox, Heading heading, MessageLiteral message)
        : mailbox_(std::move(mailbox)), heading_(std::move(heading)), message_(message) {}

    void start(SessionCore& core) override { begin(core); }
    void on_reply(SessionCore& core, Reply& reply) override {
        if (ended_) return on_stored(core, reply);
        if (!std::holds_alternative<Done>(reply)) {
            refuse_message(core);
            abort(core);
            return core.unexpected(reply);
        }
        begun_ = true;
        if (message_.synchronising) core.send("+ OK\r\n");
        core.accept_message();
    }
    void on_message_end(SessionCore& core, const MessageEnd& end) override {
        std::string_view rest = end.rest;
        bool closed = !heading_.utf8 || rest.starts_with(')');
        if (heading_.utf8 && closed) rest.remove_prefix(1);
        if (end.next) message_ = *end.next;
        if (end.too_long || !closed || (!end.next && !rest.empty())) {
            if (end.next) refuse_message(core);
            abort(core);
            return core.bad("expected the end of the command after the message");
        }
        if (!end.next) {
            ended_ = true;
            return core.ask(AppendEnd{});
        }
        Parser parser(rest);
        auto heading = parse_heading(parser);
        if (!heading) {
            refuse_message(core);
            abort(core);
            return core.refuse(heading.error());
        }
        heading_ = std::move(*heading);
        begin(core);
    }

  private:
    void begin(SessionCore& core) {
        std::uint64_t limit = core.options.append_limit;
        if (heading_.utf8 && !core.enabled.utf8)
            return refuse(core, {ErrorKind::refused, "CANNOT", "ENABLE UTF8=ACCEPT first"});
        // RFC 3502 6.3.11: with an empty literal the client takes all back.
        if (message_.size == 0)
            return refuse(core, {ErrorKind::refused, "CANNOT", "An empty message cannot be stored"});
        if (message_.size > limit)
            return refuse(core, {ErrorKind::refused, "TOOBIG",
                                 "Messages may have " + std::to_string(limit) + " octets"});
        ++messages_;
        bool over = core.options.message_limit && messages_ > core.options.message_limit;  // RFC 9738 3.1
        if (over || messages_ > most_messages)
            return refuse(core, {ErrorKind::refused, over ? core.message_limit_code() : "LIMIT",
                                 "Too many messages in one APPEND"});
        core.ask(AppendBegin{mailbox_, messages_ > 1, heading_.flags, heading_.internal_date, message_.size});
    }
    void refuse(SessionCore& core, const Refusal& refusal) {
        refuse_message(core);
        abort(core);
        core.no(refusal);
    }
    void refuse_message(SessionCore& core) { core.refuse_message(message_); }
    void abort(SessionCore& core) {
        if (begun_) core.actions.emplace_back(AppendAbort{});
    }
    static void on_stored(SessionCore& core, Reply& reply) {
        const auto* appended = std::get_if<Appended>(&reply);
        if (!appended) return core.unexpected(reply);
        std::string code;
        if (appended->uidvalidity.value && !appended->uids.empty())
            code = "APPENDUID " + std::to_string(appended->uidvalidity.value) + ' ' +
                   write_uid_set(appended->uids);
        core.ok("APPEND completed", News::always, code);
    }

    std::string mailbox_;
    Heading heading_;
    MessageLiteral message_;
    std::size_t messages_ = 0;
    bool begun_ = false, ended_ = false;
};

}  // namespace

// mailbox 1*(heading literal)
CommandResult parse_append(CommandInput& input) {
    TRY(input.parser.space());
    std::string mailbox = TRY(input.parser.mailbox());
    Heading heading = TRY(parse_heading(input.parser));
    if (!input.message) return fail(ErrorKind::protocol, "the message is missing");
    return std::make_unique<Append>(std::move(mailbox), std::move(heading), *input.message);
}

}  // namespace fwmail::imap
