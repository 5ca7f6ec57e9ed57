#pragma once
// A row becomes ranks: one byte for each position (ranked.h), after which no split looks at a number again.
//
// Missing values need no branch later on: a position belongs to one side, and there they are rank 0 (at most every
// split's rank, so left) or 255 (above every split's, so right). A category set has a position of its own, with rank 0
// for its members and 255 for the rest.

#include <vector>

#include "engine/kernels.h"
#include "engine/ranked.h"

namespace wb::engine {

// What a split asks for: it goes left where ranks[position] <= rank.
struct Question {
  uint16_t position = 0;
  uint8_t rank = 0;
};

class Ranker {
 public:
  Ranker() = default;
  Ranker(const std::vector<Slot>& slots, const Description& model);

  size_t positions_count() const { return positions_; }
  Question question(uint16_t slot, uint8_t rank, bool missing_left) const;
  size_t memory_bytes() const;
  // rows: [count, columns], NaN = missing → ranks of each, where `out` says. Allocates nothing.
  template <class Column>
  void rank(kernels::RowsView<Column> rows, kernels::RanksView out) const;

 private:
  template <class Number>
  void add_ladder(const Slot& slot, std::vector<Number>& ladders, kernels::Rung& rung);
  void rank_category(const kernels::Rung& rung, double x, kernels::RanksView out) const;

  Compare compare_ = Compare::kF32Less;
  Category category_ = Category::kNonNegative;
  size_t positions_ = 0;
  bool categories_ = false;  // are there any
  std::vector<kernels::Rung> rungs_;
  std::vector<float> ladders_f32_;  // padded with NaN, which lies below nothing
  std::vector<double> ladders_f64_;
  std::vector<std::vector<uint32_t>> sets_;
};

}  // namespace wb::engine
