#pragma once
// The fast predictor: a row is ranked once (ranker.h); then every split is one comparison of bytes, whatever library
// the model came from.
//
// Trees are walked eight abreast, because one walk waits for each load and eight hide the waiting; trees of like depth
// go together, so that none waits long for another. Bushy trees stand as heaps: the children of node i are 2i + 1 and
// 2i + 2, so that a node is two small numbers and a step is arithmetic. Others stand in preorder with the distance to
// the right child. First a batch of trees finds its leaves, in any order; then the leaves are added in tree order, in
// the precision of the library: the margins are those of reference.h, bit for bit.

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
  class Builder;

  template <class Node>
  void find_in_heaps(const Group& group, const std::vector<Node>& nodes, const uint8_t* ranks,
                     const Leaf** found) const;
  void find_by_walking(const Group& group, const uint8_t* ranks, const Leaf** found) const;

  size_t outputs_count_ = 0;
  bool small_ = false;             // every position fits in a byte
  std::vector<uint32_t> outputs_;  // of each tree; outputs_count_: its leaves are vectors
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
  // columns: [columns], NaN = missing → margins: f64[outputs]. Allocates nothing.
  void predict(std::span<const float> columns, std::span<double> margins) const;
  void predict(std::span<const double> columns, std::span<double> margins) const;

 private:
  template <class Leaf, class Column>
  void sum_up(const Trees<Leaf>& trees, std::span<const Column> columns, const uint8_t* ranks,
              std::span<double> margins) const;
  template <class Column>
  void predict_any(std::span<const Column> columns, std::span<double> margins) const;

  Sum sum_;
  std::optional<Linear> linear_;
  std::vector<double> base_margins_;
  size_t trees_count_ = 0;
  size_t nodes_count_ = 0;
  Ranker ranker_;
  std::variant<Trees<float>, Trees<double>> trees_;
};

}  // namespace wb::engine
