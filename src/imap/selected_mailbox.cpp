#include "imap/selected_mailbox.hpp"

#include <algorithm>

namespace fwmail::imap {
namespace {

// More keywords than this are not announced.
constexpr std::size_t most_keywords = 500;

}  // namespace

SelectedMailbox::SelectedMailbox(std::string name, bool read_only, Selected selected)
    : name_(std::move(name)),
      read_only_(read_only),
      uids_(std::move(selected.uids)),
      highest_modseq_(selected.highest_modseq) {
    if (selected.first_recent.value && !uids_.empty() && selected.first_recent <= uids_.last())
        recent_.add(selected.first_recent.value, uids_.last().value);
    learn_successors(selected.successors);
    for (const auto& keyword : selected.keywords)
        if (keywords_.keywords.size() < most_keywords) keywords_.add_keyword(keyword);
}

std::uint32_t SelectedMailbox::recent() const {
    std::uint32_t count = 0;
    for (const auto& run : recent_.list()) {
        std::uint32_t upto = run.last == UINT32_MAX ? uids_.count() : uids_.count_below(run.last + 1);
        count += upto - uids_.count_below(run.first);
    }
    return count;
}

UidSet SelectedMailbox::resolve_uids(const SequenceSet& set) const {
    if (set.saved) return saved_;
    UidSet out;
    if (uids_.empty()) return out;
    std::uint32_t last = uids_.last().value;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    for (auto [from, to] : set.ranges) {
        if (from == 0) from = last;  // `*`; `100:*` holds the last message even when that is below 100
        if (to == 0) to = last;
        if (from > to) std::swap(from, to);
        if (uids_.any_in(from, to)) ranges.emplace_back(from, std::min(to, last));
    }
    std::ranges::sort(ranges);
    for (auto [from, to] : ranges) out.add(from, to);
    return out;
}

Result<UidSet> SelectedMailbox::resolve(const SequenceSet& set, bool uids) const {
    if (uids || set.saved) return resolve_uids(set);
    UidSet out;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    for (auto [from, to] : set.ranges) {
        bool star = from == 0 || to == 0;
        if (from == 0) from = exists();
        if (to == 0) to = exists();
        if (star && exists() == 0) continue;
        if (from > exists() || to > exists()) return fail(ErrorKind::protocol, "no message has that number");
        ranges.emplace_back(std::min(from, to), std::max(from, to));
    }
    std::ranges::sort(ranges);
    for (auto [from, to] : ranges) out.add(uids_.uid_of(from).value, uids_.uid_of(to).value);
    return out;
}

Result<UidSet> SelectedMailbox::resolve_to_change(const SequenceSet& set, bool uids) const {
    auto out = resolve(set, uids);
    if (!out || !uids || set.saved) return out;
    for (auto [from, to] : set.ranges) {
        if (from != to || uids_.any_in(from, to)) continue;
        auto successor = successors_.find(Uid{from});
        if (successor == successors_.end()) continue;
        std::uint32_t now = successor->second.value;
        if (uids_.any_in(now, now)) out->add(now);
    }
    return out;
}

std::optional<Uid> SelectedMailbox::keep_highest(UidSet& uids, std::uint64_t most) const {
    if (uids_.count() <= most) return std::nullopt;
    auto known = known_in(uids);
    if (known.size() <= most) return std::nullopt;
    Uid lowest = known[known.size() - most];
    uids.remove(1, lowest.value - 1);
    return lowest;
}

std::vector<UidSet::Interval> SelectedMailbox::batches(std::uint32_t size, std::uint32_t first,
                                                       std::uint32_t count) const {
    std::vector<UidSet::Interval> out;
    std::uint64_t skipped = std::uint64_t{size} * (first - 1);
    if (skipped >= uids_.count()) return out;
    for (std::uint64_t end = uids_.count() - skipped; end > 0 && out.size() < count;) {
        std::uint64_t begin = end > size ? end - size : 0;
        auto uid_of = [&](std::uint64_t number) {
            return uids_.uid_of(static_cast<std::uint32_t>(number)).value;
        };
        out.push_back({uid_of(begin + 1), uid_of(end)});
        end = begin;
    }
    return out;
}

void SelectedMailbox::resolve(SearchKey& key) const {
    for (auto& child : key.children) resolve(child);
    if (key.kind == SearchKey::Kind::recent) {
        key.uids = recent_;
    } else if (key.kind == SearchKey::Kind::uid_sequence) {
        key.uids = resolve_uids(key.set);
    } else if (key.kind == SearchKey::Kind::sequence) {
        SequenceSet known;
        known.saved = key.set.saved;
        for (auto [from, to] : key.set.ranges) {
            if (from == 0) from = exists();
            if (to == 0) to = exists();
            if (from > to) std::swap(from, to);
            if (from >= 1 && from <= exists()) known.ranges.emplace_back(from, std::min(to, exists()));
        }
        key.uids = resolve(known, false).value_or(UidSet{});
    } else {
        return;
    }
    key.kind = SearchKey::Kind::uids;
    key.set = {};
}

std::vector<SeqNum> SelectedMailbox::expunge(const std::vector<Uid>& uids) {
    std::vector<SeqNum> numbers;
    UidSet gone;
    for (Uid uid : uids) {
        auto number = uids_.number_of(uid);
        if (!number || gone.contains(uid.value)) continue;
        gone.add(uid.value);
        numbers.emplace_back(number->value - static_cast<std::uint32_t>(numbers.size()));
    }
    if (!numbers.empty()) uids_.remove(gone);
    return numbers;
}

bool SelectedMailbox::arrive(const std::vector<Uid>& uids, Uid first_recent) {
    bool any = false;
    for (Uid uid : uids) {
        if (uid <= uids_.last()) continue;
        uids_.append(uid);
        any = true;
        if (first_recent.value && uid >= first_recent) recent_.add(uid.value);
    }
    return any;
}

bool SelectedMailbox::learn(const FlagSet& flags) {
    std::size_t before = keywords_.keywords.size();
    for (const auto& keyword : flags.keywords)
        if (keywords_.keywords.size() < most_keywords) keywords_.add_keyword(keyword);
    return keywords_.keywords.size() != before;
}

}  // namespace fwmail::imap
