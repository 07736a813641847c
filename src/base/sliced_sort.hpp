// A merge sort that is done step by step, so that whoever sorts much can let others have their turn. The
// order must be total: what is equal may change places.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace fwmail {

template <class T, class Less>
class SlicedSort {
  public:
    explicit SlicedSort(Less less) : less_(std::move(less)) {}

    // Sorts some of it; true: it is done. Between the steps of one sort the list is left alone.
    bool step(std::vector<T>& list) {
        if (width_ == 0) {  // the runs come first
            std::size_t end = std::min(at_ + run, list.size());
            std::sort(iterator(list, at_), iterator(list, end), less_);
            at_ = end;
            if (at_ < list.size()) return false;
            at_ = 0;
            width_ = run;
            return width_ >= list.size();
        }
        if (width_ >= list.size()) return true;
        if (merged_.size() != list.size()) merged_.resize(list.size());
        std::size_t middle = std::min(at_ + width_, list.size());
        std::size_t end = std::min(middle + width_, list.size());
        std::merge(iterator(list, at_), iterator(list, middle), iterator(list, middle), iterator(list, end),
                   iterator(merged_, at_), less_);
        at_ = end;
        if (at_ < list.size()) return false;
        list.swap(merged_);
        at_ = 0;
        width_ *= 2;
        if (width_ < list.size()) return false;
        merged_ = {};
        return true;
    }

  private:
    static constexpr std::size_t run = 16384;
    static auto iterator(std::vector<T>& list, std::size_t at) {
        return list.begin() + static_cast<std::ptrdiff_t>(at);
    }

    Less less_;
    std::vector<T> merged_;
    std::size_t width_ = 0, at_ = 0;
};

}  // namespace fwmail
