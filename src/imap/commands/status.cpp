// STATUS (RFC 9051 6.3.11), with HIGHESTMODSEQ (RFC 7162 3.1.7), SIZE (RFC 8438), MAILBOXID (RFC 8474 4.3),
// APPENDLIMIT (RFC 7889 4) and DELETED-STORAGE (RFC 9208 4.1.4).
#include "imap/commands/status.hpp"

#include <algorithm>

#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

struct Item {
    std::string_view name;
    bool Status::* wanted;
};
constexpr Item items[] = {
    {"MESSAGES", &Status::messages},
    {"RECENT", &Status::recent},
    {"UIDNEXT", &Status::uidnext},
    {"UIDVALIDITY", &Status::uidvalidity},
    {"UNSEEN", &Status::unseen},
    {"HIGHESTMODSEQ", &Status::highest_modseq},
    {"SIZE", &Status::size},
    {"DELETED", &Status::deleted},
    {"DELETED-STORAGE", &Status::deleted_size},
    {"MAILBOXID", &Status::mailbox_id},
    {"APPENDLIMIT", &Status::append_limit},
};

class StatusCommand : public Command {
  public:
    explicit StatusCommand(Status request) : request_(std::move(request)) {}

    void start(SessionCore& core) override {
        core.enabled.condstore |= request_.highest_modseq;
        core.ask(request_);
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* numbers = std::get_if<StatusNumbers>(&reply);
        if (!numbers) return core.unexpected(reply);
        send_status(core, request_, *numbers);
        core.ok("STATUS completed");
    }

  private:
    Status request_;
};

}  // namespace

void send_status(SessionCore& core, const Status& asked, const StatusNumbers& numbers) {
    std::string out;
    auto add = [&](bool wanted, const char* name, std::uint64_t value) {
        if (wanted) out += (out.empty() ? "" : " ") + std::string(name) + ' ' + std::to_string(value);
    };
    add(asked.messages, "MESSAGES", numbers.messages);
    add(asked.recent, "RECENT", numbers.recent);
    add(asked.uidnext, "UIDNEXT", numbers.uidnext.value);
    add(asked.uidvalidity, "UIDVALIDITY", numbers.uidvalidity.value);
    add(asked.unseen, "UNSEEN", numbers.unseen);
    add(asked.highest_modseq, "HIGHESTMODSEQ", numbers.highest_modseq.value);
    add(asked.size, "SIZE", numbers.size);
    add(asked.deleted, "DELETED", numbers.deleted);
    add(asked.deleted_size, "DELETED-STORAGE", numbers.deleted_size);
    add(asked.append_limit, "APPENDLIMIT", core.options.append_limit);
    if (asked.mailbox_id) out += (out.empty() ? "" : " ") + ("MAILBOXID (" + numbers.mailbox_id + ')');
    core.send("* STATUS " + core.mailbox_text(asked.mailbox) + " (" + out + ")\r\n");
}

Result<> parse_status_items(Parser& parser, Status& status) {
    TRY(parser.expect('('));
    do {
        std::string name = TRY(parser.word());
        const Item* item = std::ranges::find(items, name, &Item::name);
        if (item == std::end(items)) return fail(ErrorKind::protocol, "unknown status item");
        status.*(item->wanted) = true;
    } while (parser.accept(' '));
    return parser.expect(')');
}

CommandResult parse_status(CommandInput& input) {
    Status request;
    TRY(input.parser.space());
    request.mailbox = TRY(input.parser.mailbox());
    TRY(input.parser.space());
    TRY(parse_status_items(input.parser, request));
    TRY(input.parser.end());
    return std::make_unique<StatusCommand>(std::move(request));
}

}  // namespace fwmail::imap
