// SEARCH and UID SEARCH (RFC 3501 6.4.4, RFC 9051 6.4.4); what stands after RETURN is search_return.hpp's.
#include "imap/commands/search_return.hpp"

namespace fwmail::imap {
namespace {

class SearchCommand : public Command {
  public:
    SearchCommand(SearchReturn what, SearchKey key, bool uid)
        : what_(what), key_(std::move(key)), uid_(uid), modseqs_(asks_modseq(key_)) {}

    void start(SessionCore& core) override {
        // RFC 9051 6.4.4: without RETURN as well.
        if (core.enabled.rev2 && !what_.extended) what_.extended = what_.all = true;
        if (prepare_search(core, key_, TooMany::cut)) core.ask(Search{std::move(key_), modseqs_});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        SearchAnswer(what_, "SEARCH", uid_, modseqs_).answer(core, reply);
    }

  private:
    SearchReturn what_;
    SearchKey key_;
    bool uid_, modseqs_;
};

}  // namespace

CommandResult parse_search(CommandInput& input) {
    TRY(input.parser.space());
    SearchReturn what = TRY(parse_search_return(input.parser));
    SearchKey key = TRY(input.parser.search_keys());
    return std::make_unique<SearchCommand>(what, std::move(key), input.uid);
}

}  // namespace fwmail::imap
