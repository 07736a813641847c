// SEARCH and UID SEARCH (RFC 3501 6.4.4, RFC 9051 6.4.4) with RETURN (RFC 4731), SAVE (RFC 5182), MODSEQ (RFC
// 7162 3.1.5) and PARTIAL (RFC 9394).
#include <algorithm>

#include "imap/session_core.hpp"
#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

struct Return {
    bool extended = false;  // RETURN stood there: the answer is ESEARCH
    bool min = false, max = false, all = false, count = false, save = false;
    std::optional<Window> window;
};

// A message found, as this session knows it.
struct Hit {
    Uid uid;
    SeqNum number;
    ModSeq modseq;
};

class SearchCommand : public Command {
  public:
    SearchCommand(Return what, SearchKey key, bool uid) : what_(what), key_(std::move(key)), uid_(uid) {}

    void start(SessionCore& core) override {
        if (core.enabled.uid_only && asks_numbers(key_))
            return core.bad("only UIDs are in use here", "UIDREQUIRED");
        // RFC 9051 6.4.4: without RETURN as well.
        if (core.enabled.rev2 && !what_.extended) what_.extended = what_.all = true;
        modseqs_ = asks_modseq(key_);
        if (modseqs_) core.enabled.condstore = true;
        core.selected->resolve(key_);
        limit(core);
        core.ask(Search{std::move(key_), modseqs_});
    }
    void on_reply(SessionCore& core, Reply& reply) override {
        const auto* found = std::get_if<Found>(&reply);
        if (!found) {
            if (what_.save) core.selected->save({});  // RFC 5182 2.1
            return core.unexpected(reply);
        }
        auto hits = known(core, *found);
        if (what_.extended)
            answer_extended(core, hits);
        else
            answer_plain(core, hits);
        core.ok("SEARCH completed", uid_ ? News::if_changed : News::never);
    }

  private:
    // RFC 9738 3.1: what counts is how many messages are looked at, which UIDs at the top narrow down.
    void limit(SessionCore& core) {
        UidSet scope;
        scope.add(1, 0xffffffff);
        auto narrow = [&](const SearchKey& key) {
            if (key.kind == SearchKey::Kind::uids) scope = scope.intersection(key.uids);
        };
        narrow(key_);
        if (key_.kind == SearchKey::Kind::conjunction) std::ranges::for_each(key_.children, narrow);
        if (!core.limit(scope)) return;
        SearchKey within, both;
        within.kind = SearchKey::Kind::uids;
        within.uids = std::move(scope);
        both.kind = SearchKey::Kind::conjunction;
        both.children.push_back(std::move(within));
        both.children.push_back(std::move(key_));
        key_ = std::move(both);
    }
    static bool asks_numbers(const SearchKey& key) {
        return (key.kind == SearchKey::Kind::sequence && !key.set.saved) ||
               std::ranges::any_of(key.children, asks_numbers);
    }
    // Messages that the client has not heard of have no number yet.
    static std::vector<Hit> known(const SessionCore& core, const Found& found) {
        std::vector<Hit> hits;
        for (std::size_t i = 0; i < found.uids.size(); ++i)
            if (auto number = core.selected->seq_of(found.uids[i]))
                hits.push_back(
                    {found.uids[i], *number, i < found.modseqs.size() ? found.modseqs[i] : ModSeq{}});
        return hits;
    }
    std::string number(const Hit& hit) const {
        return std::to_string(uid_ ? hit.uid.value : hit.number.value);
    }
    std::string set(std::span<const Hit> hits) const {
        std::vector<Uid> numbers;  // written the same way, whichever they are
        for (const auto& hit : hits) numbers.emplace_back(uid_ ? hit.uid.value : hit.number.value);
        return write_uid_set(numbers);
    }

    void answer_plain(SessionCore& core, const std::vector<Hit>& hits) const {
        std::string out = "* SEARCH";
        ModSeq highest;
        for (const auto& hit : hits) {
            out += ' ' + number(hit);
            highest = std::max(highest, hit.modseq);
        }
        if (modseqs_ && !hits.empty()) out += " (MODSEQ " + std::to_string(highest.value) + ')';
        core.send(out + "\r\n");
    }

    void answer_extended(SessionCore& core, const std::vector<Hit>& hits) const {
        std::string out = "* ESEARCH (TAG " + write_string(core.tag()) + ')' + (uid_ ? " UID" : "");
        std::span<const Hit> all(hits), part;
        if (what_.window) part = what_.window->of(all);
        if (what_.min && !hits.empty()) out += " MIN " + number(hits.front());
        if (what_.max && !hits.empty()) out += " MAX " + number(hits.back());
        if (what_.all && !hits.empty()) out += " ALL " + set(all);
        if (what_.count) out += " COUNT " + std::to_string(hits.size());
        if (what_.window)
            out += " PARTIAL (" + what_.window->text() + ' ' + (part.empty() ? "NIL" : set(part)) + ')';
        ModSeq highest;
        UidSet told;
        each_told(all, part, [&](const Hit& hit) {
            highest = std::max(highest, hit.modseq);
            told.add(hit.uid.value);
        });
        if (modseqs_ && highest.value) out += " MODSEQ " + std::to_string(highest.value);
        bool silent = what_.save && !what_.min && !what_.max && !what_.all && !what_.count && !what_.window;
        if (!silent) core.send(out + "\r\n");
        if (what_.save) core.selected->save(std::move(told));
    }
    // What the answer is about: everything, or only what MIN, MAX and PARTIAL name (RFC 4731 3.1, RFC
    // 5182 2.4, RFC 9394 3.2). That is what MODSEQ counts and what SAVE keeps.
    template <class Take>
    void each_told(std::span<const Hit> all, std::span<const Hit> part, Take take) const {
        bool some = what_.min || what_.max || what_.window;
        if (!some || what_.all || what_.count) {
            std::ranges::for_each(all, take);
            return;
        }
        if (what_.min && !all.empty()) take(all.front());
        std::ranges::for_each(part, take);
        if (what_.max && !all.empty()) take(all.back());
    }

    Return what_;
    SearchKey key_;
    bool uid_;
    bool modseqs_ = false;
};

// "RETURN" SP "(" [option *(SP option)] ")" SP. An empty list means ALL.
Result<Return> parse_return(Parser& parser) {
    Return what;
    if (!parser.accept_word("RETURN")) return what;
    what.extended = true;
    TRY(parser.space());
    TRY(parser.expect('('));
    if (!parser.accept(')')) {
        do {
            std::string name = TRY(parser.word());
            bool* option = name == "MIN"     ? &what.min
                           : name == "MAX"   ? &what.max
                           : name == "ALL"   ? &what.all
                           : name == "COUNT" ? &what.count
                           : name == "SAVE"  ? &what.save
                                             : nullptr;
            if (option) {
                *option = true;
                continue;
            }
            if (name != "PARTIAL" || what.window) return fail(ErrorKind::protocol, "unknown return option");
            TRY(parser.space());
            what.window = TRY(parser.window());
        } while (parser.accept(' '));
        TRY(parser.expect(')'));
    } else {
        what.all = true;
    }
    // RFC 9394 3.1
    if (what.window && what.all) return fail(ErrorKind::protocol, "PARTIAL and ALL exclude each other");
    TRY(parser.space());
    return what;
}

}  // namespace

CommandResult parse_search(CommandInput& input) {
    TRY(input.parser.space());
    Return what = TRY(parse_return(input.parser));
    SearchKey key = TRY(input.parser.search_keys());
    return std::make_unique<SearchCommand>(what, std::move(key), input.uid);
}

}  // namespace fwmail::imap
