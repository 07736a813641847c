// The order of SORT (RFC 5256 3, RFC 5957), as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/sliced_sort.hpp"

namespace fwmail::imap {

enum class SortBy { arrival, cc, date, from, size, subject, to, display_from, display_to };

struct SortCriterion {
    SortBy by = SortBy::arrival;
    bool reverse = false;
    bool operator==(const SortCriterion&) const = default;
};

// The value of one criterion: a number or a text, as the criterion says.
struct SortValue {
    std::int64_t number = 0;
    std::string_view text;
};
bool sorts_by_text(SortBy by);

// Rows and their order. Rows that no criterion tells apart stay in the order in which they came: RFC 5256's
// sequence number, which REVERSE leaves alone.
class SortTable {
  public:
    explicit SortTable(std::vector<SortCriterion> criteria)
        : criteria_(std::move(criteria)), sort_(Less{this}) {}
    SortTable(const SortTable&) = delete;
    SortTable& operator=(const SortTable&) = delete;

    const std::vector<SortCriterion>& criteria() const { return criteria_; }
    // One value for each criterion.
    void add(const std::vector<SortValue>& values);
    // Some of the sorting; true: it is done.
    bool step() { return sort_.step(rows_); }
    std::size_t size() const { return rows_.size(); }
    // The row that stands at this place now, by the order in which it came.
    std::size_t at(std::size_t place) const { return rows_[place].index; }

  private:
    struct Row {
        std::uint64_t head = 0;  // of the first criterion, as in a Cell
        std::uint32_t index = 0;
    };
    // Numbers, and the first eight octets of texts, as numbers in the same order.
    struct Cell {
        std::uint64_t head = 0;
        std::uint64_t offset = 0;  // of the text behind these eight
        std::uint32_t length = 0;
    };
    struct Less {
        const SortTable* table;
        bool operator()(const Row& a, const Row& b) const { return table->less(a, b); }
    };
    bool less(const Row& a, const Row& b) const;
    Cell cell(SortBy by, const SortValue& value);

    std::vector<SortCriterion> criteria_;
    std::vector<Row> rows_;
    std::vector<Cell> cells_;  // a row's after the other's
    std::string octets_;
    SlicedSort<Row, Less> sort_;
};

}  // namespace fwmail::imap
