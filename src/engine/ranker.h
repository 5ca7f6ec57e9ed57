#pragma once
// A row becomes ranks: one byte for each position (ranked.h), after which no split looks at a number again.
//
// Missing values need no branch later on: a position belongs to one side, and there they are rank 0 (at most every
// split's rank, so left) or 255 (above every split's, so right). A category set has a position of its own, with rank 0
// for its members and 255 for the rest.

#include <span>
#include <vector>

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
  // columns: [columns], NaN = missing → ranks: u8[positions]. Allocates nothing.
  void rank_row(std::span<const float> columns, uint8_t* ranks) const;
  void rank_row(std::span<const double> columns, uint8_t* ranks) const;

 private:
  static constexpr uint16_t kNowhere = UINT16_MAX;
  static constexpr size_t kBlock = 16;
  struct Rung {  // one slot
    uint32_t column = 0;
    uint32_t begin = 0;         // of its ladder: 16 tops, then blocks of 16 thresholds; of its sets: the first in sets_
    uint16_t count = 0;         // of blocks, or of sets
    uint16_t right = kNowhere;  // position where a missing value is 255; of categories: the first of `count`
    uint16_t left = kNowhere;   // position where it is 0
    Missing missing = Missing::kNan;
    bool categorical = false;
  };

  template <class Number>
  void add_ladder(const Slot& slot, std::vector<Number>& ladders, Rung& rung);
  template <class Number, bool kLess, class Column>
  void rank_all(std::span<const Column> columns, const std::vector<Number>& ladders, uint8_t* ranks) const;
  template <class Column>
  void rank_any(std::span<const Column> columns, uint8_t* ranks) const;
  void rank_categories(const Rung& rung, double x, bool missing, uint8_t* ranks) const;

  Compare compare_ = Compare::kF32Less;
  Category category_ = Category::kNonNegative;
  size_t positions_ = 0;
  std::vector<Rung> rungs_;
  std::vector<float> ladders_f32_;  // padded with NaN, which lies below nothing
  std::vector<double> ladders_f64_;
  std::vector<std::vector<uint32_t>> sets_;
};

}  // namespace wb::engine
