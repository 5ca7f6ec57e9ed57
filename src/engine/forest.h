#pragma once
// The fast predictor: a row is ranked once (ranker.h); then every split is one comparison of bytes, whatever library
// the model came from.
//
// Of a row alone, trees are walked eight abreast, because one walk waits for each load and eight hide the waiting;
// trees of like depth go together, so that none waits long for another. Bushy trees stand as heaps: the children of
// node i are 2i + 1 and 2i + 2, so that a node is two small numbers and a step is arithmetic. Others stand in preorder
// with the distance to the right child. First a batch of trees finds its leaves, in any order; then the leaves are
// added in tree order, in the precision of the library: the margins are those of reference.h, bit for bit. Many rows go
// in blocks: block.cpp.

#include <array>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "engine/ranker.h"

namespace wb::engine {

// Leaf is float or double: what the margins are summed in.
template <class Leaf>
class Trees {
 public:
  Trees() = default;
  Trees(const RankedForest& ranked, const Ranker& ranker, size_t outputs);
  // ranks: u8[positions + 1], whose last is 255. Adds each tree's leaf to its margin, in tree order.
  void add(const uint8_t* ranks, Leaf* margins) const;
  // For up to kernels::kRows rows. ranks: u8[positions + 1, kRows], flipped; sums: [outputs, kRows].
  void add_block(const uint8_t* ranks, size_t rows, Leaf* sums) const;
  size_t memory_bytes() const;

 private:
  static constexpr size_t kAbreast = 8;
  static constexpr size_t kBatch = 256;
  // Up to eight trees of a batch, heaps padded to one depth or walks. A short group names its last tree several times.
  struct Group {
    std::array<uint32_t, kAbreast> nodes = {};   // where each tree's nodes begin
    std::array<uint32_t, kAbreast> leaves = {};  // of heaps: where its leaves begin
    std::array<uint8_t, kAbreast> trees = {};    // its number in the batch
    uint8_t depth = 0;
    bool heap = false;
  };
  // In preorder. A leaf has right = 0 and reads the last rank, which is 255: it steps onto itself.
  struct WalkNode {
    uint32_t right = 0;  // distance
    uint32_t value = 0;  // of a leaf: where its values begin
    uint16_t position = 0;
    uint8_t rank = 0;
  };
  struct Tree {  // in the ranked forest
    size_t nodes_begin = 0, nodes_end = 0, splits_begin = 0, values_begin = 0;
    size_t leaves = 0, depth = 0;
    bool vectors = false;
  };
  struct Root {  // where a tree begins, for asking one tree after the other
    uint32_t nodes = 0;
    uint32_t leaves = 0;
    uint8_t depth = 0;
    bool heap = false;
  };
  class Builder;

  template <class Node>
  void find_in_heaps(const Group& group, const std::vector<Node>& nodes, const uint8_t* ranks,
                     const Leaf** found) const;
  void find_by_walking(const Group& group, const uint8_t* ranks, const Leaf** found) const;

  template <class Node>
  static void descend(const Node* nodes, size_t depth, const uint8_t* ranks, size_t* places);
  void walk_rows(const WalkNode* root, const uint8_t* ranks, const Leaf** found) const;
  void add_eight(size_t tree, const uint8_t* ranks, size_t rows, Leaf* sums) const;

  size_t outputs_count_ = 0;
  bool small_ = false;             // every position fits in a byte
  std::vector<uint32_t> outputs_;  // of each tree; outputs_count_: its leaves are vectors
  std::vector<Root> roots_;
  std::vector<Group> groups_;
  std::vector<uint32_t> batches_;     // where each batch's groups end
  std::vector<uint16_t> heap_small_;  // position | rank << 8
  std::vector<uint32_t> heap_wide_;   // position | rank << 16
  std::vector<Leaf> heap_leaves_;
  std::vector<WalkNode> walk_;
  std::vector<Leaf> values_;
};

class Forest {
 public:
  Forest() = default;
  // Of what rank_forest() or read_package() gives; `model` need not hold trees.
  Forest(const RankedForest& ranked, const Description& model);

  size_t trees_count() const { return trees_count_; }
  size_t nodes_count() const { return nodes_count_; }
  size_t memory_bytes() const;  // of what stands on the heap
  // rows: [n, columns], NaN = missing → margins: [n, outputs]. Allocates nothing. Which kernel serves depends on the
  // shape alone, since this code has no clock to measure by: 16 rows or more go side by side (block.cpp), fewer, and
  // models with very many ranks or outputs, one by one.
  template <class Column, class Out>
  void predict(std::span<const Column> rows, size_t n, std::span<Out> margins) const;

 private:
  static constexpr size_t kBlockRowsMin = 16;
  static constexpr size_t kBlockPositionsMax = 1'023;  // 64 KiB of stack
  static constexpr size_t kBlockOutputsMax = 32;

  template <class Leaf>
  Leaf finished(Leaf sum, size_t output) const;
  template <class Leaf, class Column, class Out>
  void predict_row(const Trees<Leaf>& trees, std::span<const Column> columns, Out* margins) const;
  template <class Leaf, class Column, class Out>
  void predict_block(const Trees<Leaf>& trees, kernels::RowsView<Column> rows, Out* margins) const;

  Sum sum_;
  std::optional<Linear> linear_;
  std::vector<double> base_margins_;
  size_t trees_count_ = 0;
  size_t nodes_count_ = 0;
  Ranker ranker_;
  std::variant<Trees<float>, Trees<double>> trees_;
};

}  // namespace wb::engine
