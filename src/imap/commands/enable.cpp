// ENABLE (RFC 5161). Names that are unknown here are passed over.
#include <algorithm>
#include <utility>

#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

constexpr std::size_t most_names = 100;

class EnableCommand : public Command {
  public:
    explicit EnableCommand(std::vector<std::string> names) : names_(std::move(names)) {}

    void start(SessionCore& core) override {
        std::string out;
        bool condstore = core.enabled.condstore;
        for (const auto& name : names_)
            if (enable(core.enabled, name)) out += ' ' + name;
        core.send("* ENABLED" + out + "\r\n");
        // RFC 7162 3.1: from here on the client counts on modseqs of the mailbox that it has open.
        if (core.selected && !condstore && core.enabled.condstore)
            core.send("* OK [HIGHESTMODSEQ " + std::to_string(core.selected->highest_modseq().value) +
                      "] Highest\r\n");
        core.ok("ENABLE completed");
    }

  private:
    // Whether it is new; only that is told (RFC 5161 3.2).
    static bool enable(Enabled& enabled, std::string_view name) {
        auto turn_on = [](bool& flag) { return !std::exchange(flag, true); };
        if (name == "CONDSTORE") return turn_on(enabled.condstore);
        if (name == "QRESYNC") {
            enabled.condstore = true;
            return turn_on(enabled.qresync);
        }
        if (name == "UTF8=ACCEPT") return turn_on(enabled.utf8);
        if (name == "IMAP4rev2") return turn_on(enabled.rev2);
        if (name == "UIDONLY") return turn_on(enabled.uid_only);
        return false;
    }

    std::vector<std::string> names_;
};

}  // namespace

// 1*(SP capability)
CommandResult parse_enable(CommandInput& input) {
    std::vector<std::string> names;
    do {
        TRY(input.parser.space());
        std::string name = TRY(input.parser.atom());
        std::ranges::transform(name, name.begin(),
                               [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
        if (name == "IMAP4REV2") name = "IMAP4rev2";
        if (names.size() >= most_names) return fail(ErrorKind::protocol, "too many capabilities");
        names.push_back(std::move(name));
    } while (!input.parser.at_end());
    return std::make_unique<EnableCommand>(std::move(names));
}

}  // namespace fwmail::imap
