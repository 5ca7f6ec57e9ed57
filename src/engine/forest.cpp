// Trees laid out for walking, and the walks.
#include "engine/forest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <utility>

#include "engine/walk.h"

namespace wb::engine {
namespace {

// Bushy enough for a heap: its places are at most eight times the leaves that fill them.
constexpr size_t kHeapDepthMax = 10;
constexpr size_t kHeapSpread = 8;

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

template <class Leaf>
class Trees<Leaf>::Builder {
 public:
  Builder(const RankedForest& ranked, const Ranker& ranker, Trees& out) : ranked_(ranked), ranker_(ranker), out_(out) {
    out_.small_ = ranker.positions_count() <= 256;
    out_.outputs_ = ranked.outputs;
    out_.roots_.resize(ranked.outputs.size());
    measure();
    for (size_t first = 0; first < trees_.size(); first += kBatch)
      add_batch(first, std::min(kBatch, trees_.size() - first));
  }

 private:
  // Where each tree begins, how deep and how bushy it is.
  void measure() {
    size_t node = 0;
    size_t split = 0;
    size_t value = 0;
    for (const uint32_t output : ranked_.outputs) {
      Tree tree{node, node, split, value, 0, 0, output == out_.outputs_count_};
      std::vector<bool> right_side;
      do {
        if (!ranked_.leaf[node++]) {
          ++split;
          right_side.push_back(false);
          tree.depth = std::max(tree.depth, right_side.size());
          continue;
        }
        ++tree.leaves;
        value += tree.vectors ? out_.outputs_count_ : 1;
        while (!right_side.empty() && right_side.back()) right_side.pop_back();
        if (right_side.empty()) break;
        right_side.back() = true;
      } while (true);
      tree.nodes_end = node;
      trees_.push_back(tree);
    }
  }

  static bool bushy(const Tree& tree, size_t depth) {
    return !tree.vectors && depth <= kHeapDepthMax && (size_t{1} << depth) <= kHeapSpread * tree.leaves;
  }

  // Heaps before walks, shallow before deep.
  void add_batch(size_t first, size_t count) {
    std::vector<uint8_t> order(count);
    for (size_t i = 0; i < count; ++i) order[i] = static_cast<uint8_t>(i);
    const auto key = [&](uint8_t i) {
      const Tree& tree = trees_[first + i];
      return std::tuple(!bushy(tree, tree.depth), tree.depth, i);
    };
    std::sort(order.begin(), order.end(), [&](uint8_t a, uint8_t b) { return key(a) < key(b); });
    for (size_t at = 0; at < count;) at += add_group(first, std::span(order).subspan(at));
    out_.batches_.push_back(static_cast<uint32_t>(out_.groups_.size()));
  }

  // As many of `order` as go together; gives how many. Later ones are at least as deep.
  size_t add_group(size_t batch, std::span<const uint8_t> order) {
    const auto tree = [&](size_t i) -> const Tree& { return trees_[batch + order[i]]; };
    const bool heap = bushy(tree(0), tree(0).depth);
    size_t count = 1;
    for (; count < std::min(kAbreast, order.size()); ++count) {
      bool together = bushy(tree(count), tree(count).depth) == heap;
      for (size_t i = 0; heap && i < count; ++i) together = together && bushy(tree(i), tree(count).depth);
      if (!together) break;
    }
    Group group;
    group.heap = heap;
    group.depth = static_cast<uint8_t>(tree(count - 1).depth);
    for (size_t i = 0; i < kAbreast; ++i) {
      const size_t last = std::min(i, count - 1);
      group.trees[i] = order[last];
      group.nodes[i] = i < count ? nodes_end(heap) : group.nodes[last];
      group.leaves[i] = i < count ? static_cast<uint32_t>(out_.heap_leaves_.size()) : group.leaves[last];
      if (i < count) out_.roots_[batch + order[i]] = Root{group.nodes[i], group.leaves[i], group.depth, heap};
      if (i < count && heap) add_heap(tree(i), group.depth);
      if (i < count && !heap) add_walk(tree(i));
    }
    out_.groups_.push_back(group);
    return count;
  }

