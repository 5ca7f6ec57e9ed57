// Rows to margins: ranked, started from the base margins and what is linear, asked of the trees, finished.
#include "engine/forest.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace wb::engine {
namespace {

// In the precision of the sums, column after column.
template <class Leaf, class Column>
void add_linear(const Linear& linear, std::span<const Column> columns, std::span<Leaf> sums) {
  const double* weights = linear.weights.data();
  for (Leaf& sum : sums) {
    for (const Column column : columns) {
      const auto x = static_cast<Leaf>(column);
      const auto weight = static_cast<Leaf>(*weights++);
      if (!linear.skips_missing || !std::isnan(x)) sum += weight * x;
    }
  }
}

}  // namespace

Forest::Forest(const RankedForest& ranked, const Description& model)
    : sum_(model.sum),
      linear_(model.linear),
      base_margins_(model.base_margins),
      trees_count_(ranked.outputs.size()),
      nodes_count_(ranked.leaf.size()),
      ranker_(ranked.slots, model) {
  if (sum_.precision == Precision::kF32) trees_ = Trees<float>(ranked, ranker_, model.outputs_count());
  if (sum_.precision == Precision::kF64) trees_ = Trees<double>(ranked, ranker_, model.outputs_count());
}

size_t Forest::memory_bytes() const {
  const auto* f32 = std::get_if<Trees<float>>(&trees_);
  const size_t weights = linear_ ? linear_->weights.size() * sizeof(double) : 0;
  return weights + ranker_.memory_bytes() +
         (f32 != nullptr ? f32->memory_bytes() : std::get_if<1>(&trees_)->memory_bytes());
}

template <class Leaf>
Leaf Forest::finished(Leaf sum, size_t output) const {
  if (sum_.divisor) sum /= static_cast<Leaf>(*sum_.divisor);
  if (sum_.factor) sum *= static_cast<Leaf>(*sum_.factor);
  if (!sum_.offsets.empty()) sum += static_cast<Leaf>(sum_.offsets[output]);
  return sum;
}

template <class Leaf, class Column, class Out>
void Forest::predict_row(const Trees<Leaf>& trees, std::span<const Column> columns, Out* margins) const {
  std::array<int8_t, kPositionsMax + Ranker::kPositionsMore + kernels::kRows> ranks;  // 32 KiB of stack
  const size_t positions = ranker_.positions_count();
  std::fill_n(ranks.begin() + static_cast<ptrdiff_t>(positions), kernels::kRows, kernels::kRankHighest);
  ranker_.rank(kernels::RowsView<Column>{columns.data(), columns.size(), 1}, {ranks.data(), 1});
  std::array<Leaf, limits::kOutputsMax> sums;
  const size_t outputs = base_margins_.size();
  for (size_t i = 0; i < outputs; ++i) sums[i] = static_cast<Leaf>(base_margins_[i]);
  if (linear_) add_linear(*linear_, columns, std::span(sums).first(outputs));
  trees.add(ranks.data(), sums.data());
  for (size_t i = 0; i < outputs; ++i) margins[i] = static_cast<Out>(finished(sums[i], i));
}

template <class Leaf, class Column, class Out>
void Forest::predict_block(const Trees<Leaf>& trees, kernels::RowsView<Column> rows, Out* margins) const {
  constexpr size_t kRows = kernels::kRows;
  const size_t outputs = base_margins_.size();
  const size_t positions = ranker_.positions_count();
  alignas(64) std::array<int8_t, (kBlockPositionsMax + Ranker::kPositionsMore) * kRows> ranks;
  std::array<Leaf, kBlockOutputsMax * kRows> sums;
  if (rows.count < kRows) std::fill_n(ranks.begin(), positions * kRows, int8_t{0});
  ranker_.rank(rows, {ranks.data(), kRows});
  std::fill_n(ranks.begin() + static_cast<ptrdiff_t>(positions * kRows), kRows, kernels::kRankHighest);
  for (size_t i = 0; i < outputs; ++i) {
    std::fill_n(sums.begin() + static_cast<ptrdiff_t>(i * kRows), kRows, static_cast<Leaf>(base_margins_[i]));
  }
  for (size_t row = 0; linear_ && row < rows.count; ++row) {
    std::array<Leaf, kBlockOutputsMax> of_row;
    for (size_t i = 0; i < outputs; ++i) of_row[i] = sums[i * kRows + row];
    add_linear(*linear_, std::span(rows.columns + row * rows.stride, rows.stride), std::span(of_row).first(outputs));
    for (size_t i = 0; i < outputs; ++i) sums[i * kRows + row] = of_row[i];
  }
  trees.add_block({ranks.data(), rows.count}, sums.data());
  for (size_t row = 0; row < rows.count; ++row) {
    for (size_t i = 0; i < outputs; ++i)
      margins[row * outputs + i] = static_cast<Out>(finished(sums[i * kRows + row], i));
  }
}

template <class Column, class Out>
void Forest::predict(std::span<const Column> rows, size_t n, std::span<Out> margins) const {
  const size_t outputs = base_margins_.size();
  WB_ASSERT(margins.size() == n * outputs && (n == 0 || rows.size() % n == 0));
  const size_t width = n == 0 ? 0 : rows.size() / n;
  const bool blocks = ranker_.positions_count() <= kBlockPositionsMax && outputs <= kBlockOutputsMax;
  std::visit(
      [&](const auto& trees) {
        size_t row = 0;
        while (blocks && n - row >= kBlockRowsMin) {
          const size_t count = std::min(kernels::kRows, n - row);
          predict_block(trees, kernels::RowsView<Column>{rows.data() + row * width, width, count},
                        margins.data() + row * outputs);
          row += count;
        }
        for (; row < n; ++row) predict_row(trees, rows.subspan(row * width, width), margins.data() + row * outputs);
      },
      trees_);
}
template void Forest::predict(std::span<const float>, size_t, std::span<float>) const;
template void Forest::predict(std::span<const double>, size_t, std::span<float>) const;
template void Forest::predict(std::span<const double>, size_t, std::span<double>) const;

}  // namespace wb::engine
