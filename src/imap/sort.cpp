#include "imap/sort.hpp"

namespace fwmail::imap {

bool sorts_by_text(SortBy by) {
    switch (by) {
        case SortBy::arrival:
        case SortBy::date:
        case SortBy::size:
            return false;
        case SortBy::cc:
        case SortBy::from:
        case SortBy::subject:
        case SortBy::to:
        case SortBy::display_from:
        case SortBy::display_to:
            return true;
    }
    return false;
}

SortTable::Cell SortTable::cell(SortBy by, const SortValue& value) {
    Cell cell;
    if (!sorts_by_text(by)) {
        cell.head = static_cast<std::uint64_t>(value.number) ^ std::uint64_t{1} << 63;
        return cell;
    }
    // A shorter text comes first, as if zeros followed; none of ours has a NUL.
    for (std::size_t i = 0; i < 8; ++i)
        cell.head = cell.head << 8 | (i < value.text.size() ? static_cast<unsigned char>(value.text[i]) : 0);
    if (value.text.size() > 8) {
        cell.offset = octets_.size();
        cell.length = static_cast<std::uint32_t>(value.text.size() - 8);
        octets_ += value.text.substr(8);
    }
    return cell;
}

void SortTable::add(const std::vector<SortValue>& values) {
    Row row{0, static_cast<std::uint32_t>(rows_.size())};
    for (std::size_t i = 0; i < criteria_.size(); ++i) {
        cells_.push_back(cell(criteria_[i].by, values[i]));
        if (i == 0) row.head = criteria_[0].reverse ? ~cells_.back().head : cells_.back().head;
    }
    rows_.push_back(row);
}

bool SortTable::less(const Row& a, const Row& b) const {
    if (a.head != b.head) return a.head < b.head;
    const Cell* left = &cells_[a.index * criteria_.size()];
    const Cell* right = &cells_[b.index * criteria_.size()];
    std::string_view octets = octets_;
    for (std::size_t i = 0; i < criteria_.size(); ++i) {
        auto order = left[i].head <=> right[i].head;
        if (order == 0 && (left[i].length || right[i].length))
            order = octets.substr(left[i].offset, left[i].length) <=>
                    octets.substr(right[i].offset, right[i].length);
        if (order != 0) return criteria_[i].reverse ? order > 0 : order < 0;
    }
    return a.index < b.index;
}

}  // namespace fwmail::imap
