// Compiled once for each kind of processor: Highway includes this file again for every target.
#include "engine/kernels.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace wb::engine::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// What of 16 ascending thresholds, NaN at their end, x lies beyond. kLess: a split's condition is x < t.
template <class Number, bool kLess>
HWY_INLINE size_t count_of_16(const Number* thresholds, Number x) {
  const hn::CappedTag<Number, kLadderBlock> d;
  const auto all = hn::Set(d, x);
  size_t count = 0;
  for (size_t i = 0; i < kLadderBlock; i += hn::Lanes(d)) {
    const auto some = hn::LoadU(d, thresholds + i);
    count += hn::CountTrue(d, kLess ? hn::Le(some, all) : hn::Lt(some, all));
  }
  return count;
}

template <class Number>
HWY_INLINE bool is_missing(Missing rule, Number x) {
  if (rule == Missing::kNanOrZero) return !(std::fabs(static_cast<double>(x)) > kZeroMax);
  return rule == Missing::kNan && std::isnan(x);
}

template <class Number, bool kLess, class Column>
HWY_INLINE void rank_in(const Ladders& ladders, const Number* steps, RowsView<Column> rows, RanksView out) {
  for (size_t i = 0; i < ladders.count; ++i) {
    const Rung& rung = ladders.rungs[i];
    if (rung.categorical) continue;
    const Number* tops = steps + rung.begin;
    for (size_t row = 0; row < rows.count; ++row) {
      auto x = static_cast<Number>(rows.columns[row * rows.stride + rung.column]);
      const bool missing = is_missing(rung.missing, x);
      if (rung.missing == Missing::kNanIsZero && std::isnan(x)) x = 0;
      const size_t block = rung.count == 1 ? 0 : count_of_16<Number, kLess>(tops, x);
      const size_t below = count_of_16<Number, kLess>(tops + kLadderBlock * (1 + block), x);
      const auto rank = static_cast<uint8_t>(kLadderBlock * block + below);
      const auto right = static_cast<uint8_t>((missing ? 255 : rank) ^ out.flip);
      const auto left = static_cast<uint8_t>((missing ? 0 : rank) ^ out.flip);
      if (rung.right != kNowhere) out.ranks[rung.right * out.stride + row] = right;
      if (rung.left != kNowhere) out.ranks[rung.left * out.stride + row] = left;
    }
  }
}

template <class Column>
HWY_INLINE void rank_any(const Ladders& ladders, RowsView<Column> rows, RanksView out) {
  switch (ladders.compare) {
    case Compare::kF32Less: return rank_in<float, true>(ladders, ladders.f32, rows, out);
    case Compare::kF32LessEqual: return rank_in<float, false>(ladders, ladders.f32, rows, out);
    case Compare::kF64LessEqual: return rank_in<double, false>(ladders, ladders.f64, rows, out);
  }
}

void rank_f32(const Ladders& ladders, RowsView<float> rows, RanksView out) { rank_any(ladders, rows, out); }
void rank_f64(const Ladders& ladders, RowsView<double> rows, RanksView out) { rank_any(ladders, rows, out); }

using Bytes = hn::CappedTag<uint8_t, kRows>;
using Signed = hn::RebindToSigned<Bytes>;

// Asks one node for as many rows as a vector has bytes.
template <class Node>
HWY_INLINE hn::Mask<Bytes> goes_right(const Node node, const uint8_t* ranks) {
  constexpr unsigned kRankShift = sizeof(Node) == 2 ? 8 : 16;
  const size_t position = node & ((Node{1} << kRankShift) - 1);
  const auto rank = static_cast<uint8_t>((node >> kRankShift) ^ kBlockFlip);
  const Signed d;
  const auto of_rows = hn::BitCast(d, hn::LoadU(Bytes(), ranks + position * kRows));
  return hn::RebindMask(Bytes(), hn::Gt(of_rows, hn::Set(d, static_cast<int8_t>(rank))));
}

