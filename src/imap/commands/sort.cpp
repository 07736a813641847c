// SORT and UID SORT (RFC 5256 3), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267 3); what stands after RETURN is
// search_return.hpp's.
#include <algorithm>

#include "imap/commands/search_return.hpp"

namespace fwmail::imap {
namespace {

class SortCommand : public Command {
  public:
    SortCommand(SearchReturn what, std::vector<SortCriterion> criteria, SearchKey key, bool uid)
        : what_(what),
          criteria_(std::move(criteria)),
          key_(std::move(key)),
          uid_(uid),
          modseqs_(asks_modseq(key_)) {}

    void start(SessionCore& core) override {
        if (prepare_search(core, key_, TooMany::refuse))
            core.ask(Sort{std::move(key_), std::move(criteria_), modseqs_});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        SearchAnswer(what_, "SORT", uid_, modseqs_).answer(core, reply);
    }

  private:
    SearchReturn what_;
    std::vector<SortCriterion> criteria_;
    SearchKey key_;
    bool uid_, modseqs_;
};

constexpr std::pair<std::string_view, SortBy> names[] = {
    {"ARRIVAL", SortBy::arrival},
    {"CC", SortBy::cc},
    {"DATE", SortBy::date},
    {"FROM", SortBy::from},
    {"SIZE", SortBy::size},
    {"SUBJECT", SortBy::subject},
    {"TO", SortBy::to},
    {"DISPLAYFROM", SortBy::display_from},
    {"DISPLAYTO", SortBy::display_to},
};

// sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"; sort-criterion = ["REVERSE" SP] sort-key.
// What a message has been sorted by once tells it apart no more: a key that comes again is dropped.
Result<std::vector<SortCriterion>> parse_criteria(Parser& parser) {
    std::vector<SortCriterion> criteria;
    TRY(parser.expect('('));
    do {
        std::string name = TRY(parser.word());
        bool reverse = name == "REVERSE";
        if (reverse) {
            TRY(parser.space());
            name = TRY(parser.word());
        }
        const auto* found = std::ranges::find(names, name, &std::pair<std::string_view, SortBy>::first);
        if (found == std::end(names)) return fail(ErrorKind::protocol, "unknown sort key");
        if (std::ranges::find(criteria, found->second, &SortCriterion::by) == criteria.end())
            criteria.push_back({found->second, reverse});
    } while (parser.accept(' '));
    TRY(parser.expect(')'));
    TRY(parser.space());
    return criteria;
}

}  // namespace

CommandResult parse_sort(CommandInput& input) {
    TRY(input.parser.space());
    SearchReturn what = TRY(parse_search_return(input.parser));
    auto criteria = TRY(parse_criteria(input.parser));
    SearchKey key = TRY(input.parser.charset_search_keys());
    return std::make_unique<SortCommand>(what, std::move(criteria), std::move(key), input.uid);
}

}  // namespace fwmail::imap
