// Many rows at once: up to 64 are ranked side by side, then each tree in turn is asked for all of them: its crown by
// lanes of bytes, what is below row by row, or by eight rows abreast where it is not bushy. Every row gets its leaves
// in tree order.
#include <algorithm>

#include "engine/trees.h"

namespace wb::engine {

using kernels::kRows;

// Where eight rows, `ranks` on the first of them, end in a walk.
template <class Leaf>
void Trees<Leaf>::walk_rows(const uint32_t* starts, const uint8_t* exits, const int8_t* ranks, uint32_t* found) const {
  const WalkNode* at[kAbreast];
  for (size_t i = 0; i < kAbreast; ++i) at[i] = walk_.data() + starts[exits[i]];
  for (uint32_t moved = 1; moved != 0;) {
    moved = 0;
    abreast([&](size_t i) {
      const auto left = static_cast<uint32_t>(ranks[at[i]->position * kRows + i] <= at[i]->rank);
      const uint32_t stride = at[i]->right ^ ((at[i]->right ^ 1U) & (0U - left));
      moved |= stride;
      at[i] += stride;
    });
  }
  for (size_t i = 0; i < kAbreast; ++i) found[i] = at[i]->value;
}

template <class Leaf>
void Trees<Leaf>::add_walked(size_t tree, BlockView block, Leaf* sums) const {
  const uint32_t output = outputs_[tree];
  const Entry& entry = entries_[entry_of_[tree]];
  uint8_t exits[kRows] = {};
  find_places(entry, block, exits);
  for (size_t first = 0; first < block.rows; first += kAbreast) {
    uint32_t found[kAbreast];
    walk_rows(&starts_[entry.nodes], exits + first, block.ranks + first, found);
    for (size_t i = 0; i < std::min(kAbreast, block.rows - first); ++i) {
      Leaf* into = sums + first + i;
      if (output < outputs_count_) into[output * kRows] += values_[found[i]];
      for (size_t j = 0; output == outputs_count_ && j < outputs_count_; ++j) into[j * kRows] += values_[found[i] + j];
    }
  }
}

// Where the rows end in a bushy tree: its leaves, counted from the left.
template <class Leaf>
template <class Position, class Node>
void Trees<Leaf>::find_rows_below(const Entry& entry, const std::vector<kernels::Crown<Position>>& crowns,
                                  const std::vector<Node>& heaps, BlockView block, uint16_t* places) {
  uint8_t exits[kRows];
  kernels::find_places(crowns[entry.crown], kernels::kCrownLevels, block.ranks, block.rows, exits);
  const Node* nodes = heaps.data() + entry.nodes;
  with_levels(entry.rest_levels, [&](auto constant) {
    constexpr size_t kLevels = decltype(constant)::value;
    for (size_t row = 0; row < block.rows; ++row) {
      const uint32_t heap = uint32_t{exits[row]} << kLevels;
      places[row] = static_cast<uint16_t>(heap + descend<kLevels>(nodes + heap, block.ranks + row, kRows));
    }
  });
}

template <class Leaf>
void Trees<Leaf>::find_places(const Entry& entry, BlockView block, uint8_t* places) const {
  const size_t levels = kernels::kCrownLevels - entry.shift;
  if (small_) return kernels::find_places(crowns_small_[entry.crown], levels, block.ranks, block.rows, places);
  kernels::find_places(crowns_wide_[entry.crown], levels, block.ranks, block.rows, places);
}
template <class Leaf>
void Trees<Leaf>::find_places(const Entry& entry, BlockView block, uint16_t* places) const {
  if (small_) return find_rows_below(entry, crowns_small_, heaps_small_, block, places);
  find_rows_below(entry, crowns_wide_, heaps_wide_, block, places);
}

// Bushy trees of one output, all with levels below their crowns (Place is u16) or none (u8). A row's sum stays in a
// register for all of them.
template <class Leaf>
template <class Place>
void Trees<Leaf>::add_together(size_t first, size_t count, BlockView block, Leaf* sums) const {
  Place places[kAbreast][kRows];
  const Leaf* leaves[kAbreast];
  for (size_t i = 0; i < count; ++i) {
    const Entry& entry = entries_[entry_of_[first + i]];
    leaves[i] = values_.data() + entry.leaves;
    find_places(entry, block, places[i]);
  }
  Leaf* into = sums + outputs_[first] * kRows;
  for (size_t row = 0; row < block.rows; ++row) {
    Leaf sum = into[row];
    if (count == kAbreast) {
      abreast([&](size_t i) { sum += leaves[i][places[i][row]]; });
    } else {
      for (size_t i = 0; i < count; ++i) sum += leaves[i][places[i][row]];
    }
    into[row] = sum;
  }
}

template <class Leaf>
void Trees<Leaf>::add_block(BlockView block, Leaf* sums) const {
  for (size_t tree = 0; tree < outputs_.size();) {
    const auto entry = [&](size_t i) -> const Entry& { return entries_[entry_of_[i]]; };
    if (!entry(tree).bushy) {
      add_walked(tree++, block, sums);
      continue;
    }
    const bool deep = entry(tree).rest_levels > 0;
    size_t count = 1;
    for (; count < kAbreast && tree + count < outputs_.size(); ++count) {
      const Entry& next = entry(tree + count);
      if (!next.bushy || (next.rest_levels > 0) != deep || outputs_[tree + count] != outputs_[tree]) break;
    }
    if (deep) add_together<uint16_t>(tree, count, block, sums);
    if (!deep) add_together<uint8_t>(tree, count, block, sums);
    tree += count;
  }
}

template void Trees<float>::add_block(BlockView block, float* sums) const;
template void Trees<double>::add_block(BlockView block, double* sums) const;

}  // namespace wb::engine
