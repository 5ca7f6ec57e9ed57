#pragma once
// A row becomes ranks: one byte for each position (ranked.h), after which no split looks at a number again.
//
// Missing values need no branch later on: a position belongs to one side, and there they are the lowest rank (at most
// every split's, so left) or the highest (above every split's, so right). A category set has a position of its own,
// with the lowest rank for its members and the highest for the rest.

#include <array>
#include <vector>

#include "engine/kernels.h"
#include "engine/ranked.h"

namespace wb::engine {

// What a split asks for: it goes left where ranks[position] <= rank.
struct Question {
  uint16_t position = 0;
  int8_t rank = 0;  // as kernels::stored_rank() has it
};

class Ranker {
 public:
  Ranker() = default;
  Ranker(const std::vector<Slot>& slots, const Description& model);

  size_t positions_count() const { return positions_; }
  // Behind the positions stand two more: one that the caller sets to the highest rank, and one that nobody reads.
  static constexpr size_t kPositionsMore = 2;
  Question question(uint16_t slot, uint8_t rank, bool missing_left) const;
  size_t memory_bytes() const;
  // rows: [count, columns], NaN = missing → ranks of each, where `out` says. Allocates nothing.
  template <class Column>
  void rank(kernels::RowsView<Column> rows, kernels::RanksView out) const;

 private:
  static constexpr uint16_t kNowhere = UINT16_MAX;
  struct Place {  // of a slot: its first position where missing values go right, and where they go left
    uint16_t right = kNowhere;
    uint16_t left = kNowhere;
    bool categorical = false;
  };
  struct Categories {  // of a slot of categories
    uint32_t column = 0;
    Missing missing = Missing::kNan;
    Place place;
    std::vector<std::vector<uint32_t>> sets;
  };

  template <class Number>
  static uint32_t add_ladder(const Slot& slot, std::vector<kernels::Steps<Number>>& ladders);
  void rank_category(const Categories& slot, double x, kernels::RanksView out) const;

  Compare compare_ = Compare::kF32Less;
  Category category_ = Category::kNonNegative;
  size_t positions_ = 0;
  std::vector<Place> places_;                        // of each slot
  std::array<std::vector<kernels::Rung>, 3> rungs_;  // as kernels::Ladders has them
  std::vector<kernels::Steps<float>> ladders_f32_;
  std::vector<kernels::Steps<double>> ladders_f64_;
  std::vector<Categories> categories_;
};

}  // namespace wb::engine
