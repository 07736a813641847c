// The UIDs of a mailbox in their order, each with its sequence number. Kept as runs of consecutive UIDs, of
// which even a large mailbox has few: a session that is idle costs little.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/intervals.hpp"

namespace fwmail::imap {

class NumberedUids {
  public:
    NumberedUids() = default;
    explicit NumberedUids(const std::vector<Uid>& ascending) {
        for (std::size_t from = 0, to = 0; from < ascending.size(); from = to) {
            std::uint32_t first = ascending[from].value;
            while (to < ascending.size() && ascending[to].value - first == to - from) ++to;
            append_run(first, ascending[to - 1].value);
        }
        runs_.shrink_to_fit();
    }

    std::uint32_t count() const { return runs_.empty() ? 0 : runs_.back().before + runs_.back().size(); }
    bool empty() const { return runs_.empty(); }
    Uid last() const { return runs_.empty() ? Uid{} : Uid(runs_.back().last); }

    // How many are below `uid`.
    std::uint32_t count_below(std::uint32_t uid) const {
        auto it = run_at_or_after(uid);
        if (it == runs_.end()) return count();
        return it->before + (uid > it->first ? uid - it->first : 0);
    }
    bool any_in(std::uint32_t first, std::uint32_t last) const {
        auto it = run_at_or_after(first);
        return it != runs_.end() && it->first <= last;
    }
    std::optional<SeqNum> number_of(Uid uid) const {
        auto it = run_at_or_after(uid.value);
        if (it == runs_.end() || it->first > uid.value) return std::nullopt;
        return SeqNum(it->before + (uid.value - it->first) + 1);
    }
    // 1 to count().
    Uid uid_of(std::uint32_t number) const {
        auto it = std::prev(std::ranges::upper_bound(runs_, number - 1, {}, &Run::before));
        return Uid(it->first + (number - 1 - it->before));
    }
    // Those that are in `set`, ascending.
    std::vector<Uid> common(const UidSet& set) const {
        std::vector<Uid> out;
        for (const auto& wanted : set.list())
            for (auto it = run_at_or_after(wanted.first); it != runs_.end() && it->first <= wanted.last; ++it)
                for (std::uint64_t uid = std::max(it->first, wanted.first);
                     uid <= std::min(it->last, wanted.last); ++uid)
                    out.emplace_back(static_cast<std::uint32_t>(uid));
        return out;
    }

    // Must be above last().
    void append(Uid uid) { append_run(uid.value, uid.value); }
    void remove(const UidSet& set) {
        std::vector<Run> old = std::exchange(runs_, {});
        auto gone = set.list().begin();
        for (const Run& run : old) {
            std::uint64_t from = run.first;
            while (gone != set.list().end() && gone->last < run.first) ++gone;
            for (auto it = gone; it != set.list().end() && it->first <= run.last; ++it) {
                if (it->first > from) append_run(static_cast<std::uint32_t>(from), it->first - 1);
                from = std::uint64_t{it->last} + 1;
            }
            if (from <= run.last) append_run(static_cast<std::uint32_t>(from), run.last);
        }
        runs_.shrink_to_fit();
    }

  private:
    struct Run {
        std::uint32_t first, last;
        std::uint32_t before;  // how many stand in front of it
        std::uint32_t size() const { return last - first + 1; }
    };
    std::vector<Run>::const_iterator run_at_or_after(std::uint32_t uid) const {
        return std::ranges::lower_bound(runs_, uid, {}, &Run::last);
    }
    void append_run(std::uint32_t first, std::uint32_t last) {
        if (!runs_.empty() && runs_.back().last + 1 == first)
            runs_.back().last = last;
        else
            runs_.push_back({first, last, count()});
    }

    std::vector<Run> runs_;
};

}  // namespace fwmail::imap
