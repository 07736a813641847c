// GETQUOTA and GETQUOTAROOT (RFC 9208 4.1.1, 4.1.2). An account is one quota root, named ""; without limits
// there is none.
#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

// "QUOTA" SP root SP "(" resource SP usage SP limit ... ")"; STORAGE counts in 1024 octets (RFC 9208 5.1).
std::string quota_line(const QuotaNumbers& numbers) {
    constexpr std::uint64_t unit = 1024;
    std::string out;
    auto add = [&](const char* name, std::uint64_t usage, std::uint64_t limit) {
        out += (out.empty() ? "" : " ") + std::string(name) + ' ' + std::to_string(usage) + ' ' +
               std::to_string(limit);
    };
    if (numbers.storage)
        add("STORAGE", (numbers.storage->usage + unit - 1) / unit, numbers.storage->limit / unit);
    if (numbers.messages) add("MESSAGE", numbers.messages->usage, numbers.messages->limit);
    return "* QUOTA \"\" (" + out + ")\r\n";
}

bool any(const QuotaNumbers& numbers) { return numbers.storage || numbers.messages; }

class GetQuotaCommand : public Command {
  public:
    explicit GetQuotaCommand(std::string root) : root_(std::move(root)) {}

    void start(SessionCore& core) override { core.ask(GetQuota{}); }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* numbers = std::get_if<QuotaNumbers>(&reply);
        if (!numbers) return core.unexpected(reply);
        if (!root_.empty() || !any(*numbers))
            return core.no({ErrorKind::refused, "NONEXISTENT", "There is no quota root of that name"});
        core.send(quota_line(*numbers));
        core.ok("GETQUOTA completed");
    }

  private:
    std::string root_;
};

class GetQuotaRoot : public Command {
  public:
    explicit GetQuotaRoot(std::string mailbox) : mailbox_(std::move(mailbox)) {}

    // RFC 9208 4.1.2: the mailbox need not be there; what is not is of the account all the same.
    void start(SessionCore& core) override { core.ask(GetQuota{}); }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* numbers = std::get_if<QuotaNumbers>(&reply);
        if (!numbers) return core.unexpected(reply);
        std::string root = any(*numbers) ? " \"\"" : "";
        core.send("* QUOTAROOT " + core.mailbox_text(mailbox_) + root + "\r\n");
        if (any(*numbers)) core.send(quota_line(*numbers));
        core.ok("GETQUOTAROOT completed");
    }

  private:
    std::string mailbox_;
};

}  // namespace

// SP astring
CommandResult parse_getquota(CommandInput& input) {
    TRY(input.parser.space());
    std::string root = TRY(input.parser.astring());
    TRY(input.parser.end());
    return std::make_unique<GetQuotaCommand>(std::move(root));
}

// SP mailbox
CommandResult parse_getquotaroot(CommandInput& input) {
    TRY(input.parser.space());
    std::string mailbox = TRY(input.parser.mailbox());
    TRY(input.parser.end());
    return std::make_unique<GetQuotaRoot>(std::move(mailbox));
}

}  // namespace fwmail::imap
