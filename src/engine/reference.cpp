// Each library's own arithmetic, said as plainly as possible: prepare the row, start from the base margins, add what
// is linear, walk each tree in order, add its leaf, finish the sum.
#include "engine/reference.h"

#include <algorithm>
#include <cmath>

namespace wb::engine {
namespace {

bool is_missing(const TreeNode& node, double x) {
  switch (node.missing) {
    case Missing::kNan: return std::isnan(x);
    case Missing::kNanOrZero: return std::isnan(x) || std::fabs(x) <= kZeroMax;
    case Missing::kNanIsZero: return false;
  }
  return false;
}

bool in_set(const Description& model, const TreeNode& node, double x) {
  const bool negative = model.category == Category::kTruncated ? x <= -1 : x < 0;
  if (std::isnan(x) || negative || x >= static_cast<double>(limits::kCategoryMax) + 1) return false;
  const std::vector<uint32_t>& set = model.sets[static_cast<size_t>(node.set)];
  return std::find(set.begin(), set.end(), static_cast<uint32_t>(x)) != set.end();
}

bool goes_left(const Description& model, const TreeNode& node, double value) {
  double x = model.compare == Compare::kF64LessEqual ? value : static_cast<double>(static_cast<float>(value));
  if (is_missing(node, x)) return node.default_left;
  if (std::isnan(x)) x = 0;  // only kNanIsZero comes here with NaN
  if (node.set >= 0) return in_set(model, node, x);
  return model.compare == Compare::kF32Less ? x < node.value : x <= node.value;
}

const TreeNode& leaf_of(const Description& model, const Tree& tree, std::span<const double> columns) {
  const TreeNode* node = &tree.nodes[0];
  while (node->left >= 0) {
    const bool left = goes_left(model, *node, columns[node->feature]);
    node = &tree.nodes[static_cast<size_t>(left ? node->left : node->right)];
  }
  return *node;
}

// What a tree adds to an output.
double value_for(const Tree& tree, const TreeNode& leaf, size_t output, size_t outputs) {
  if (!tree.vectors.empty()) return tree.vectors[leaf.feature * outputs + output];
  return leaf.value;
}

// Number is float or double: what the margins are summed in.
template <class Number>
std::vector<double> sum_in(const Description& model, std::span<const double> columns) {
  const size_t outputs = model.outputs_count();
  std::vector<Number> margins;
  for (const double base : model.base_margins) margins.push_back(static_cast<Number>(base));
  for (size_t i = 0; model.linear && i < outputs; ++i) {
    for (size_t j = 0; j < columns.size(); ++j) {
      if (model.linear->skips_missing && std::isnan(columns[j])) continue;
      margins[i] +=
          static_cast<Number>(model.linear->weights[i * columns.size() + j]) * static_cast<Number>(columns[j]);
    }
  }
  for (const Tree& tree : model.trees) {
    const TreeNode& leaf = leaf_of(model, tree, columns);
    for (size_t i = 0; i < outputs; ++i) {
      if (tree.vectors.empty() && i != tree.output) continue;
      margins[i] += static_cast<Number>(value_for(tree, leaf, i, outputs));
    }
  }
  for (size_t i = 0; i < outputs; ++i) {
    if (model.sum.divisor) margins[i] /= static_cast<Number>(*model.sum.divisor);
    if (model.sum.factor) margins[i] *= static_cast<Number>(*model.sum.factor);
    if (!model.sum.offsets.empty()) margins[i] += static_cast<Number>(model.sum.offsets[i]);
  }
  return std::vector<double>(margins.begin(), margins.end());
}

}  // namespace

std::vector<double> reference_margins(const Description& model, std::span<const double> row) {
  std::vector<double> columns(row.begin(), row.end());
  prepare_row(model, columns);
  return model.sum.precision == Precision::kF32 ? sum_in<float>(model, columns) : sum_in<double>(model, columns);
}

std::vector<float> reference_margins(const Description& model, std::span<const float> row) {
  const std::vector<double> wide(row.begin(), row.end());
  const std::vector<double> margins = reference_margins(model, std::span<const double>(wide));
  return std::vector<float>(margins.begin(), margins.end());
}

}  // namespace wb::engine
