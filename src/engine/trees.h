#pragma once
// The trees of a model, laid out for being asked in ranks (ranker.h): one byte comparison a split, whatever library the
// model came from.
//
// Each tree has a crown, the top six levels, which kernels.h asks all at once. Below the crown of a bushy tree hang
// small heaps, one from each exit: there the children of node i are 2i and 2i + 1, so that a step is arithmetic. Below
// other crowns the rest stands in preorder, with the distance to the right child, and is walked eight abreast, because
// one walk waits for each load and eight hide the waiting. First a batch of trees finds its leaves, in any order; then
// they are added in tree order, in the precision of the library: the margins are those of reference.h, bit for bit.
//
// Which way is taken depends on the shape of model and call alone. Measuring at load would need a clock, which this
// code has not, and two starts could then take different ways.

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/ranker.h"

namespace wb::engine {

// Up to kernels::kRows rows. ranks: [positions + 1, kRows], 64-aligned; those of the last position are kRankHighest.
struct BlockView {
  const int8_t* ranks = nullptr;
  size_t rows = 0;
};

// Leaf is float or double: what the margins are summed in.
template <class Leaf>
class Trees {
 public:
  Trees() = default;
  Trees(const RankedForest& ranked, const Ranker& ranker, size_t outputs);
  // ranks: [positions + 1], the last is kRankHighest; readable to the next multiple of 64. Adds each tree's leaf to its
  // margin, in tree order.
  void add(const int8_t* ranks, Leaf* margins) const;
  // sums: [outputs, kRows].
  void add_block(BlockView block, Leaf* sums) const;
  size_t memory_bytes() const;

 private:
  static constexpr size_t kAbreast = 8;
  static constexpr size_t kBatch = 64;
  static constexpr size_t kRestLevelsMax = 4;
  // A tree. Those of a batch are sorted by kind and depth; entry_of_ knows where.
  struct Entry {
    uint32_t crown = 0;
    uint32_t nodes = 0;   // where its heaps below the crown begin, or in starts_, by exit, its nodes in preorder
    uint32_t leaves = 0;  // of a bushy tree: where its leaves begin
    uint8_t tree = 0;     // its number in the batch
    uint8_t shift = 0;    // an exit of the crown, less these bits, is a leaf (no levels below) or a heap
    uint8_t rest_levels = 0;
    bool bushy = false;
  };
  struct Group {  // of a batch: entries of one kind, behind each other, as are their crowns
    uint32_t first = 0;
    uint32_t count = 0;
  };
  // In preorder. A leaf has right = 0 and reads the last rank, the highest: it steps onto itself.
  struct WalkNode {
    uint32_t right = 0;  // distance
    uint32_t value = 0;  // of a leaf: where its values begin
    uint16_t position = 0;
    int8_t rank = 0;
  };
  class Builder;

  template <class Node>
  static size_t position_of(Node node) {
    return node & ((Node{1} << (4 * sizeof(Node))) - 1);
  }
  static int8_t rank_of(uint16_t node) { return static_cast<int8_t>(node >> 8); }
  static int8_t rank_of(uint32_t node) { return static_cast<int8_t>(node >> 16); }
  // The leaf below a heap, counted from its left. `stride` and `ranks`: of a row in a RanksView.
  template <size_t kLevels, class Node>
  static uint32_t descend(const Node* heap, const int8_t* ranks, size_t stride);
  // Calls visit with 1 to kRestLevelsMax, as a constant.
  template <class Visit>
  static void with_levels(size_t levels, const Visit& visit);

  static uint32_t leaf_at(const Entry& entry, uint8_t exit) {  // of a tree without levels below its crown
    return entry.leaves + (uint32_t{exit} >> entry.shift);
  }
  void find_exits(const Group& group, const int8_t* ranks, uint8_t* exits) const;
  void find(const Group& group, const int8_t* ranks, uint32_t* found) const;
  template <class Node>
  void find_below(const Group& group, const Node* heaps, const int8_t* ranks, uint32_t* found) const;
  void find_by_walking(const Group& group, const int8_t* ranks, uint32_t* found) const;
  template <class LeafOf>
  void sum_leaves(size_t first, size_t count, const LeafOf& leaf_of, Leaf* margins) const;
  void sum_vectors(size_t first, size_t count, const uint32_t* found, Leaf* margins) const;

  void walk_rows(const uint32_t* starts, const uint8_t* exits, const int8_t* ranks, uint32_t* found) const;
  void add_walked(size_t tree, BlockView block, Leaf* sums) const;
  template <class Position, class Node>
  static void find_rows_below(const Entry& entry, const std::vector<kernels::Crown<Position>>& crowns,
                              const std::vector<Node>& heaps, BlockView block, uint16_t* places);
  void find_places(const Entry& entry, BlockView block, uint8_t* places) const;
  void find_places(const Entry& entry, BlockView block, uint16_t* places) const;
  template <class Place>
  void add_together(size_t first, size_t count, BlockView block, Leaf* sums) const;

  size_t outputs_count_ = 0;
  size_t positions_count_ = 0;
  bool small_ = false;              // every position fits in a byte
  bool vectors_ = false;            // some tree's leaves are vectors: trees stand in their own order, else by output
  std::vector<uint32_t> outputs_;   // of each tree; outputs_count_: its leaves are vectors
  std::vector<uint32_t> entry_of_;  // each tree
  std::vector<Entry> entries_;
  std::vector<Group> groups_;
  std::vector<kernels::Crown<uint8_t>> crowns_small_;
  std::vector<kernels::Crown<uint16_t>> crowns_wide_;
  std::vector<uint16_t> heaps_small_;  // position | rank << 8
  std::vector<uint32_t> heaps_wide_;   // position | rank << 16
  std::vector<uint32_t> starts_;
  std::vector<WalkNode> walk_;
  std::vector<Leaf> values_;
};

template <class Leaf>
template <size_t kLevels, class Node>
uint32_t Trees<Leaf>::descend(const Node* heap, const int8_t* ranks, size_t stride) {
  uint32_t at = 1;
  for (size_t level = 0; level < kLevels; ++level) {
    const Node node = heap[at];
    at = 2 * at + static_cast<uint32_t>(ranks[position_of(node) * stride] > rank_of(node));
  }
  return at - (1U << kLevels);
}

template <class Leaf>
template <class Visit>
void Trees<Leaf>::with_levels(size_t levels, const Visit& visit) {
  static_assert(kRestLevelsMax == 4);
  switch (levels) {
    case 1: return visit(std::integral_constant<size_t, 1>());
    case 2: return visit(std::integral_constant<size_t, 2>());
    case 3: return visit(std::integral_constant<size_t, 3>());
    default: return visit(std::integral_constant<size_t, 4>());
  }
}

// Does `step` for 0 to 7, unrolled under every compiler and optimisation level.
template <class Step, size_t... kIndex>
inline void abreast_of(const Step& step, std::index_sequence<kIndex...>) {
  (step(kIndex), ...);
}
template <class Step>
inline void abreast(const Step& step) {
  abreast_of(step, std::make_index_sequence<8>());
}

}  // namespace wb::engine
