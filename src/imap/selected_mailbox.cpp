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
    if (selected.first_recent.value && !uids_.empty() && selected.first_recent <= uids_.back())
        recent_.add(selected.first_recent.value, uids_.back().value);
    for (const auto& keyword : selected.keywords)
        if (keywords_.keywords.size() < most_keywords) keywords_.add_keyword(keyword);
}

std::uint32_t SelectedMailbox::recent() const {
    std::ptrdiff_t count = 0;
    for (const auto& run : recent_.list())
        count +=
            std::ranges::upper_bound(uids_, Uid(run.last)) - std::ranges::lower_bound(uids_, Uid(run.first));
    return static_cast<std::uint32_t>(count);
}

std::optional<SeqNum> SelectedMailbox::seq_of(Uid uid) const {
    auto it = std::ranges::lower_bound(uids_, uid);
    if (it == uids_.end() || *it != uid) return std::nullopt;
    return SeqNum(static_cast<std::uint32_t>(it - uids_.begin() + 1));
}

std::vector<Uid> SelectedMailbox::known_in(const UidSet& set) const {
    std::vector<Uid> out;
    auto at = uids_.begin();
    for (const auto& run : set.list()) {
        at = std::lower_bound(at, uids_.end(), Uid(run.first));
        for (; at != uids_.end() && at->value <= run.last; ++at) out.push_back(*at);
    }
    return out;
}

UidSet SelectedMailbox::resolve_uids(const SequenceSet& set) const {
    if (set.saved) return saved_;
    UidSet out;
    if (uids_.empty()) return out;
    std::uint32_t last = uids_.back().value;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    for (auto [from, to] : set.ranges) {
        if (from == 0) from = last;  // `*`; `100:*` holds the last message even when that is below 100
        if (to == 0) to = last;
        if (from > to) std::swap(from, to);
        auto first_known = std::ranges::lower_bound(uids_, Uid(from));
        if (first_known != uids_.end() && first_known->value <= to)
            ranges.emplace_back(from, std::min(to, last));
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
    for (auto [from, to] : ranges) out.add(uids_[from - 1].value, uids_[to - 1].value);
    return out;
}

std::optional<Uid> SelectedMailbox::keep_highest(UidSet& uids, std::uint64_t most) const {
    if (uids_.size() <= most) return std::nullopt;
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
    if (skipped >= uids_.size()) return out;
    for (std::size_t end = uids_.size() - skipped; end > 0 && out.size() < count;) {
        std::size_t begin = end > size ? end - size : 0;
        out.push_back({uids_[begin].value, uids_[end - 1].value});
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
    std::vector<Uid> kept;
    kept.reserve(uids_.size());
    auto gone = uids.begin();
    for (Uid uid : uids_) {
        while (gone != uids.end() && *gone < uid) ++gone;
        if (gone != uids.end() && *gone == uid)
            numbers.emplace_back(static_cast<std::uint32_t>(kept.size() + 1));
        else
            kept.push_back(uid);
    }
    uids_ = std::move(kept);
    return numbers;
}

bool SelectedMailbox::arrive(const std::vector<Uid>& uids, Uid first_recent) {
    bool any = false;
    for (Uid uid : uids) {
        if (!uids_.empty() && uid <= uids_.back()) continue;
        uids_.push_back(uid);
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