  uint32_t nodes_end(bool heap) const {
    if (!heap) return static_cast<uint32_t>(out_.walk_.size());
    return static_cast<uint32_t>(out_.small_ ? out_.heap_small_.size() : out_.heap_wide_.size());
  }

  Question question(size_t split) const {
    return ranker_.question(ranked_.slot[split], ranked_.rank[split], ranked_.left[split]);
  }

  // Places that no node fills ask a question that everything answers with left: a rank is at most 255.
  void add_heap(const Tree& tree, size_t depth) {
    const size_t splits = (size_t{1} << depth) - 1;
    std::vector<Question> places(splits, Question{0, 255});
    std::vector<Leaf> leaves(splits + 1, Leaf{0});
    std::vector<size_t> due{0};  // places
    size_t split = tree.splits_begin;
    size_t value = tree.values_begin;
    for (size_t node = tree.nodes_begin; node < tree.nodes_end; ++node) {
      size_t place = due.back();
      due.pop_back();
      if (!ranked_.leaf[node]) {
        places[place] = question(split++);
        due.push_back(2 * place + 2);
        due.push_back(2 * place + 1);
        continue;
      }
      while (place < splits) place = 2 * place + 1;
      leaves[place - splits] = static_cast<Leaf>(ranked_.values[value++]);
    }
    for (const Question& place : places) {
      if (out_.small_) out_.heap_small_.push_back(static_cast<uint16_t>(place.position | place.rank << 8));
      if (!out_.small_) out_.heap_wide_.push_back(place.position | static_cast<uint32_t>(place.rank) << 16);
    }
    out_.heap_leaves_.insert(out_.heap_leaves_.end(), leaves.begin(), leaves.end());
  }

  void add_walk(const Tree& tree) {
    size_t split = tree.splits_begin;
    size_t value = tree.values_begin;
    std::vector<size_t> open;
    for (size_t node = tree.nodes_begin; node < tree.nodes_end; ++node) {
      const size_t at = out_.walk_.size();
      if (!ranked_.leaf[node]) {
        const Question asks = question(split++);
        out_.walk_.push_back(WalkNode{0, 0, asks.position, asks.rank});
        open.push_back(at);
        continue;
      }
      out_.walk_.push_back(
          WalkNode{0, static_cast<uint32_t>(out_.values_.size()), static_cast<uint16_t>(ranker_.positions_count()), 0});
      for (size_t i = 0; i < (tree.vectors ? out_.outputs_count_ : 1); ++i)
        out_.values_.push_back(static_cast<Leaf>(ranked_.values[value++]));
      if (open.empty()) break;
      out_.walk_[open.back()].right = static_cast<uint32_t>(at + 1 - open.back());
      open.pop_back();
    }
  }

