// How many thresholds lie below a number, in two counts of sixteen: which block, then how many of that block. Counting
// all of a block has no branch to guess and is what vector units do; compilers unroll these loops into them.
#include "engine/ranker.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wb::engine {
namespace {

// What of 16 ascending thresholds, NaN at their end, x lies beyond. kLess: a split's condition is x < t.
template <class Number, bool kLess>
inline unsigned count_of_16(const Number* thresholds, Number x) {
  unsigned count = 0;
  for (size_t i = 0; i < 16; ++i) count += (kLess ? thresholds[i] <= x : thresholds[i] < x) ? 1 : 0;
  return count;
}

template <class Number>
bool is_missing(Missing rule, Number x) {
  if (rule == Missing::kNanOrZero) return !(std::fabs(static_cast<double>(x)) > kZeroMax);
  return rule == Missing::kNan && std::isnan(x);
}

}  // namespace

Ranker::Ranker(const std::vector<Slot>& slots, const Description& model)
    : compare_(model.compare), category_(model.category) {
  for (const Slot& slot : slots) {
    Rung rung;
    rung.column = slot.column;
    rung.missing = slot.missing;
    rung.categorical = slot.categorical;
    if (slot.categorical) {
      rung.begin = static_cast<uint32_t>(sets_.size());
      rung.count = static_cast<uint16_t>(slot.sets.size());
      sets_.insert(sets_.end(), slot.sets.begin(), slot.sets.end());
    } else if (compare_ == Compare::kF64LessEqual) {
      add_ladder(slot, ladders_f64_, rung);
    } else {
      add_ladder(slot, ladders_f32_, rung);
    }
    const auto positions = static_cast<uint16_t>(slot.categorical ? rung.count : 1);
    if (slot.side != Side::kLeft) rung.right = static_cast<uint16_t>(positions_);
    if (slot.side != Side::kLeft) positions_ += positions;
    if (slot.side != Side::kRight) rung.left = static_cast<uint16_t>(positions_);
    if (slot.side != Side::kRight) positions_ += positions;
    rungs_.push_back(rung);
  }
  WB_ASSERT(positions_ <= kPositionsMax);
}

template <class Number>
void Ranker::add_ladder(const Slot& slot, std::vector<Number>& ladders, Rung& rung) {
  constexpr Number kNothing = std::numeric_limits<Number>::quiet_NaN();
  const size_t blocks = (slot.thresholds.size() + kBlock - 1) / kBlock;
  rung.begin = static_cast<uint32_t>(ladders.size());
  rung.count = static_cast<uint16_t>(blocks);
  ladders.resize(ladders.size() + kBlock * (1 + blocks), kNothing);
  Number* tops = ladders.data() + rung.begin;
  for (size_t i = 0; i < slot.thresholds.size(); ++i) tops[kBlock + i] = static_cast<Number>(slot.thresholds[i]);
  for (size_t block = 0; block + 1 < blocks; ++block) tops[block] = tops[kBlock * (block + 1) + kBlock - 1];
}

Question Ranker::question(uint16_t slot, uint8_t rank, bool missing_left) const {
  const Rung& rung = rungs_[slot];
  const uint16_t position = missing_left ? rung.left : rung.right;
  WB_ASSERT(position != kNowhere);
  if (rung.categorical) return Question{static_cast<uint16_t>(position + rank), 0};
  return Question{position, rank};
}

size_t Ranker::memory_bytes() const {
  size_t bytes = rungs_.size() * sizeof(Rung) + ladders_f32_.size() * 4 + ladders_f64_.size() * 8;
  for (const auto& set : sets_) bytes += sizeof(std::vector<uint32_t>) + set.size() * sizeof(uint32_t);
  return bytes;
}

void Ranker::rank_categories(const Rung& rung, double x, bool missing, uint8_t* ranks) const {
  const bool negative = category_ == Category::kTruncated ? x <= -1 : x < 0;
  const bool known = !missing && !negative && x < static_cast<double>(limits::kCategoryMax) + 1;
  const uint32_t category = known ? static_cast<uint32_t>(x) : 0;
  for (size_t i = 0; i < rung.count; ++i) {
    const std::vector<uint32_t>& set = sets_[rung.begin + i];
    const bool member = known && std::binary_search(set.begin(), set.end(), category);
    if (rung.right != kNowhere) ranks[rung.right + i] = member ? 0 : 255;
    if (rung.left != kNowhere) ranks[rung.left + i] = member || missing ? 0 : 255;
  }
}

template <class Number, bool kLess, class Column>
void Ranker::rank_all(std::span<const Column> columns, const std::vector<Number>& ladders, uint8_t* ranks) const {
  for (const Rung& rung : rungs_) {
    auto x = static_cast<Number>(columns[rung.column]);
    const bool missing = is_missing(rung.missing, x);
    if (rung.missing == Missing::kNanIsZero && std::isnan(x)) x = 0;
    if (rung.categorical) {
      rank_categories(rung, static_cast<double>(x), missing, ranks);
      continue;
    }
    const Number* tops = ladders.data() + rung.begin;
    const unsigned block = rung.count == 1 ? 0 : count_of_16<Number, kLess>(tops, x);
    const unsigned below = count_of_16<Number, kLess>(tops + kBlock * (1 + block), x);
    const auto rank = static_cast<uint8_t>(kBlock * block + below);
    if (rung.right != kNowhere) ranks[rung.right] = missing ? 255 : rank;
    if (rung.left != kNowhere) ranks[rung.left] = missing ? 0 : rank;
  }
}

template <class Column>
void Ranker::rank_any(std::span<const Column> columns, uint8_t* ranks) const {
  switch (compare_) {
    case Compare::kF32Less: return rank_all<float, true>(columns, ladders_f32_, ranks);
    case Compare::kF32LessEqual: return rank_all<float, false>(columns, ladders_f32_, ranks);
    case Compare::kF64LessEqual: return rank_all<double, false>(columns, ladders_f64_, ranks);
  }
}

void Ranker::rank_row(std::span<const float> columns, uint8_t* ranks) const { rank_any(columns, ranks); }
void Ranker::rank_row(std::span<const double> columns, uint8_t* ranks) const { rank_any(columns, ranks); }

}  // namespace wb::engine
