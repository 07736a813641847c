// A set of whole numbers kept as sorted, disjoint, non-adjacent closed intervals: UID sets, acknowledged
// numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"

namespace fwmail {

template <class Rep>
class Intervals {
  public:
    struct Interval {
        Rep first, last;
        auto operator<=>(const Interval&) const = default;
    };

    bool operator==(const Intervals&) const = default;
    bool empty() const { return list_.empty(); }
    const std::vector<Interval>& list() const { return list_; }
    void clear() { list_.clear(); }

    // How many numbers are in the set.
    std::uint64_t count() const {
        std::uint64_t n = 0;
        for (const auto& i : list_) n += static_cast<std::uint64_t>(i.last) - i.first + 1;
        return n;
    }
    bool contains(Rep v) const {
        auto it = std::ranges::upper_bound(list_, v, {}, &Interval::first);
        return it != list_.begin() && std::prev(it)->last >= v;
    }
    void add(Rep v) { add(v, v); }
    // Adds first..last; order does not matter. Appending at the end is O(1).
    void add(Rep first, Rep last) {
        if (first > last) std::swap(first, last);
        if (!list_.empty() && list_.back().last < first) {
            if (list_.back().last + 1 == first)
                list_.back().last = last;
            else
                list_.push_back({first, last});
            return;
        }
        auto from = std::ranges::lower_bound(
            list_, first, {}, [](const Interval& i) { return i.last == Rep(-1) ? i.last : Rep(i.last + 1); });
        auto to = from;
        while (to != list_.end() && (last == Rep(-1) || to->first <= last + 1)) {
            first = std::min(first, to->first);
            last = std::max(last, to->last);
            ++to;
        }
        from = list_.erase(from, to);
        list_.insert(from, {first, last});
    }
    void add(const Intervals& other) {
        for (const auto& i : other.list_) add(i.first, i.last);
    }
    void remove(Rep first, Rep last) {
        std::vector<Interval> kept;
        for (const auto& i : list_) {
            if (i.last < first || i.first > last) {
                kept.push_back(i);
                continue;
            }
            if (i.first < first) kept.push_back({i.first, Rep(first - 1)});
            if (i.last > last) kept.push_back({Rep(last + 1), i.last});
        }
        list_ = std::move(kept);
    }
    Intervals intersection(const Intervals& other) const {
        Intervals out;
        for (auto i = list_.begin(), j = other.list_.begin(); i != list_.end() && j != other.list_.end();) {
            Rep first = std::max(i->first, j->first), last = std::min(i->last, j->last);
            if (first <= last) out.add(first, last);
            i->last < j->last ? ++i : ++j;
        }
        return out;
    }
    // The length of the run 1..n that is wholly in the set.
    Rep contiguous_from_one() const { return list_.empty() || list_[0].first > 1 ? Rep(0) : list_[0].last; }

  private:
    std::vector<Interval> list_;
};

using UidSet = Intervals<std::uint32_t>;
using NumberSet = Intervals<std::uint64_t>;

}  // namespace fwmail
