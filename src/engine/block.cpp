// Many rows at once: up to 64 are ranked side by side, then each tree in turn is asked for all of them. Trees that are
// no heaps, or too deep to ask every node, are walked by eight rows abreast. Every row gets its leaves in tree order.
#include <algorithm>

#include "engine/forest.h"
#include "engine/walk.h"

namespace wb::engine {

using kernels::kRows;

// Where eight rows, `ranks` on the first of them, end in a heap or a walk.
template <class Leaf>
template <class Node>
void Trees<Leaf>::descend(const Node* nodes, size_t depth, const uint8_t* ranks, size_t* places) {
  size_t at[kAbreast] = {};
  for (size_t level = 0; level < depth; ++level) {
    abreast([&](size_t i) {
      const Node node = nodes[at[i]];
      const uint32_t rank = ranks[position_of(node) * kRows + i] ^ kernels::kBlockFlip;
      at[i] = 2 * at[i] + 1 + static_cast<size_t>(rank > rank_of(node));
    });
  }
  for (size_t i = 0; i < kAbreast; ++i) places[i] = at[i] + 1 - (size_t{1} << depth);
}

template <class Leaf>
void Trees<Leaf>::walk_rows(const WalkNode* root, const uint8_t* ranks, const Leaf** found) const {
  const WalkNode* at[kAbreast];
  for (const WalkNode*& node : at) node = root;
  for (uint32_t moved = 1; moved != 0;) {
    moved = 0;
    abreast([&](size_t i) {
      const uint32_t rank = ranks[at[i]->position * kRows + i] ^ kernels::kBlockFlip;
      const auto left = static_cast<uint32_t>(rank <= at[i]->rank);
      const uint32_t stride = at[i]->right ^ ((at[i]->right ^ 1U) & (0U - left));
      moved |= stride;
      at[i] += stride;
    });
  }
  for (size_t i = 0; i < kAbreast; ++i) found[i] = values_.data() + at[i]->value;
}

template <class Leaf>
void Trees<Leaf>::add_eight(size_t tree, const uint8_t* ranks, size_t rows, Leaf* sums) const {
  const Root& root = roots_[tree];
  const Leaf* found[kAbreast];
  if (root.heap) {
    size_t places[kAbreast];
    if (small_) descend(heap_small_.data() + root.nodes, root.depth, ranks, places);
    if (!small_) descend(heap_wide_.data() + root.nodes, root.depth, ranks, places);
    for (size_t i = 0; i < kAbreast; ++i) found[i] = heap_leaves_.data() + root.leaves + places[i];
  } else {
    walk_rows(walk_.data() + root.nodes, ranks, found);
  }
  const uint32_t output = outputs_[tree];
  for (size_t i = 0; i < std::min(kAbreast, rows); ++i) {
    if (output < outputs_count_) sums[output * kRows + i] += *found[i];
    for (size_t j = 0; output == outputs_count_ && j < outputs_count_; ++j) sums[j * kRows + i] += found[i][j];
  }
}

template <class Leaf>
void Trees<Leaf>::add_block(const uint8_t* ranks, size_t rows, Leaf* sums) const {
  for (size_t tree = 0; tree < roots_.size(); ++tree) {
    const Root& root = roots_[tree];
    if (!root.heap || root.depth > kernels::kLaneDepthMax) {
      for (size_t row = 0; row < rows; row += kAbreast) add_eight(tree, ranks + row, rows - row, sums + row);
      continue;
    }
    uint8_t places[kRows];
    if (small_) kernels::find_places(heap_small_.data() + root.nodes, root.depth, ranks, rows, places);
    if (!small_) kernels::find_places(heap_wide_.data() + root.nodes, root.depth, ranks, rows, places);
    const Leaf* leaves = heap_leaves_.data() + root.leaves;
    Leaf* into = sums + outputs_[tree] * kRows;
    for (size_t row = 0; row < rows; ++row) into[row] += leaves[places[row]];
  }
}

template void Trees<float>::add_block(const uint8_t* ranks, size_t rows, float* sums) const;
template void Trees<double>::add_block(const uint8_t* ranks, size_t rows, double* sums) const;

}  // namespace wb::engine
