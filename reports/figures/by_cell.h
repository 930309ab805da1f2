// Rows in the order they were made, and those of one cell without a look at the others: a page asks
// for them once per figure, and a large sweep has thousands of cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reports/store/store.h"

namespace ds4::reports {

inline const std::string& cell_key_of(const CellRow& row) {
  return row.key;
}
template <class Row>
const std::string& cell_key_of(const Row& row) {
  return row.cell_key;
}

/// A vector with an index by cell. The index is made when it is first asked for and forgotten by
/// whatever may change a row, even by a loop over what is not const, so that it never disagrees
/// with them. Threads may share rows that are const and have it.
template <class Row>
class ByCell {
  using Places = std::vector<uint32_t>;

 public:
  using value_type = Row;

  ByCell() = default;
  ByCell(std::vector<Row> rows) : rows_(std::move(rows)) {}
  ByCell(std::initializer_list<Row> rows) : rows_(rows) {}
  operator const std::vector<Row>&() const { return rows_; }

  size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }
  const Row& operator[](size_t i) const { return rows_[i]; }
  const Row& front() const { return rows_.front(); }

  auto begin() { return changed().begin(); }
  auto end() { return changed().end(); }
  Row& operator[](size_t i) { return changed()[i]; }
  Row& front() { return changed().front(); }
  Row& back() { return changed().back(); }
  void push_back(Row row) { changed().push_back(std::move(row)); }
  void pop_back() { changed().pop_back(); }
  void clear() { changed().clear(); }
  template <class Condition>
  void erase_if(const Condition& condition) {
    std::erase_if(changed(), condition);
  }

  /// Makes the index now, unless it is there.
  void make_index() const {
    if (!index_.empty()) return;
    for (uint32_t i = 0; i < rows_.size(); ++i) index_[cell_key_of(rows_[i])].push_back(i);
  }

  /// The rows of a cell, in their order; valid until a row may change.
  class Of {
   public:
    class Iterator {
     public:
      Iterator(const Row* rows, const uint32_t* place) : rows_(rows), place_(place) {}
      const Row& operator*() const { return rows_[*place_]; }
      Iterator& operator++() {
        ++place_;
        return *this;
      }
      bool operator==(const Iterator& other) const { return place_ == other.place_; }

     private:
      const Row* rows_;
      const uint32_t* place_;
    };
    Of(const Row* rows, const Places& places) : rows_(rows), places_(places) {}
    Iterator begin() const { return {rows_, places_.data()}; }
    Iterator end() const { return {rows_, places_.data() + places_.size()}; }

   private:
    const Row* rows_;
    const Places& places_;
  };
  Of of(const std::string& cell_key) const { return {rows_.data(), places_of(cell_key)}; }

  /// The first row of a cell, or nullptr.
  const Row* find(const std::string& cell_key) const {
    const Places& places = places_of(cell_key);
    return places.empty() ? nullptr : &rows_[places.front()];
  }

 private:
  std::vector<Row>& changed() {
    index_.clear();
    return rows_;
  }
  const Places& places_of(const std::string& cell_key) const {
    static const Places none;
    make_index();
    const auto found = index_.find(cell_key);
    return found == index_.end() ? none : found->second;
  }

  std::vector<Row> rows_;
  mutable std::unordered_map<std::string, Places> index_;
};

}  // namespace ds4::reports
