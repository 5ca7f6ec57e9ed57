// Each library's own arithmetic, said as plainly as possible: prepare the row, start from the base margins, add what
// is linear, walk each tree in order, add its leaf, finish the sum.
#include "engine/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/predictors.h"

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
  return std::binary_search(set.begin(), set.end(), static_cast<uint32_t>(x));
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

// What a leaf adds to the output of its tree, if it is a line.
template <class Number>
Number on_line(const Line& line, double otherwise, std::span<const double> columns) {
  auto sum = static_cast<Number>(line.constant);
  for (size_t i = 0; i < line.columns.size(); ++i) {
    const double column = columns[line.columns[i]];
    const double x = std::fabs(column) <= kZeroMax ? 0 : column;
    if (std::isnan(x)) return static_cast<Number>(otherwise);
    sum += static_cast<Number>(line.weights[i]) * static_cast<Number>(x);
  }
  return sum;
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
      margins[i] += leaf.set >= 0 ? on_line<Number>(model.lines[static_cast<size_t>(leaf.set)], leaf.value, columns)
                                  : static_cast<Number>(value_for(tree, leaf, i, outputs));
    }
  }
  for (size_t i = 0; i < outputs; ++i) {
    if (model.sum.divisor) margins[i] /= static_cast<Number>(*model.sum.divisor);
    if (model.sum.factor) margins[i] *= static_cast<Number>(*model.sum.factor);
    if (!model.sum.offsets.empty()) margins[i] += static_cast<Number>(model.sum.offsets[i]);
  }
  return std::vector<double>(margins.begin(), margins.end());
}

template <class Number>
std::vector<double> through_network(const Network& network, std::span<const double> columns) {
  std::vector<Number> inputs;
  for (const double x : columns) inputs.push_back(static_cast<Number>(x));
  for (const Layer& layer : network.layers) {
    const size_t units = layer.biases.size();
    std::vector<Number> outputs;
    for (size_t unit = 0; unit < units; ++unit) {
      Number sum = 0;
      for (size_t i = 0; i < inputs.size(); ++i)
        sum += static_cast<Number>(layer.weights[i * units + unit]) * inputs[i];
      sum += static_cast<Number>(layer.biases[unit]);
      outputs.push_back(static_cast<Number>(activated(layer.activation, static_cast<double>(sum))));
    }
    inputs = outputs;
  }
  return std::vector<double>(inputs.begin(), inputs.end());
}

template <class Number>
Number distance_to(const Neighbours& model, size_t point, std::span<const double> columns) {
  Number sum = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    const Number away = static_cast<Number>(columns[i]) - static_cast<Number>(model.points[point * columns.size() + i]);
    sum += model.distance == Distance::kEuclidean ? away * away : std::fabs(away);
  }
  return sum;
}

template <class Number>
std::vector<double> among_neighbours(const Description& model, std::span<const double> columns) {
  const Neighbours& all = *std::get_if<Neighbours>(&model.predictor);
  const size_t outputs = model.outputs_count();
  if (std::any_of(columns.begin(), columns.end(), [](double x) { return std::isnan(x); }))
    return std::vector<double>(outputs, std::numeric_limits<double>::quiet_NaN());
  std::vector<std::pair<Number, size_t>> near;
  for (size_t i = 0; i < all.points.size() / columns.size(); ++i)
    near.emplace_back(distance_to<Number>(all, i, columns), i);
  std::sort(near.begin(), near.end());
  near.resize(all.count);
  const bool on_point = near[0].first == 0;
  std::vector<Number> sums(outputs, 0);
  Number weights = 0;
  for (const auto& [distance, point] : near) {
    Number weight = 1;
    if (all.by_distance && on_point) weight = distance == 0 ? 1 : 0;
    if (all.by_distance && !on_point) weight /= all.distance == Distance::kEuclidean ? std::sqrt(distance) : distance;
    weights += weight;
    if (model.labels.empty()) {
      for (size_t i = 0; i < outputs; ++i) sums[i] += static_cast<Number>(all.targets[point * outputs + i]) * weight;
    } else {
      sums[static_cast<size_t>(all.targets[point])] += weight;
    }
  }
  for (Number& sum : sums) sum /= weights;
  return std::vector<double>(sums.begin(), sums.end());
}

template <class Number>
std::vector<double> margins_in(const Description& model, std::span<const double> columns) {
  if (const auto* network = std::get_if<Network>(&model.predictor)) return through_network<Number>(*network, columns);
  if (!model.is_ensemble()) return among_neighbours<Number>(model, columns);
  return sum_in<Number>(model, columns);
}

}  // namespace

bool goes_left(const Description& model, const TreeNode& split, double value) {
  double x = model.compare == Compare::kF64LessEqual ? value : static_cast<double>(static_cast<float>(value));
  if (is_missing(split, x)) return split.default_left;
  if (std::isnan(x)) x = 0;  // only kNanIsZero comes here with NaN
  if (split.set >= 0) return in_set(model, split, x);
  return model.compare == Compare::kF32Less ? x < split.value : x <= split.value;
}

std::vector<double> reference_of_columns(const Description& model, std::span<const double> columns) {
  return model.sum.precision == Precision::kF32 ? margins_in<float>(model, columns)
                                                : margins_in<double>(model, columns);
}

std::vector<double> reference_margins(const Description& model, std::span<const double> row) {
  std::vector<double> columns(row.begin(), row.end());
  prepare_row(model, columns);
  return reference_of_columns(model, columns);
}

std::vector<float> reference_margins(const Description& model, std::span<const float> row) {
  const std::vector<double> wide(row.begin(), row.end());
  const std::vector<double> margins = reference_margins(model, std::span<const double>(wide));
  return std::vector<float>(margins.begin(), margins.end());
}

}  // namespace wb::engine
