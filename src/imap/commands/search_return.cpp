#include "imap/commands/search_return.hpp"

#include <algorithm>

#include "imap/writer.hpp"

namespace fwmail::imap {
namespace {

bool asks_numbers(const SearchKey& key) {
    return (key.kind == SearchKey::Kind::sequence && !key.set.saved) ||
           std::ranges::any_of(key.children, asks_numbers);
}

// RFC 9738 3.1: what counts is how many messages are looked at, which UIDs at the top narrow down.
UidSet scope_of(const SearchKey& key) {
    UidSet scope;
    scope.add(1, 0xffffffff);
    auto narrow = [&](const SearchKey& one) {
        if (one.kind == SearchKey::Kind::uids) scope = scope.intersection(one.uids);
    };
    narrow(key);
    if (key.kind == SearchKey::Kind::conjunction) std::ranges::for_each(key.children, narrow);
    return scope;
}

void limit_scope(SessionCore& core, SearchKey& key) {
    UidSet scope = scope_of(key);
    if (!core.limit(scope)) return;
    SearchKey within, both;
    within.kind = SearchKey::Kind::uids;
    within.uids = std::move(scope);
    both.kind = SearchKey::Kind::conjunction;
    both.children.push_back(std::move(within));
    both.children.push_back(std::move(key));
    key = std::move(both);
}

}  // namespace

Result<SearchReturn> parse_search_return(Parser& parser) {
    SearchReturn what;
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
            std::string_view before = parser.rest();
            what.window = TRY(parser.window());
            what.window_backwards = !before.starts_with(what.window->text());
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

bool prepare_search(SessionCore& core, SearchKey& key, TooMany too_many) {
    if (core.enabled.uid_only && asks_numbers(key)) {
        core.bad("only UIDs are in use here", "UIDREQUIRED");
        return false;
    }
    if (asks_modseq(key)) core.enabled.condstore = true;
    core.selected->resolve(key);
    if (too_many == TooMany::cut) {
        limit_scope(core, key);
    } else if (auto refusal = core.over_limit(scope_of(key))) {
        core.no(*refusal);
        return false;
    }
    return true;
}

void SearchAnswer::answer(SessionCore& core, const Reply& reply) const {
    const auto* found = std::get_if<Found>(&reply);
    if (!found) {
        if (what_.save) core.selected->save({});  // RFC 5182 2.1
        return core.unexpected(reply);
    }
    auto hits = known(core, *found);
    if (what_.extended)
        extended(core, hits);
    else
        plain(core, hits);
    core.ok(std::string(name_) + " completed", uid_ ? News::if_changed : News::never);
}

// Messages that the client has not heard of have no number yet.
std::vector<SearchAnswer::Hit> SearchAnswer::known(const SessionCore& core, const Found& found) {
    std::vector<Hit> hits;
    for (std::size_t i = 0; i < found.uids.size(); ++i)
        if (auto number = core.selected->seq_of(found.uids[i]))
            hits.push_back({found.uids[i], *number, i < found.modseqs.size() ? found.modseqs[i] : ModSeq{}});
    return hits;
}

std::string SearchAnswer::number(const Hit& hit) const {
    return std::to_string(uid_ ? hit.uid.value : hit.number.value);
}

// RFC 5267 3.1: after SORT in its order. A range stands only where it is that of its numbers.
std::string SearchAnswer::set(std::span<const Hit> hits) const {
    std::vector<Uid> numbers;  // written the same way, whichever they are
    for (const auto& hit : hits) numbers.emplace_back(uid_ ? hit.uid.value : hit.number.value);
    return write_uid_set(numbers);
}

void SearchAnswer::plain(SessionCore& core, const std::vector<Hit>& hits) const {
    std::string out = "* " + std::string(name_);
    ModSeq highest;
    for (const auto& hit : hits) {
        out += ' ' + number(hit);
        highest = std::max(highest, hit.modseq);
    }
    if (modseqs_ && !hits.empty()) out += " (MODSEQ " + std::to_string(highest.value) + ')';
    core.send(out + "\r\n");
}

// MIN and MAX are the first and the last: of SORT the lowest and the highest sorted ones (RFC 5267 3.1).
void SearchAnswer::extended(SessionCore& core, const std::vector<Hit>& hits) const {
    std::string out = "* ESEARCH (TAG " + write_string(core.tag()) + ')' + (uid_ ? " UID" : "");
    std::span<const Hit> all(hits), part;
    if (what_.window) part = what_.window->of(all);
    if (what_.min && !hits.empty()) out += " MIN " + number(hits.front());
    if (what_.max && !hits.empty()) out += " MAX " + number(hits.back());
    if (what_.all && !hits.empty()) out += " ALL " + set(all);
    if (what_.count) out += " COUNT " + std::to_string(hits.size());
    if (what_.window) {
        Window asked = *what_.window;
        if (what_.window_backwards) std::swap(asked.first, asked.last);
        out += " PARTIAL (" + asked.text() + ' ' + (part.empty() ? "NIL" : set(part)) + ')';
    }
    ModSeq highest;
    std::vector<std::uint32_t> told;
    each_told(all, part, [&](const Hit& hit) {
        highest = std::max(highest, hit.modseq);
        told.push_back(hit.uid.value);
    });
    if (modseqs_ && highest.value) out += " MODSEQ " + std::to_string(highest.value);
    bool silent = what_.save && !what_.min && !what_.max && !what_.all && !what_.count && !what_.window;
    if (!silent) core.send(out + "\r\n");
    if (!what_.save) return;
    std::ranges::sort(told);  // a set is quick to fill in order
    UidSet saved;
    for (auto uid : told) saved.add(uid);
    core.selected->save(std::move(saved));
}

// What the answer is about: everything, or only what MIN, MAX and PARTIAL name (RFC 4731 3.1, RFC 5182 2.4,
// RFC 9394 3.2). That is what MODSEQ counts and what SAVE keeps.
template <class Take>
void SearchAnswer::each_told(std::span<const Hit> all, std::span<const Hit> part, Take take) const {
    bool some = what_.min || what_.max || what_.window;
    if (!some || what_.all || what_.count) {
        std::ranges::for_each(all, take);
        return;
    }
    if (what_.min && !all.empty()) take(all.front());
    std::ranges::for_each(part, take);
    if (what_.max && !all.empty()) take(all.back());
}

}  // namespace fwmail::imap