  const RankedForest& ranked_;
  const Ranker& ranker_;
  Trees& out_;
  std::vector<Tree> trees_;
};

template <class Leaf>
Trees<Leaf>::Trees(const RankedForest& ranked, const Ranker& ranker, size_t outputs) : outputs_count_(outputs) {
  Builder(ranked, ranker, *this);
}

template <class Leaf>
size_t Trees<Leaf>::memory_bytes() const {
  return (outputs_.size() + batches_.size()) * 4 + roots_.size() * sizeof(Root) + groups_.size() * sizeof(Group) +
         heap_small_.size() * 2 + heap_wide_.size() * 4 + (heap_leaves_.size() + values_.size()) * sizeof(Leaf) +
         walk_.size() * sizeof(WalkNode);
}

template <class Leaf>
template <class Node>
void Trees<Leaf>::find_in_heaps(const Group& group, const std::vector<Node>& nodes, const uint8_t* ranks,
                                const Leaf** found) const {
  const Node* roots[kAbreast];
  size_t at[kAbreast] = {};
  for (size_t i = 0; i < kAbreast; ++i) roots[i] = nodes.data() + group.nodes[i];
  for (size_t level = 0; level < group.depth; ++level) {
    abreast([&](size_t i) {
      const Node node = roots[i][at[i]];
      at[i] = 2 * at[i] + 1 + static_cast<size_t>(ranks[position_of(node)] > rank_of(node));
    });
  }
  const size_t splits = (size_t{1} << group.depth) - 1;
  for (size_t i = 0; i < kAbreast; ++i) found[group.trees[i]] = &heap_leaves_[group.leaves[i] + at[i] - splits];
}

template <class Leaf>
void Trees<Leaf>::find_by_walking(const Group& group, const uint8_t* ranks, const Leaf** found) const {
  const WalkNode* at[kAbreast];
  for (size_t i = 0; i < kAbreast; ++i) at[i] = walk_.data() + group.nodes[i];
  // Arithmetic on purpose: written with ?: compilers make it a branch, which guesses wrong half of the time.
  for (uint32_t moved = 1; moved != 0;) {
    moved = 0;
    abreast([&](size_t i) {
      const auto left = static_cast<uint32_t>(ranks[at[i]->position] <= at[i]->rank);
      const uint32_t stride = at[i]->right ^ ((at[i]->right ^ 1U) & (0U - left));
      moved |= stride;
      at[i] += stride;
    });
  }
  for (size_t i = 0; i < kAbreast; ++i) found[group.trees[i]] = values_.data() + at[i]->value;
}

template <class Leaf>
void Trees<Leaf>::add(const uint8_t* ranks, Leaf* margins) const {
  const Leaf* found[kBatch];
  size_t group = 0;
  for (size_t batch = 0; batch < batches_.size(); ++batch) {
    for (; group < batches_[batch]; ++group) {
      const Group& next = groups_[group];
      if (!next.heap) {
        find_by_walking(next, ranks, found);
      } else if (small_) {
        find_in_heaps(next, heap_small_, ranks, found);
      } else {
        find_in_heaps(next, heap_wide_, ranks, found);
      }
    }
    const size_t first = batch * kBatch;
    const size_t count = std::min(kBatch, outputs_.size() - first);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t output = outputs_[first + i];
      if (output < outputs_count_) margins[output] += *found[i];
      for (size_t j = 0; output == outputs_count_ && j < outputs_count_; ++j) margins[j] += found[i][j];
    }
  }
}

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
  std::array<uint8_t, kPositionsMax + 1> ranks;  // 32 KiB of stack
  ranker_.rank(kernels::RowsView<Column>{columns.data(), columns.size(), 1}, {ranks.data(), 1, 0});
  ranks[ranker_.positions_count()] = 255;
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
  alignas(64) std::array<uint8_t, (kBlockPositionsMax + 1) * kRows> ranks;
  std::array<Leaf, kBlockOutputsMax * kRows> sums;
  if (rows.count < kRows) std::fill_n(ranks.begin(), positions * kRows, uint8_t{0});
  ranker_.rank(rows, {ranks.data(), kRows, kernels::kBlockFlip});
  std::fill_n(ranks.begin() + static_cast<ptrdiff_t>(positions * kRows), kRows, 255 ^ kernels::kBlockFlip);
  for (size_t i = 0; i < outputs; ++i) {
    std::fill_n(sums.begin() + static_cast<ptrdiff_t>(i * kRows), kRows, static_cast<Leaf>(base_margins_[i]));
  }
  for (size_t row = 0; linear_ && row < rows.count; ++row) {
    std::array<Leaf, kBlockOutputsMax> of_row;
    for (size_t i = 0; i < outputs; ++i) of_row[i] = sums[i * kRows + row];
    add_linear(*linear_, std::span(rows.columns + row * rows.stride, rows.stride), std::span(of_row).first(outputs));
    for (size_t i = 0; i < outputs; ++i) sums[i * kRows + row] = of_row[i];
  }
  trees.add_block(ranks.data(), rows.count, sums.data());
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