// The leaf below a node of the lowest level: `left` or the one behind it.
template <class Node>
HWY_INLINE hn::Vec<Bytes> leaf_below(const Node node, const uint8_t* ranks, size_t left) {
  const Bytes d;
  const auto minus_one = hn::VecFromMask(d, goes_right(node, ranks));
  return hn::Sub(hn::Set(d, static_cast<uint8_t>(left)), minus_one);
}

template <class Node>
HWY_INLINE hn::Vec<Bytes> choose(const Node node, const uint8_t* ranks, hn::Vec<Bytes> left, hn::Vec<Bytes> right) {
  return hn::IfThenElse(goes_right(node, ranks), right, left);
}

// The lowest two levels below and including node `at`; the lowest leaf is `left`.
template <class Node>
HWY_INLINE hn::Vec<Bytes> two_levels(const Node* nodes, size_t at, const uint8_t* ranks, size_t left) {
  const auto a = leaf_below(nodes[2 * at + 1], ranks, left);
  const auto b = leaf_below(nodes[2 * at + 2], ranks, left + 2);
  return choose(nodes[at], ranks, a, b);
}

template <class Node>
HWY_INLINE hn::Vec<Bytes> find_some(const Node* nodes, size_t depth, const uint8_t* ranks) {
  const Bytes d;
  if (depth == 0) return hn::Zero(d);
  if (depth == 1) return leaf_below(nodes[0], ranks, 0);
  // Subtrees of three levels are settled in registers, what is above them in memory.
  HWY_ALIGN uint8_t settled[(kRows << kLaneDepthMax) / 8];
  const size_t lanes = hn::Lanes(d);
  const size_t low = depth >= 3 ? 3 : 2;
  size_t count = size_t{1} << (depth - low);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = count - 1 + i;
    if (low == 2) return two_levels(nodes, at, ranks, 0);
    const auto a = two_levels(nodes, 2 * at + 1, ranks, 8 * i);
    const auto b = two_levels(nodes, 2 * at + 2, ranks, 8 * i + 4);
    hn::Store(choose(nodes[at], ranks, a, b), d, settled + i * lanes);
  }
  for (count /= 2; count > 0; count /= 2) {
    for (size_t i = 0; i < count; ++i) {
      const auto left = hn::Load(d, settled + 2 * i * lanes);
      const auto right = hn::Load(d, settled + (2 * i + 1) * lanes);
      hn::Store(choose(nodes[count - 1 + i], ranks, left, right), d, settled + i * lanes);
    }
  }
  return hn::Load(d, settled);
}

template <class Node>
HWY_INLINE void find_all(const Node* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places) {
  const Bytes d;
  for (size_t row = 0; row < rows; row += hn::Lanes(d))
    hn::StoreU(find_some(nodes, depth, ranks + row), d, places + row);
}

void find_small(const uint16_t* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places) {
  find_all(nodes, depth, ranks, rows, places);
}
void find_wide(const uint32_t* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places) {
  find_all(nodes, depth, ranks, rows, places);
}

}  // namespace wb::engine::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wb::engine::kernels {

HWY_EXPORT(rank_f32);
HWY_EXPORT(rank_f64);
HWY_EXPORT(find_small);
HWY_EXPORT(find_wide);

void rank_numbers(const Ladders& ladders, RowsView<float> rows, RanksView out) {
  HWY_DYNAMIC_DISPATCH(rank_f32)(ladders, rows, out);
}
void rank_numbers(const Ladders& ladders, RowsView<double> rows, RanksView out) {
  HWY_DYNAMIC_DISPATCH(rank_f64)(ladders, rows, out);
}
void find_places(const uint16_t* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places) {
  HWY_DYNAMIC_DISPATCH(find_small)(nodes, depth, ranks, rows, places);
}
void find_places(const uint32_t* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places) {
  HWY_DYNAMIC_DISPATCH(find_wide)(nodes, depth, ranks, rows, places);
}

}  // namespace wb::engine::kernels
#endif
