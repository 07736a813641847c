// SEARCH and UID SEARCH (RFC 3501 6.4.4).
#include "imap/session_core.hpp"

namespace fwmail::imap {
namespace {

class SearchCommand : public Command {
  public:
    SearchCommand(SearchKey key, bool uid) : key_(std::move(key)), uid_(uid) {}

    void start(SessionCore& core) override {
        core.selected->resolve(key_);
        core.ask(Search{std::move(key_)});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* found = std::get_if<Found>(&reply);
        if (!found) return core.unexpected(reply);
        std::string out = "* SEARCH";
        // Messages that the client has not heard of have no number yet.
        for (Uid uid : found->uids)
            if (auto number = core.selected->seq_of(uid))
                out += ' ' + std::to_string(uid_ ? uid.value : number->value);
        core.send(out + "\r\n");
        core.ok("SEARCH completed", uid_ ? News::if_changed : News::never);
    }

  private:
    SearchKey key_;
    bool uid_;
};

}  // namespace

CommandResult parse_search(CommandInput& input) {
    TRY(input.parser.space());
    SearchKey key = TRY(input.parser.search_keys());
    return std::make_unique<SearchCommand>(std::move(key), input.uid);
}

}  // namespace fwmail::imap
