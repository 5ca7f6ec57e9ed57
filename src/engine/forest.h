#pragma once
// The fast predictor: a row is ranked once (ranker.h), its leaves are found and added in tree order (trees.h). Few rows
// go one by one, many side by side in blocks; both ways give the margins of reference.h, bit for bit.

#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "engine/trees.h"

namespace wb::engine {

class Forest {
 public:
  Forest() = default;
  // Of what rank_forest() or read_package() gives; `model` need not hold trees.
  Forest(const RankedForest& ranked, const Description& model);

  size_t trees_count() const { return trees_count_; }
  size_t nodes_count() const { return nodes_count_; }
  size_t memory_bytes() const;  // of what stands on the heap
  // rows: [n, columns], NaN = missing → margins: [n, outputs]. Allocates nothing. 16 rows or more go side by side,
  // fewer, and models with very many ranks or outputs, one by one.
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
